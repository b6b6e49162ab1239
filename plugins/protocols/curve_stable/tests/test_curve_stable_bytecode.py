"""Reference and compiled code against bytecode: random states, success and revert.

The bytecode is our own deployment of the public formulas (`StableSwap.vy`, `StableSwapNG.vy`), for no
package registry carries Curve's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tallyio_protocol_curve_stable import hot, reference
from tallyio_protocol_curve_stable.hot_state import rebuild
from tallyio_protocol_curve_stable.layout import MAX_FEE, UINT128_MAX, Ramp, State, pack_row, row_bytes
from tallyio_protocol_curve_stable.loading import pool_of
from tallyio_protocol_curve_stable.templates import TEMPLATES, Flag

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.native.memory import Region

CASES = 1_800
SHAPES = (
    ("susd", (4,)),
    ("three_pool", (3,)),
    ("base", (2,)),
    ("plain", (3,)),
    ("ema", (2,)),
    ("ng", (2, 3, 4, 5, 6, 7, 8)),
)
DECIMALS = (0, 2, 6, 8, 18, 18)
AMPS = (1, 2, 10, 85, 400, 2000, 10**5, 10**6 - 1)


@pytest.fixture(scope="module")
def backend() -> RevmBackend:
    return RevmBackend()


@pytest.fixture(scope="module")
def memory() -> Iterator[Region]:
    with Region(row_bytes(8)) as region:
        yield region


def deployed(backend: RevmBackend, code: Artifact, kind: str, coins: int) -> Contract:
    """Deploy a pool whose state does not matter: the tests hand one to `swap_of`."""
    nobody = bytes(20)
    rates = [10**18] * coins
    arguments: tuple[object, ...] = ([nobody] * coins, rates, 100, 0, 0, nobody)
    if kind == "ng":
        arguments = ([nobody] * coins, rates, 100, 0, 0, 0, nobody)
    return Contract(code, backend.deploy(code.encode_constructor(*arguments)))


def draw_state(draw: random.Random, kind: str, coins: int) -> State:
    """Return a pool: balanced, leaning, or anything at all."""
    template = TEMPLATES[kind]
    decimals = [draw.choice(DECIMALS) for _ in range(coins)]
    rates = [10 ** (36 - places) for places in decimals]
    if kind == "ng" and draw.random() < 0.5:
        rates = [rate * draw.randrange(10**17, 3 * 10**18) // 10**18 for rate in rates]
    amp = draw.choice((*AMPS, draw.randrange(1, 10**6))) * template.a_precision
    fee = draw.choice((0, 1, 10**6, 4 * 10**6, draw.randrange(MAX_FEE + 1)))
    multiplier = draw.choice((0, 10**10, 2 * 10**10, 10**11, draw.getrandbits(40))) if kind == "ng" else 0
    return State(
        template=template,
        balances=tuple(_balances(draw, decimals)),
        rates=tuple(rates),
        ramp=Ramp(amp, amp),
        fee=fee,
        admin_fee=draw.choice((0, 5 * 10**9, 10**10, draw.randrange(10**10))),
        offpeg_fee_multiplier=multiplier if fee * multiplier <= MAX_FEE * 10**10 else 0,
        supply=0,
        time=0,
    )


def _balances(draw: random.Random, decimals: list[int]) -> Iterator[int]:
    style, scale = draw.random(), 10 ** draw.uniform(-3, 16)
    for places in decimals:
        if style < 0.15:
            yield draw.getrandbits(draw.randrange(1, 129))
        else:
            lean = draw.uniform(-2, 2) if style < 0.5 else draw.uniform(-0.2, 0.2)
            yield min(UINT128_MAX, int(scale * 10**lean * 10**places))


def draw_amount(draw: random.Random, balance: int) -> int:
    """Return an input: from dust to more than all, and sometimes nonsense."""
    style = draw.random()
    if style < 0.1:
        return draw.getrandbits(draw.randrange(1, 257))
    return min(2**256 - 1, int(balance * 10 ** draw.uniform(-9, 1)) + draw.randrange(2))


def said(backend: RevmBackend, pool: Contract, function: str, *args: object) -> tuple[Any, ...] | None:
    """Return what a function answers, or None where it reverts."""
    try:
        answer = backend.call(pool.call(function, *args))
    except Reverted:
        return None
    return pool.artifact.decode(function, answer)


def arguments(state: State, i: int, j: int, amount: int) -> list[object]:
    """Return what `swap_of` takes."""
    more = [state.offpeg_fee_multiplier] if state.template.kind == "ng" else []
    facts = [list(state.balances), list(state.rates), state.ramp.initial, state.fee]
    return [i, j, amount, *facts, *more, state.admin_fee]


def expected_exchange(state: State, i: int, j: int, amount: int) -> tuple[Any, ...] | None:
    """Return what the reference says that `swap_of` returns."""
    try:
        made = reference.exchange(pool_of(state), i, j, amount)
    except reference.Revert:
        return None
    return made.paid, made.balances


@pytest.mark.parametrize(("kind", "shape"), SHAPES, ids=[kind for kind, _ in SHAPES])
def test_an_exchange_equals_the_bytecode(
    backend: RevmBackend,
    code_of: Callable[[str, int], Artifact],
    memory: Region,
    kind: str,
    shape: tuple[int, ...],
) -> None:
    """1,800 states a kind: amount paid and balances after, or a revert, in all three."""
    draw = random.Random(f"curve {kind}")
    pools = {coins: deployed(backend, code_of(kind, coins), kind, coins) for coins in shape}
    paid = reverted = 0
    for _ in range(CASES):
        coins = draw.choice(shape)
        state = draw_state(draw, kind, coins)
        i, j = draw.sample(range(coins), 2)
        amount = draw_amount(draw, state.balances[i])
        answer = said(backend, pools[coins], "swap_of", *arguments(state, i, j, amount))
        assert in_one_shape(state, i, j, amount, answer) == expected_exchange(state, i, j, amount)
        row = load_row(memory, state)
        assert hot.quote(row, i, j, amount) == (answer[0] if answer else 0)
        paid, reverted = paid + (answer is not None), reverted + (answer is None)
    print(f"{kind}: {paid} paid, {reverted} reverted")  # noqa: T201 - shown with -s
    assert paid > CASES // 2
    assert reverted > CASES // 50


def in_one_shape(
    state: State, i: int, j: int, amount: int, answer: tuple[Any, ...] | None
) -> tuple[Any, ...] | None:
    """Return amount paid and balances after: NG answers the admin's part instead."""
    if answer is None:
        return None
    if Flag.DYNAMIC_ARRAYS not in state.template.flags:
        return answer[0], tuple(answer[1])
    after = list(state.balances)
    after[i], after[j] = after[i] + amount, after[j] - answer[0] - answer[1]
    return answer[0], tuple(after)


