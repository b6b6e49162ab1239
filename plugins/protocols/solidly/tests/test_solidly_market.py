"""The plugin in a market: fused, fed with blocks, and asked for exact output."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tallyio_protocol_solidly import reference
from tallyio_protocol_solidly.adapter import TOPICS, Solidly
from tallyio_protocol_solidly.layout import (
    SOLVER_SOLIDLY,
    SOLVER_VELODROME_V2,
    VOLATILE,
    pack_row,
    unpack_reserves,
)

from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Block, Log
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.testing.revm_chain import head_at

FACTORY = Address(b"\xfa" * 20)
KINDS = (VOLATILE, SOLVER_SOLIDLY, SOLVER_VELODROME_V2)
POOLS = tuple(
    PoolSpec(
        address=Address(bytes([number]) * 20),
        tokens=(Address(b"\1" * 20), Address(b"\2" * 20)),
        venue="mine",
        fee_pips=3000,
        can_flash=False,
        log_sources=(LogSource(Address(bytes([number]) * 20)), LogSource(FACTORY)),
    )
    for number, _ in enumerate(KINDS, 0x10)
)
STATES = tuple(reference.Pool((10**12, 10**24), (10**6, 10**18), kind) for kind in KINDS)


@pytest.fixture
def market() -> Iterator[Market]:
    compiled = Solidly({"venues": [{"name": "mine", "preset": "aerodrome"}]}).compiled
    rows = tuple(
        pack_row(
            state.reserves,
            units=state.units,
            kind=state.kind,
            fee_numerator=state.fee_numerator,
            fee_denominator=state.fee_denominator,
            pool=pool.address,
        )
        for state, pool in zip(STATES, POOLS, strict=True)
    )
    held = Holding(protocol="solidly", compiled=compiled, topics=TOPICS, pools=POOLS, rows=rows)
    with Market(fuse([("solidly", compiled)]), [held], Head(head_at(0).hash, 0)) as made:
        yield made


def block_with(source: Address, topics: tuple[bytes, ...], data: bytes) -> Block:
    head = head_at(1)
    log = Log(
        address=source,
        topics=topics,
        data=data,
        block_hash=head.hash,
        block_number=1,
        log_index=0,
        transaction_hash=Hash(bytes(32)),
    )
    return Block(head=head, logs=(log,), bytes_in_ns=0, decoded_ns=0)


def test_quotes_of_every_kind_are_the_references(market: Market) -> None:
    for number, state in enumerate(STATES):
        assert market.quote(number, 0, 1, 10**9) == reference.quote(state, 0, 10**9) > 0


def test_exact_output_is_the_least_input_that_reaches_it(market: Market) -> None:
    for number, state in enumerate(STATES):
        for wanted in (1, 10**18, 123_456_789 * 10**12, 10**23):
            least = market.quote_exact_out(number, 1, 0, wanted // 10**12 + 1)
            assert reference.quote(state, 1, least) > wanted // 10**12 >= reference.quote(state, 1, least - 1)


def test_a_sync_reaches_its_pool_and_is_undone_with_its_block(market: Market) -> None:
    before = market.row(1)
    data = (5 * 10**12).to_bytes(32) + (10**24).to_bytes(32)
    block = block_with(POOLS[1].address, (TOPICS[0],), data)
    market.apply(block)
    assert market.dirty == (1,)
    assert unpack_reserves(market.row(1)) == (5 * 10**12, 10**24)
    market.roll_back(block.head.hash)
    assert market.row(1) == before


def test_a_custom_fee_of_the_factory_disables_the_pool_that_it_names(market: Market) -> None:
    topic = POOLS[2].address.rjust(32, b"\0")
    market.apply(block_with(FACTORY, (TOPICS[1], topic), (77).to_bytes(32)))
    assert [market.is_enabled(number) for number in range(3)] == [True, True, False]
    assert market.waiting == (2,)


def test_a_pause_of_the_factory_disables_all_its_pools(market: Market) -> None:
    market.apply(block_with(FACTORY, (TOPICS[2],), (1).to_bytes(32)))
    assert market.waiting == (0, 1, 2)
