"""Thousands of quotes against the bytecode of the pair and the router, successes and reverts.

The state of one real pair is overwritten for each case: its reserves, and what it holds of both tokens.
So the contracts see reserves that no history of swaps would reach, up to the last unit of a uint112.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from tallyio_protocol_uniswap_v2 import hot, reference
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, UINT112_MAX, pack_row

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, hex_text
from tallyio.model.words import address_word, word
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

CASES = 10_000
RESERVES_SLOT = 8
"""Of `UniswapV2Pair`: reserve0, reserve1 and blockTimestampLast in one word."""
BALANCES_SLOT = 1
"""Of the lab's token, a Vyper contract: the key of a mapping comes after its slot."""


class Bench:
    """One pair whose state is ours to choose, its router, and its row."""

    def __init__(self, chain: RevmChain) -> None:
        pool = next(
            pool for pool in chain.world.pools if pool.kind == "v2" and "WETH" not in pool.tokens
        )  # both tokens are the lab's own
        self.chain = chain
        self.pair = Contract(artifact("UniswapV2Pair"), pool.address)
        self.router = Contract(artifact("UniswapV2Router02"), chain.world.v2[pool.venue].router)
        self.tokens: list[Address] = [chain.backend.read(self.pair, name)[0] for name in ("token0", "token1")]
        self.memory = Region(ROW_BYTES)
        self.row = self.memory.address

    def set(self, reserves: tuple[int, int]) -> None:
        """Give the pair and the row these reserves."""
        packed = reserves[0] | reserves[1] << 112
        self.chain.backend.evm.insert_account_storage(hex_text(self.pair.address), RESERVES_SLOT, packed)
        raw = pack_row(reserves, fee_numerators=(997, 997), fee_denominator=1000, gas=0)
        self.memory.view("u1", ROW_BYTES)[:] = bytearray(raw)

    def hold(self, side: int, amount: int) -> None:
        """Let the pair hold so much of a token."""
        slot = int.from_bytes(keccak256(word(BALANCES_SLOT) + address_word(self.pair.address)))
        self.chain.backend.evm.insert_account_storage(hex_text(self.tokens[side]), slot, amount)

    def library(self, name: str, *amounts: int) -> int:
        """Return what the router's function computes, 0 where it reverts."""
        try:
            return int.from_bytes(self.chain.backend.call(self.router.call(name, *amounts)))
        except Reverted:
            return 0

    def pays(self, reserves: tuple[int, int], i: int, amount_in: int, amount_out: int) -> bool:
        """Return whether the pair gives `amount_out` once it has got `amount_in` of token `i`."""
        self.hold(i, reserves[i] + amount_in)
        self.hold(1 - i, reserves[1 - i])
        outputs = (amount_out, 0) if i else (0, amount_out)
        try:
            self.chain.backend.call(self.pair.call("swap", *outputs, OPERATOR, b""))
        except Reverted:
            return False
        return True


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench(RevmChain())
    yield made
    made.memory.close()


def draw_reserve(draw: random.Random) -> int:
    """Return a reserve of any length; sometimes the largest ones, and none."""
    kind = draw.random()
    if kind < 0.02:
        return draw.randrange(2)
    if kind < 0.12:
        return UINT112_MAX - draw.getrandbits(draw.randrange(1, 112))
    return draw.getrandbits(draw.randrange(2, 113))


def draw_amount(draw: random.Random, reserve: int) -> int:
    """Return an amount: of the size of a trade, or near a border."""
    if draw.random() < 0.15:
        near = (0, 1, reserve - 1, reserve, reserve + 1, UINT112_MAX - reserve, UINT112_MAX - reserve + 1)
        return max(0, draw.choice(near))
    return draw.getrandbits(draw.randrange(1, max(reserve.bit_length(), 1) + 3))


