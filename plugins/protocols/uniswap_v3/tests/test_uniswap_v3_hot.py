"""The events of V3's contracts, applied to rows; the quotes are tested with the core's toolkit."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from tallyio_protocol_uniswap_v3 import hot
from tallyio_protocol_uniswap_v3.adapter import UniswapV3
from tallyio_protocol_uniswap_v3.reference import Pool

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.concentrated import changes, reference
from tallyio.market.concentrated.layout import contents
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.market.fusion import fuse
from tallyio.native.memory import Region

ROOM = 64
MOST_BYTES = 1 << 20
INITIALIZE, SWAP, MINT, BURN, SWAP_WITH_FEES, FEE, CUSTOM_FEE_SET, SET_CUSTOM_FEE = range(8)
DATA_BYTES = 1024


class Row:
    """A row in native memory, and room for a log's data and topics behind it."""

    def __init__(self) -> None:
        self.memory = Region(MOST_BYTES + DATA_BYTES)
        self.address = self.memory.address
        self.size = 0

    def set(self, pool: Pool) -> None:
        """Put a fresh row of `pool` there, complete."""
        raw = pool.row(room=ROOM)
        self.size = len(raw)
        self.memory.view("u1", self.size)[:] = bytearray(raw)
        assert changes.rebuild(self.address)

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return self.memory.view("u1", self.size).tobytes()

    def quote(self, amount: int, i: int) -> int:
        """Quote selling token `i`."""
        out: int = hot.quote(self.address, i, 1 - i, amount)
        return out

    def apply(self, event: int, *data: int, topics: tuple[int, ...] = ()) -> int:
        """Apply an event with these words of data and of topics after the first."""
        raw = b"".join((word % 2**256).to_bytes(32) for word in (*data, *topics))
        self.memory.view("u1", len(raw), MOST_BYTES)[:] = bytearray(raw)
        start = self.address + MOST_BYTES
        status: int = hot.apply_log(self.address, event, start + 32 * len(data), start, 32 * len(data))
        return status


@pytest.fixture
def row() -> Iterator[Row]:
    made = Row()
    yield made
    made.memory.close()


