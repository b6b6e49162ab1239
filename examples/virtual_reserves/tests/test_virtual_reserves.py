"""Quotes, rows and calls against the contract's own bytecode, on an EVM in this process."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import vyper
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_protocol_virtual_reserves import hot, reference
from tallyio_protocol_virtual_reserves.adapter import VirtualReserves
from tallyio_protocol_virtual_reserves.bench import row_of

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError, EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

SOURCE = Path(__file__).parents[1] / "contracts" / "VirtualReserves.vy"
NAME = "virtual_reserves"
ANYBODY = Address(b"\x42" * 20)
CASES = 500

states = st.tuples(*(st.integers(0, reference.MOST) for _ in range(4)))


def word(value: int) -> bytes:
    return value.to_bytes(32)


class Shop:
    """A pool of WETH and USDC beside the lab's, with what it needs to be traded with."""

    def __init__(self) -> None:
        self.chain = RevmChain()
        code = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode"])["bytecode"]
        self.tokens = [self.chain.world.tokens[symbol].address for symbol in ("WETH", "USDC")]
        arguments = (
            b"".join(token.rjust(32, b"\0") for token in self.tokens) + word(10**20) + word(3 * 10**11)
        )
        self.pool = self.chain.backend.deploy(bytes.fromhex(code[2:]) + arguments)
        self.adapter = VirtualReserves({"pools": ["0x" + self.pool.hex()]})

    def set_state(self, reserves: tuple[int, int]) -> None:
        """Write reserves into the pool's storage, where its first two slots are."""
        for slot, value in enumerate(reserves):
            self.chain.backend.evm.insert_account_storage("0x" + self.pool.hex(), slot, value)

    def quote(self, i: int, amount: int) -> int | None:
        """Return what the contract would pay; None where it reverts."""
        try:
            data = selector("quote(uint256,uint256)") + word(i) + word(amount)
            return int.from_bytes(self.chain.backend.call(Call(to=self.pool, data=data)))
        except EnvironmentFault:
            return None

    async def row(self) -> bytes:
        """Return the pool's row, read afresh."""
        pools = await self.adapter.discover(self.chain, block=self.chain.latest)
        (row,) = await self.adapter.load(self.chain, pools, block=self.chain.latest)
        return row


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def compiled(state: tuple[int, ...], i: int, amount: int) -> int:
    """Return the compiled quote for a state."""
    row = row_of((state[0], state[1], state[2], state[3]))
    return int(hot.quote(row.address, i, 1 - i, amount))


@settings(deadline=None)  # the first call compiles
@given(states, st.integers(0, 1), st.integers(0, 2**112))
def test_the_compiled_quote_equals_its_reference(state: Any, i: int, amount: int) -> None:
    assert compiled(state, i, amount) == reference.quote(state, i, amount)


async def test_quotes_equal_the_bytecode_in_success_and_in_revert(shop: Shop) -> None:
    """Whatever the contract pays is quoted to the unit; where it reverts, nothing is quoted."""
    draw, paid = random.Random(7), 0
    with shop.chain.backend.undone():
        for _ in range(CASES):
            reserves = draw.getrandbits(draw.randrange(113)), draw.getrandbits(draw.randrange(113))
            shop.set_state(reserves)
            i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(1, 114))
            said = shop.quote(i, amount)
            state = (*reserves, 10**20, 3 * 10**11)
            assert compiled(state, i, amount) == reference.quote(state, i, amount) == (said or 0)
            paid += said is not None
    assert CASES // 10 < paid < CASES


async def test_a_row_follows_the_events_and_a_swap_pays_what_was_quoted(shop: Shop) -> None:
    chain = shop.chain
    (pool,) = await shop.adapter.discover(chain, block=chain.latest)
    assert list(pool.tokens) == shop.tokens
    with chain.backend.undone():
        fill = [
            _give(shop, token, amount) for token, amount in zip(shop.tokens, (10**18, 3 * 10**9), strict=True)
        ]
        block = chain.block_of(*fill, Call(to=shop.pool, data=selector("sync()")))
        row = _applied(await shop.row(), block.logs[-1].data)
        assert row == await shop.row()

        amount = 10**15
        expected = compiled(tuple(_words(row)), 0, amount)
        calls = shop.adapter.swap(
            pool,
            token_in=0,
            token_out=1,
            amount_in=amount,
            amount_out=expected,
            recipient=ANYBODY,
            inner=(),
            encode=lambda _: b"",
        )
        block = chain.block_of(*calls)
        assert int.from_bytes(chain.backend.call(balance_of(shop.tokens[1], ANYBODY))) == expected > 0
        assert _applied(row, block.logs[-1].data) == await shop.row()


async def test_an_address_that_is_no_pool_is_named(shop: Shop) -> None:
    wrong = VirtualReserves({"pools": ["0x" + ANYBODY.hex()]})
    with pytest.raises(ChainError, match="is no such pool; check pools"):
        await wrong.discover(shop.chain, block=shop.chain.latest)


def test_it_is_installed_and_sound() -> None:
    plugin = Catalog.scan().sound("protocol", NAME)
    assert plugin.contract is not None
    assert PluginHost(Catalog.scan()).protocol(NAME, {"pools": []}).topics


def _give(shop: Shop, token: Address, amount: int) -> Call:
    return Call(
        to=token, data=selector("transfer(address,uint256)") + shop.pool.rjust(32, b"\0") + word(amount)
    )


def _applied(row: bytes, data: bytes) -> bytes:
    """Return a row after an event, as compiled code applies it."""
    memory = Region(len(row) + len(data))
    memory.view("u1", len(row) + len(data))[:] = bytearray(row + data)
    hot.apply_log(memory.address, 0, 0, memory.address + len(row), len(data))
    return bytes(memory.view("u1", len(row)))


def _words(row: bytes) -> list[int]:
    return [int.from_bytes(row[k : k + 32]) for k in range(0, len(row), 32)]