def draw_exact_output(draw: random.Random) -> tuple[tuple[int, int], int, int]:
    """Return reserves, a direction and an output; for some the library's division has no rest."""
    reserves, i = [draw_reserve(draw), draw_reserve(draw)], draw.randrange(2)
    amount_out = draw_amount(draw, reserves[1 - i])
    if draw.random() < 0.1:
        left = draw.getrandbits(draw.randrange(1, 50)) + 1
        reserves[i] = 997 * left * (draw.getrandbits(draw.randrange(1, 50)) + 1)
        amount_out = max(0, reserves[1 - i] - left)
    return (reserves[0], reserves[1]), i, amount_out


def test_exact_inputs_equal_the_bytecode(bench: Bench) -> None:
    """What the quote says is paid; one unit more is not; where it says 0, the pair or library reverts."""
    draw, seen = random.Random(21), Counter[str]()
    for _ in range(CASES):
        reserves, i = (draw_reserve(draw), draw_reserve(draw)), draw.randrange(2)
        amount_in = draw_amount(draw, reserves[i])
        bench.set(reserves)
        quoted = hot.quote(bench.row, i, 1 - i, amount_in)
        computed = bench.library("getAmountOut", amount_in, reserves[i], reserves[1 - i])
        case = (reserves, i, amount_in)
        if quoted:
            assert quoted == computed, case
            assert bench.pays(*case, quoted), case
            assert not bench.pays(*case, quoted + 1), case
        else:
            assert not bench.pays(*case, computed), case
        seen["paid" if quoted else "reverted"] += 1
    print(f"\nexact input on the pair's and the router's bytecode: {dict(seen)}")  # noqa: T201 - shown with -s
    assert seen["paid"] > CASES // 2
    assert seen["reverted"] > CASES // 100


def test_exact_outputs_equal_the_bytecode(bench: Bench) -> None:
    """The pair gives the output for the input quoted, and not for two units less; 0 where it reverts."""
    draw, seen = random.Random(22), Counter[str]()
    for _ in range(CASES):
        reserves, i, amount_out = draw_exact_output(draw)
        bench.set(reserves)
        quoted = hot.quote_exact_out(bench.row, i, 1 - i, amount_out)
        computed = bench.library("getAmountIn", amount_out, reserves[i], reserves[1 - i])
        case = (reserves, i, amount_out)
        if quoted:
            assert quoted == computed, case
            assert bench.pays(reserves, i, quoted, amount_out), case
            assert quoted == 1 or not bench.pays(reserves, i, max(0, quoted - 2), amount_out), case
        elif computed:
            assert not bench.pays(reserves, i, computed, amount_out), case
        else:
            assert amount_out == 0 or amount_out >= reserves[1 - i] or 0 in reserves, case
        seen["given" if quoted else "reverted"] += 1
    print(f"\nexact output on the pair's and the router's bytecode: {dict(seen)}")  # noqa: T201 - shown with -s
    assert seen["given"] > CASES // 2
    assert seen["reverted"] > CASES // 100


def fullest(amount_out: int, reserve_out: int) -> int:
    """Return the largest reserve whose sum with the input for `amount_out` is a uint112, by bisection."""
    low, high = 1, UINT112_MAX
    while low < high:
        middle = (low + high + 1) // 2
        needed = reference.get_amount_in(
            amount_out, middle, reserve_out, fee_numerator=997, fee_denominator=1000
        )
        low, high = (middle, high) if middle + needed <= UINT112_MAX else (low, middle - 1)
    return low


def test_the_largest_balance_is_reached_and_not_passed(bench: Bench) -> None:
    draw, filled = random.Random(23), 0
    for _ in range(300):
        reserve_out = max(2, draw.getrandbits(draw.randrange(20, 113)))
        amount_out = draw.randrange(1, reserve_out // 4 + 2)
        reserve_in = fullest(amount_out, reserve_out)
        for reserves in ((reserve_in, reserve_out), (reserve_in + 1, reserve_out)):
            bench.set(reserves)
            quoted = hot.quote_exact_out(bench.row, 0, 1, amount_out)
            computed = bench.library("getAmountIn", amount_out, *reserves)
            assert bench.pays(reserves, 0, computed, amount_out) is (quoted == computed)
            assert quoted in {0, computed}
            filled += reserves[0] + quoted == UINT112_MAX
    assert filled > 100
