"""Random accounts against a Comet's bytecode: health, absorption, sale, and what is refused.

The contract is ours, after the public formulas: no package ships Compound's. `TALLYIO_LENDING_CASES` says
how many accounts; a night has time for more.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import msgspec
import pytest
from tallyio_protocol_compound_v3 import hot, reference
from tallyio_protocol_compound_v3.layout import ABSORB_PAUSED, BUY_PAUSED, Comet, Curve, Reserve

from tallyio.lending import abi
from tallyio.native.jit import warm_all
from tests.comet_desk import CometDesk, Memory, State

CASES = int(os.environ.get("TALLYIO_LENDING_CASES", "800"))
ALL = 2**256 - 1
FACTOR, INDEX = reference.FACTOR, reference.INDEX
SCALES = (10**18, 10**8, 10**6)
ASSETS = 18
"""More than sixteen, so that some bits are in `_reserved`."""
DAY = 86_400


class Case:
    """A Comet and an account in the contract and in memory, as of the next block."""

    def __init__(self, desk: CometDesk, memory: Memory, state: State) -> None:
        self.desk, self.memory, self.state, self.time = desk, memory, state, desk.time
        desk.put(state)
        memory.put(state)

    def health(self) -> tuple[int, list[int]]:
        """Return the compiled status, with value of collateral and of debt."""
        memory = self.memory
        status = hot.health(memory.book, memory.position, self.time, 0, memory.out.address)
        return status, memory.numbers(2)

    def liquidate(self, place: int, repay: int) -> tuple[int, list[int]]:
        """Return the compiled verdict and its numbers."""
        memory = self.memory
        verdict = hot.liquidate(
            memory.book, memory.position, place, 0, repay, self.time, 0, memory.out.address
        )
        return verdict, memory.numbers(5)


def draw_state(draw: random.Random, base_scale: int, time: int) -> State:
    """Return an account near the edge of its health, in a Comet near the edge of selling."""
    numbers = sorted(draw.sample(range(1, ASSETS + 1), draw.randrange(1, 5)))
    reserves = [Reserve(price=draw.randrange(10**7, 10**10), scale=base_scale)]
    reserves += [draw_reserve(draw, SCALES[k % len(SCALES)]) for k in range(ASSETS)]
    held = {
        number: draw.getrandbits(draw.randrange(1, 24)) * reserves[number].scale // 10**3 + 1
        for number in numbers
    }
    index = INDEX + draw.randrange(INDEX)
    value = sum(
        amount * reserves[n].price // reserves[n].scale * reserves[n].liquidate_factor // FACTOR
        for n, amount in held.items()
    )
    debt = value * base_scale // reserves[0].price * draw.choice((draw.randrange(900, 1_400), 1_000)) // 1_000
    principal = max(debt * INDEX // index + draw.randrange(-2, 3), 1)
    comet = Comet(
        total_supply=principal * draw.randrange(1, 40) + draw.randrange(10**6),
        total_borrow=principal * draw.randrange(1, 30),
        base_held=draw.getrandbits(draw.randrange(1, 90)),
        target=0,
        supply_index=INDEX + draw.randrange(INDEX),
        borrow_index=index,
        last_accrual=time - draw.choice((0, 12, 3_600, DAY, draw.randrange(1, 10**7))),
        pauses=draw.choice((0,) * 12 + (1, ABSORB_PAUSED, BUY_PAUSED)),
        supply=draw_curve(draw),
        borrow=draw_curve(draw),
        store_front_factor=draw.choice((6 * 10**17, 0, FACTOR, draw.randrange(FACTOR))),
    )
    return with_target(draw, State(comet, reserves, principal, held), time)


def draw_reserve(draw: random.Random, scale: int) -> Reserve:
    """Return a collateral asset, sometimes a deactivated one."""
    liquidate = draw.choice((0, 895 * 10**15, draw.randrange(9_000) * 10**14))
    return Reserve(
        price=draw.randrange(10**6, 10**13),
        scale=scale,
        liquidate_factor=liquidate,
        liquidation_factor=0 if liquidate == 0 else draw.randrange(liquidate // 10**14 + 1, 10_000) * 10**14,
        reserves=draw.choice((0, draw.randrange(scale))),
    )


def draw_curve(draw: random.Random) -> Curve:
    """Return the rates of a year's two per cent to two hundred, per second."""
    return Curve(draw.randrange(FACTOR), *(draw.randrange(6 * 10**10) for _ in range(3)))


def with_target(draw: random.Random, state: State, time: int) -> State:
    """Return the state with a target that is near what its reserves are after an absorption."""
    grown = reference.accrued(state.comet, time)
    absorbed = reference.absorb(grown, state.reserves, state.principal, state.held) if grown else None
    reserves = reference.base_reserves(absorbed.comet) if absorbed else 0
    target = max(reserves + draw.choice((0, 1, 1, 10**6, 10**9, 10**12)), 0)
    return state._replace(comet=msgspec.structs.replace(state.comet, target=min(target, 2**103)))


@pytest.fixture(scope="module")
def memory() -> Memory:
    warm_all([hot.health, hot.liquidate])
    return Memory()


@pytest.fixture(scope="module")
def desks() -> list[CometDesk]:
    scales = [SCALES[k % len(SCALES)] for k in range(ASSETS)]
    return [CometDesk(base_scale, scales) for base_scale in (10**6, 10**18)]