def small_pool(fee: int = 3000) -> Pool:
    pool = Pool((fee, fee), 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    return pool


@pytest.mark.parametrize("swapped", [SWAP, SWAP_WITH_FEES])
def test_a_history_of_events_leaves_the_row_of_the_final_state(row: Row, swapped: int) -> None:
    """Mint, Burn, Fee and Swap in random order; after each, the row is what a fresh load would be."""
    draw, fresh = random.Random(swapped), Row()
    pool = Pool((3000, 3000), 10, 2**96, 0)
    row.set(pool)
    positions: list[tuple[int, int, int]] = []
    for _ in range(50):
        kind = draw.random()
        if positions and kind < 0.3:
            lower, upper, amount = positions.pop(draw.randrange(len(positions)))
            pool.modify_liquidity(lower, upper, -amount)
            assert row.apply(BURN, amount, 0, 0, topics=(7, lower, upper)) == LOG_APPLIED
        elif kind < 0.6:
            lower = draw.randrange(-500, 500) * 10
            position = (lower, lower + draw.randrange(1, 300) * 10, draw.getrandbits(90) + 1)
            positions.append(position)
            pool.modify_liquidity(*position)
            assert row.apply(MINT, 9, position[2], 0, 0, topics=(7, *position[:2])) == LOG_APPLIED
        elif kind < 0.7:
            fee = draw.randrange(1, 10_000)
            pool.fees_pips = (fee, fee)
            assert row.apply(FEE, fee) == LOG_APPLIED
        else:
            pool.tick = draw.randrange(-5000, 5000)
            pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(pool.tick) + 5
            pool.liquidity = sum(tick.liquidity_net for at, tick in pool.ticks.items() if at <= pool.tick)
            moved = (pool.sqrt_price_x96, pool.liquidity, pool.tick)
            further = (5, 6) if swapped == SWAP_WITH_FEES else ()
            assert row.apply(swapped, 0, 0, *moved, *further, topics=(1, 2)) == LOG_APPLIED
        fresh.set(pool)
        assert contents(row.raw) == contents(fresh.raw)


def test_initialize_opens_the_pool(row: Row) -> None:
    row.set(Pool((500, 500), 10))
    price = get_sqrt_ratio_at_tick(-33)
    assert row.apply(INITIALIZE, price, -33) == LOG_APPLIED
    assert row.apply(MINT, 9, 10**18, 0, 0, topics=(7, -100, 100)) == LOG_APPLIED
    pool = Pool((500, 500), 10, price, -33)
    pool.modify_liquidity(-100, 100, 10**18)
    assert row.quote(10**12, 0) == reference.quote(pool, 10**12, zero_for_one=True) > 0


def test_a_burn_of_nothing_is_ignored(row: Row) -> None:
    row.set(small_pool())
    before = row.raw
    assert row.apply(BURN, 0, 0, 0, topics=(7, -60, 60)) == LOG_IGNORED
    assert row.raw == before


def test_a_fee_changes_what_both_directions_pay(row: Row) -> None:
    row.set(small_pool())
    assert row.apply(FEE, 500) == LOG_APPLIED
    for i in (0, 1):
        wanted = reference.quote(small_pool(500), 1000, zero_for_one=i == 0)
        assert row.quote(1000, i) == wanted > reference.quote(small_pool(), 1000, zero_for_one=i == 0)


@pytest.mark.parametrize("event", [CUSTOM_FEE_SET, SET_CUSTOM_FEE])
def test_a_fee_that_something_else_decides_is_read_anew(row: Row, event: int) -> None:
    row.set(small_pool())
    before = row.raw
    assert row.apply(event, topics=(7, 100)) == LOG_RELOAD
    assert row.raw == before


@pytest.mark.parametrize(
    ("event", "data", "topics"),
    [
        (SWAP, (0, 0, 2**96, 10**6 + 1, 0), (1, 2)),  # liquidity that no tick gives
        (SWAP, (0, 0, 2**96, 10**6, 0, 0), (1, 2)),  # data of another length
        (SWAP_WITH_FEES, (0, 0, 2**96, 10**6, 0), (1, 2)),
        (BURN, (10**6 + 1, 0, 0), (7, -60, 60)),  # more than there is
        (MINT, (10**6, 0, 0), (7, -60, 60)),
        (INITIALIZE, (2**96, -(2**50)), ()),
        (MINT, (9, 1, 0, 0), (7, -60, 2**60)),
        (FEE, (10**6 + 1,), ()),
        (8, (0,), ()),
        (-1, (0,), ()),
    ],
)
def test_an_event_that_contradicts_the_row_asks_for_a_reload(
    row: Row, event: int, data: tuple[int, ...], topics: tuple[int, ...]
) -> None:
    row.set(small_pool())
    assert row.apply(event, *data, topics=topics) == LOG_RELOAD


def test_events_are_numbered_as_the_adapter_names_them() -> None:
    adapter = UniswapV3({"venues": [{"name": "u", "preset": "uniswap"}]})
    first_bytes = [topic.hex()[:8] for topic in adapter.topics]
    assert (
        first_bytes
        == [
            "98636036",  # Initialize
            "c42079f9",  # Swap
            "7a53080b",  # Mint
            "0c396cd9",  # Burn
            "19b47279",  # Swap of PancakeSwap
            "598b9f04",  # Fee
            *first_bytes[CUSTOM_FEE_SET:],
        ]
    )
    assert len(adapter.compiled.event_bytes) == len(first_bytes) == SET_CUSTOM_FEE + 1


def test_the_module_fuses_with_the_core() -> None:
    adapter = UniswapV3({"venues": [{"name": "u", "preset": "uniswap"}]})
    assert fuse([("uniswap_v3", adapter.compiled)]).protocols == ("uniswap_v3",)
