"""The compiled detector against the plain one, over pools that change block by block."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tallyio_strategy_arbitrage import bench, reference
from tallyio_strategy_arbitrage.bench_pools import pack_row
from tallyio_strategy_arbitrage.reference_walk import Leg
from tallyio_strategy_arbitrage.strategy import Arbitrage, ArbitrageIndex, EnumeratedIndex

from tallyio.market.abi import FOUND
from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.model.errors import ConfigError
from tallyio.model.units import checksum
from tallyio.native.memory import Region

CAPACITY: Final = 16
MAX_LEGS: Final = 4
TOP_K: Final = 8


class Bench:
    """The benchmark's market, its index, and both searches over it."""

    def __init__(self, made: tuple[Fused, Market, ArbitrageIndex]) -> None:
        self.fused, self.market, _ = made
        self.index = self.new_index()
        self.memory = Region(CAPACITY * FOUND.itemsize)
        self.records = self.memory.view(FOUND, CAPACITY)
        self.plain = bench.reference_search(self.fused, self.market, max_legs=MAX_LEGS, top_k=TOP_K)
        self.pools = len(self.market.shape.pools)

    def reload(self, rows: dict[int, bytes]) -> None:
        """Give pools other rows."""
        for pool, row in rows.items():
            assert self.market.reload(pool, row, block=self.market.head.hash)

    def new_index(self, **more: object) -> ArbitrageIndex:
        """Return an index that has seen no block yet."""
        settings_ = {"base_tokens": [checksum(bench.NATIVE)], "max_legs": MAX_LEGS, "top_k": TOP_K, **more}
        return Arbitrage(settings_).index(self.market.shape)

    def detect(self, capacity: int = CAPACITY, index: ArbitrageIndex | None = None) -> Any:
        """Run the compiled detector over the dirty pools and return its records."""
        address = (index or self.index).address
        count = self.fused.function("detect")(0, self.market.address, address, self.memory.address, capacity)
        self.market.settle()
        return self.records[:count].copy()


@pytest.fixture(scope="module")
def made() -> Iterator[Bench]:
    ready = Bench(bench.make_market())
    yield ready
    ready.market.close()
    ready.memory.close()


def amounts_of(record: Any) -> tuple[int, ...]:
    count = int(record["leg_count"]) + 1
    return tuple(int.from_bytes(amount.tobytes(), "little") for amount in record["amounts"][:count])


def legs_of(record: Any) -> tuple[Leg, ...]:
    fields = zip(record["pool"], record["token_in"], record["token_out"], strict=True)
    return tuple(Leg(*map(int, leg)) for leg in fields)[: int(record["leg_count"])]


def as_found(record: Any) -> reference.Found:
    return reference.Found(legs_of(record), amounts_of(record), int(record["gas"]), float(record["net"]))


def moved(bench_: Bench, draw: random.Random) -> dict[int, bytes]:
    """Return rows of every pool, off balance by up to a few percent, some of them small or empty."""
    rows = {}
    for pool, spec in enumerate(bench_.market.shape.pools):
        worth = [bench._WORTH[int.from_bytes(token)] for token in spec.tokens]
        depth = 10**18 * 10 ** draw.uniform(-8, 6)
        reserves = [int(depth * one * draw.uniform(0.97, 1.03)) for one in worth]
        rows[pool] = pack_row(
            reserves[0], reserves[1], keep=draw.choice((997, 998, 1000)), gas=draw.randrange(10**6)
        )
    return rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 2**32))
def test_the_compiled_search_equals_the_plain_one_to_the_bit(made: Bench, seed: int) -> None:
    made.reload(moved(made, random.Random(seed)))
    found = [as_found(record) for record in made.detect(index=made.new_index())]
    expected = made.plain()
    assert [one.net for one in found] == [one.net for one in expected]
    # What equal nets have in common may come in either order.
    assert sorted(found) == sorted(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, 2**32))
def test_what_the_index_remembers_of_earlier_blocks_changes_no_result(made: Bench, seed: int) -> None:
    """It starts the search elsewhere, so a profit may differ by what one gas costs, and nothing else."""
    made.reload(moved(made, random.Random(seed)))
    nets = made.detect()["net"].tolist()
    assert nets == pytest.approx([one.net for one in made.plain()], rel=1e-11, abs=bench.GAS_PRICE_WEI)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(0, 2**32))