def test_random_accounts_equal_the_contract_in_health_absorption_and_sale(
    memory: Memory, desks: list[CometDesk]
) -> None:
    """Health as the contract has it after accrual; what is lawful happens to the unit, or is refused."""
    draw, seen = random.Random(72), Counter[str]()
    for number in range(CASES):
        desk = desks[number % 2]
        state = draw_state(draw, (10**6, 10**18)[number % 2], desk.time)
        case, told = Case(desk, memory, state), (number, state)
        status, (_, debt) = case.health()
        judged = desk.judge()
        assert judged is not None, told
        assert judged == (status == abi.LIQUIDATABLE, judged[1]), told
        assert judged[1] * state.reserves[0].price // state.reserves[0].scale == debt, told
        asset = draw.choice(sorted(state.held))
        place = 1 + sorted(state.held).index(asset)
        verdict, numbers = case.liquidate(place, ALL)
        seen[f"all: {abi.VERDICTS[verdict]}"] += 1
        if verdict != abi.LAWFUL:
            assert verdict in refusals(state, asset), told
            bought = desk.liquidate(asset, 1, least=1)
            assert bought is None, told
            continue
        check_all(case, asset, numbers, seen, told)
        check_part(case, draw.randrange(numbers[4] + 1), (place, asset), seen, told)
    print(f"\nCompound III: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    for verdict in (abi.LAWFUL, abi.HEALTH_IS_SOUND, abi.PAUSED, abi.NOT_FOR_SALE):
        assert seen[f"all: {abi.VERDICTS[verdict]}"] > CASES // 50
    assert min(seen["debt was written off"], seen["the account was paid"]) > CASES // 20


def refusals(state: State, asset: int) -> set[int]:
    """Return the verdicts that may be; the contract divides by a price that a discount leaves nothing of."""
    found = {abi.HEALTH_IS_SOUND, abi.PAUSED, abi.NOT_FOR_SALE, abi.NOTHING_GAINED}
    free = reference.discounted(state.comet, state.reserves[asset]) == 0
    return found | ({abi.OUT_OF_DOMAIN} if free else set())


def check_all(case: Case, asset: int, numbers: list[int], seen: Counter[str], told: object) -> None:
    """The largest offer does what was said; one unit more buys as much, or nothing at all."""
    repay, seize, _, written_off, most = numbers
    assert repay == most, told
    bought = case.desk.liquidate(asset, repay, least=seize)
    assert bought is not None, told
    assert (bought.paid, bought.seized) == (repay, seize), told
    grown = reference.accrued(case.state.comet, case.time)
    assert grown is not None, told
    owed = reference.debt_of(grown, case.state.principal)
    pays = reference.covered(case.state.reserves, case.state.held)
    assert pays is not None, told
    assert (bought.paid_out, written_off) == (max(pays, owed), max(owed - pays, 0)), told
    seen["debt was written off" if written_off else "the account was paid"] += 1
    further = case.desk.liquidate(asset, repay + 1)
    assert further is None or further.seized == seize, told
    seen["one more reverts" if further is None else "one more buys as much"] += 1
    assert case.desk.liquidate(asset, repay, least=seize + 1) is None, told


def check_part(case: Case, offer: int, where: tuple[int, int], seen: Counter[str], told: object) -> None:
    """A smaller offer pays the least that buys what it buys."""
    place, asset = where
    verdict, (repay, seize, *_) = case.liquidate(place, offer)
    whole = case.desk.liquidate(asset, offer)
    assert whole is not None, told
    assert whole.seized == seize, told
    if verdict == abi.NOTHING_GAINED:
        seen["a part was too small"] += 1
        return
    assert verdict == abi.LAWFUL, told
    bought = case.desk.liquidate(asset, repay, least=seize)
    assert bought is not None, told
    assert (bought.paid, bought.seized) == (repay, seize), told
    less = case.desk.liquidate(asset, repay - 1)
    assert less is not None, told
    assert less.seized < seize, told
    seen["a part was bought"] += 1


def test_the_store_front_sells_what_the_comet_owns(memory: Memory, desks: list[CometDesk]) -> None:
    draw, seen = random.Random(73), Counter[str]()
    for number in range(CASES // 10):
        desk = desks[number % 2]
        state = draw_state(draw, (10**6, 10**18)[number % 2], desk.time)
        grown = reference.accrued(state.comet, desk.time)
        assert grown is not None
        near = max(reference.base_reserves(grown) + draw.choice((0, 1, 10**6)), 0)
        state = state._replace(comet=msgspec.structs.replace(state.comet, target=near))
        case = Case(desk, memory, state)
        memory.put(state, store_front=True)
        place = draw.randrange(1, len(state.held) + 1)
        asset = sorted(state.held)[place - 1]
        status, _ = case.health()
        verdict, (repay, seize, _, _, most) = case.liquidate(place, ALL)
        seen[abi.VERDICTS[verdict]] += 1
        if verdict != abi.LAWFUL:
            assert verdict in refusals(state, asset), (number, state)
            assert desk.liquidate(asset, 1, least=1, absorb=False) is None, (number, state)
            continue
        assert (status, repay) == (abi.LIQUIDATABLE, most)
        bought = desk.liquidate(asset, repay, least=seize, absorb=False)
        assert bought is not None
        assert (bought.paid, bought.seized) == (repay, seize)
        further = desk.liquidate(asset, repay + 1, absorb=False)
        assert further is None or further.seized == seize
    print(f"\nthe store front: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    assert min(seen[abi.VERDICTS[each]] for each in (abi.LAWFUL, abi.NOT_FOR_SALE)) > CASES // 100