def load_row(memory: Region, state: State) -> int:
    """Put the complete row of `state` into memory; return its address."""
    raw = pack_row(state)
    memory.view("u1", len(raw))[:] = bytearray(raw)
    rebuild(memory.address)
    return memory.address


def test_the_estimate_of_an_input_equals_the_views_contract(
    backend: RevmBackend, code_of: Callable[[str, int], Artifact], memory: Region
) -> None:
    """`get_dx` of NG, 1,000 states; and how often it is no exact input."""
    draw = random.Random("curve dx")
    pool = deployed(backend, code_of("ng", 2), "ng", 2)
    answered = reverted = short = 0
    for _ in range(1_000):
        state = draw_state(draw, "ng", draw.randrange(2, 9))
        i, j = draw.sample(range(len(state.balances)), 2)
        wanted = draw_amount(draw, state.balances[j])
        answer = said(backend, pool, "dx_of", *arguments(state, i, j, wanted)[:-1])
        row = load_row(memory, state)
        estimate = hot.get_dx(row, i, j, wanted)
        assert estimate == (answer[0] if answer else 0)
        try:
            assert (reference.get_dx(pool_of(state), i, j, wanted),) == answer
        except reference.Revert:
            assert answer is None
        answered, reverted = answered + (answer is not None), reverted + (answer is None)
        short += estimate > 0 and hot.quote(row, i, j, estimate) < wanted
    print(f"get_dx: {answered} answered, {reverted} reverted; {short} estimates pay too little")  # noqa: T201 - shown with -s
    assert min(answered, reverted) > 100
    assert short > 0