def test_every_record_is_exact(made: Bench, seed: int) -> None:
    made.reload(moved(made, random.Random(seed)))
    for record in made.detect():
        amounts, tokens = amounts_of(record), made.market.shape.pool_tokens
        for leg, sold, bought in zip(legs_of(record), amounts[:-1], amounts[1:], strict=True):
            assert made.market.quote(*leg, sold) == bought
        assert amounts[-1] > amounts[0]
        path = [tokens[leg.pool][leg.i] for leg in legs_of(record)]
        assert path[0] == tokens[legs_of(record)[-1].pool][legs_of(record)[-1].j] == int(record["token"])
        assert len(set(path)) == len(path)
        assert len({leg.pool for leg in legs_of(record)}) == len(path)


def cycle_count(made: Bench) -> int:
    assert isinstance(made.index, EnumeratedIndex)
    return made.index.cycle_count


def test_only_cycles_through_dirty_pools_are_looked_at(made: Bench) -> None:
    made.reload(moved(made, random.Random(1)))
    made.detect()
    assert made.index.statistics().looked_at == cycle_count(made)
    assert len(made.detect()) == made.index.statistics().looked_at == 0
    made.reload({3: made.market.row(3)})
    for record in made.detect():
        assert 3 in {leg.pool for leg in legs_of(record)}
    assert 0 < made.index.statistics().looked_at < cycle_count(made)


def test_a_pool_that_waits_for_its_row_takes_part_in_nothing(made: Bench) -> None:
    made.reload(moved(made, random.Random(2)))
    pool = legs_of(made.detect()[0])[0].pool
    made.market._memory.pools[pool]["flags"] &= ~1
    made.fused.load("tallyio.market.apply").mark_dirty(made.market.state, pool)
    assert len(made.detect()) == 0
    made.reload({pool: made.market.row(pool)})
    assert pool in {leg.pool for record in made.detect() for leg in legs_of(record)}


def test_no_more_is_written_than_there_is_room_for(made: Bench) -> None:
    rows = moved(made, random.Random(3))
    made.reload(rows)
    everything = made.detect()
    assert len(everything) > 2
    made.reload(rows)
    few = made.detect(capacity=2)
    assert [as_found(record) for record in few] == sorted(
        (as_found(record) for record in few), key=lambda found: found.net, reverse=True
    )
    assert len(few) == 2


def test_another_index_over_the_same_market_has_its_own_terms(made: Bench) -> None:
    rows = moved(made, random.Random(3))
    made.reload(rows)
    nets = made.detect(index=made.new_index())["net"].tolist()
    for terms in ({"top_k": 2}, {"min_profit_wei": int(nets[1])}):
        made.reload(rows)
        assert made.detect(index=made.new_index(**terms))["net"].tolist() == nets[:2]


def test_no_more_legs_than_wanted(made: Bench) -> None:
    for most in (2, 3, 4):
        seen = set()
        for seed in range(12):
            made.reload(moved(made, random.Random(seed)))
            found = made.detect(index=made.new_index(max_legs=most, top_k=CAPACITY))
            seen |= set(found["leg_count"].tolist())
        assert seen == set(range(2, most + 1))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"base_tokens": []}, "base_tokens is empty"),
        ({"base_tokens": ["0x12"]}, r"\[strategies.arbitrage.base_tokens\] an address is"),
        ({"base_tokens": ["0x" + "11" * 20], "max_legs": 5}, "max_legs must be from 2 to 4, was 5"),
        ({"base_tokens": ["0x" + "11" * 20], "hubs": 65}, "hubs must be from 1 to 64, was 65"),
        ({"base_tokens": ["0x" + "11" * 20], "top_k": 0}, "top_k must be from 1 to 64, was 0"),
        ({"base_tokens": ["0x" + "11" * 20], "within_gas": -1}, "within_gas must be at least 0, was -1"),
        ({"base_tokens": ["0x" + "11" * 20], "min_profit_wei": -1}, "min_profit_wei must be at least 0"),
        ({"base_tokens": ["0x" + "11" * 20], "max_leg": 2}, 'did you mean "max_legs"'),
    ],
)
def test_wrong_settings_say_what_is_wrong(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Arbitrage(settings_)


def test_base_tokens_that_nobody_trades_are_refused(made: Bench) -> None:
    stranger = Arbitrage({"base_tokens": ["0x" + "11" * 20]})
    with pytest.raises(ConfigError, match="no pool of the market holds any of base_tokens"):
        stranger.index(made.market.shape)
