"""What an author tells the cards of a protocol, and what they are written with.

Layer: testing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from tallyio.hooks.contract import Kind
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import Block
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.testing.cards import Cards
from tallyio.testing.funds import give
from tallyio.testing.pool_desk import Direction, PoolDesk, Row
from tallyio.testing.revm_chain import RevmChain

_TRADES: Final = 12
"""How many swaps a history has."""


class PoolCards(Cards):
    """What the author overrides, and the amounts, trades and blocks that `ProtocolCards` are made of."""

    kind: ClassVar[Kind] = "protocol"

    quotes: ClassVar[int] = 200
    """How many random amounts are compared with the contract, over all pools and directions."""
    curve_units: ClassVar[float] = 2.0
    """By how many smallest units, of either token, `curve` may be off besides its relative error.

    Two for each rounding that a quote is made of: a pool that crosses ticks has more than one.
    """
    seed: ClassVar[int] = 1
    """Of the amounts: two runs try the same."""

    def chain(self) -> RevmChain:
        """Return a fresh chain; by default the lab's world. Called once for all cards."""
        return RevmChain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy what the plugin is to find, unless it is there, and return the plugin's settings table.

        Called once, after `chain`. A few pools of every shape that the plugin claims are enough.
        """
        raise NotImplementedError

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Give `account` so much of `token` more.

        By default as the lab's token has it, `mint(address,uint256)`, the native currency by decree and
        the chain's wrapped native token by a deposit.
        """
        give(chain, token, account, amount)

    def changes(self, chain: RevmChain, pools: Sequence[PoolSpec]) -> Sequence[Call]:
        """Return calls, made by `tallyio.lab.world.OPERATOR`, that change the pools besides swaps.

        Deposits, withdrawals, new fees: each is made in a block of its own, between swaps, and the rows
        must follow. By default none.
        """
        return ()

    def pays(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_in: int) -> int | None:
        """Return what the contract says that `amount_in` of token `i` buys of token `j`; 0: it reverts.

        By default None: the plugin's own calls are then executed, and what arrives is believed. Override
        it where the contract has a view for it, and more is compared in less time.
        """
        return None

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int | None:
        """Return what the contract takes of token `i` for exactly `amount_out` of `j`; 0: it reverts.

        By default None: then the plugin's calls must bring the output for the quoted input.
        """
        return None

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Return the quote from the plugin's reference in Python integers. Capability "reference"."""
        raise NotImplementedError

    def meaning(self, row: bytes) -> object:
        """Return what of a row must be equal after logs and after a fresh load; by default every byte."""
        return row

    def curve_slack(self, chain: RevmChain, pool: PoolSpec, j: int) -> float:
        """Return by how many smallest units of token `j` the curve may be off besides `curve_units`.

        For contracts whose own arithmetic is off by a part of the reserve. By default none.
        """
        return 0.0

    def known_exception(self, pool: PoolSpec, i: int, j: int, amount: int) -> str:
        """Return the name of the documented exception because of which this quote may differ; "": none."""
        return ""

    # --- what the cards stand on ---------------------------------------------------------------

    @property
    def desk(self) -> PoolDesk:
        """The author's pools, and an executor that trades in them; made once for all cards."""
        return self.once("desk", self._make_desk)

    def _make_desk(self) -> PoolDesk:
        chain = self.chain()
        settings = self.settings(chain)
        return PoolDesk(chain, self.host.protocol(self.plugin, settings), self.fund)

    # --- amounts, trades, blocks ---------------------------------------------------------------

    def _amounts(self, rows: Sequence[Row]) -> Iterator[tuple[Direction, int]]:
        """Yield directions and amounts, from one unit to beyond the largest that is quoted."""
        desk, draw = self.desk, random.Random(self.seed)
        ways = desk.directions()
        most = {way: desk.most(rows[way.pool], way) for way in ways}
        for number in range(self.quotes):
            way = ways[number % len(ways)]
            bits = draw.randrange(1, max(most[way].bit_length(), 1) + 2)
            yield way, min(draw.getrandbits(bits) | 1 << (bits - 1), desk.holds(way))

    def _tradeable(self, rows: Sequence[Row]) -> Iterator[tuple[Direction, int]]:
        """Yield a middling amount of each direction that pays something."""
        desk = self.desk
        for way in desk.directions():
            amount = min(desk.middling(rows[way.pool], way), desk.holds(way))
            if desk.quote(rows[way.pool], way, amount):
                yield way, amount

    def _check_paid(self, way: Direction, amount: int, quoted: int, *, fix: str) -> None:
        """Compare a quote with the contract, unless a documented exception covers it."""
        desk, pool = self.desk, self.desk.pools[way.pool]
        if self.known_exception(pool, way.i, way.j, amount):
            return
        said = self.pays(desk.chain, pool, way.i, way.j, amount)
        said = desk.paid(way, amount, quoted) if said is None else said
        self.require(
            quoted == said,
            f"for {desk.named(way)}, amount {amount}, the contract pays {said}, the plugin says {quoted}",
            fix=fix,
        )

    def _check_exact_out(self, way: Direction, row: Row, enough: int, wanted: int) -> bool:
        """Check what `wanted` costs, which `enough` would buy; return whether it can be had."""
        desk = self.desk
        taken = desk.quote_exact_out(row, way, wanted)
        said = self.takes(desk.chain, desk.pools[way.pool], way.i, way.j, wanted)
        where = f"for {desk.named(way)}, {wanted} out"
        fix = "compute as the contract's exact-output swap does, with its rounding; 0 where it would revert"
        if said is not None:
            self.require(
                taken == said, f"{where}, the contract takes {said}, the plugin says {taken}", fix=fix
            )
            return taken > 0
        self.require(0 < taken <= enough, f"{where}, {enough} buys it, the plugin says {taken}", fix=fix)
        traded = desk.try_trade(way, taken, wanted)
        self.require(
            traded is not None and traded.spent == taken and traded.got >= wanted,
            f"{where}, {taken} in, really moved are {traded}",
            fix=fix,
        )
        return True

    def _history(self, rows: Sequence[Row]) -> Iterator[Block]:
        """Make blocks of swaps and of the author's changes, and yield each while it is the head."""
        desk, draw = self.desk, random.Random(self.seed)
        changes = list(self.changes(desk.chain, desk.pools))
        ways = [way for way, _ in self._tradeable(rows)]
        for way in draw.choices(ways, k=_TRADES) if ways else ():
            row = Row(desk.load()[way.pool])
            amount = min(desk.middling(row, way), desk.holds(way))
            quoted = desk.quote(row, way, amount)
            desk.chain.backend.block(())
            if quoted and desk.trade(way, amount, quoted):
                yield desk.chain.block(desk.chain.backend.number)
            if changes:
                yield desk.chain.block_of(changes.pop(0), sender=OPERATOR)
        yield desk.chain.block_of()
