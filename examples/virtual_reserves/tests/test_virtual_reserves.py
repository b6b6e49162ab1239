"""Quotes, rows and calls against the contract's own bytecode, on an EVM in this process.

The conformance cards let the plugin find, quote and trade two pools; the other tests put a pool into states
that no trade leads to.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import vyper
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_protocol_virtual_reserves import hot, reference
from tallyio_protocol_virtual_reserves.adapter import VirtualReserves
from tallyio_protocol_virtual_reserves.bench import row_of

from tallyio.model.errors import ChainError, EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.testing import BareWorld, ProtocolCards, RevmChain

SOURCE = Path(__file__).parents[1] / "contracts" / "VirtualReserves.vy"
ANYBODY = Address(b"\x42" * 20)
CASES = 500
RAISED = (10**20, 3 * 10**11)
"""The virtual reserves of a pool of WETH and USDC, or of tokens like them."""
HELD = (10**19, 3 * 10**10)
"""What the pools of the cards hold besides."""
SYNC = selector("sync()")
MINT = selector("mint(address,uint256)")

states = st.tuples(*(st.integers(0, reference.MOST) for _ in range(4)))


def word(value: int) -> bytes:
    return value.to_bytes(32)


def address_word(value: Address) -> bytes:
    return value.rjust(32, b"\0")


def deploy_pool(chain: RevmChain, raised: tuple[int, int] = RAISED) -> Address:
    """Deploy a pool of the tokens ONE and SIX, which have 18 and 6 decimals."""
    code = vyper.compile_code(SOURCE.read_text(), output_formats=["bytecode"])["bytecode"]
    arguments = b"".join(map(address_word, tokens_of(chain))) + b"".join(map(word, raised))
    return chain.backend.deploy(bytes.fromhex(code[2:]) + arguments)


def tokens_of(chain: RevmChain) -> list[Address]:
    return [chain.world.tokens[symbol].address for symbol in ("ONE", "SIX")]


class TestConformance(ProtocolCards):
    """The cards: one pool that is raised by much, and one that is hardly."""

    plugin = "virtual_reserves"

    def chain(self) -> RevmChain:
        """Return an EVM with a few tokens."""
        return RevmChain(BareWorld())

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy the pools, and let them take what they are given."""
        pools = [deploy_pool(chain), deploy_pool(chain, (1, 1))]
        for pool in pools:
            gifts = zip(tokens_of(chain), HELD, strict=True)
            mints = (Call(to=token, data=MINT + address_word(pool) + word(amount)) for token, amount in gifts)
            chain.block_of(*mints, Call(to=pool, data=SYNC))
        return {"pools": ["0x" + pool.hex() for pool in pools]}

    def changes(self, chain: RevmChain, pools: Sequence[PoolSpec]) -> Sequence[Call]:
        """Let a pool take what was given to it for nothing."""
        return [Call(to=pool.address, data=SYNC) for pool in pools]

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Return the specification's quote."""
        x, y, raised_x, raised_y = (int.from_bytes(row[k : k + 32]) for k in range(0, len(row), 32))
        return reference.quote((x, y, raised_x, raised_y), i, amount_in)


class Shop:
    """A pool whose reserves are ours to write."""

    def __init__(self) -> None:
        self.chain = RevmChain(BareWorld())
        self.pool = deploy_pool(self.chain)

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
            state = (*reserves, *RAISED)
            assert compiled(state, i, amount) == reference.quote(state, i, amount) == (said or 0)
            paid += said is not None
    assert CASES // 10 < paid < CASES


async def test_an_address_that_is_no_pool_is_named(shop: Shop) -> None:
    wrong = VirtualReserves({"pools": ["0x" + ANYBODY.hex()]})
    with pytest.raises(ChainError, match="is no such pool; check pools"):
        await wrong.discover(shop.chain, block=shop.chain.latest)
