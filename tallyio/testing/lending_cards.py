"""The cards of a protocol whose positions can be liquidated.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, Final

from tallyio.hooks.contract import LENDING, Kind
from tallyio.hooks.lending import BookRows, LendingProtocol
from tallyio.lending import abi
from tallyio.lending.fusion import EXPORTS
from tallyio.market.exports import Steps, check_exports
from tallyio.model.errors import PluginError
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.native.inspection import allocations
from tallyio.testing.cards import Cards, card
from tallyio.testing.revm_chain import RevmChain

_ROW_UNIT: Final = 64


class LendingCards(Cards):
    """The cards of a plugin that builds a `LendingProtocol`: its contract names the capability "lending".

    The author deploys a book with some positions on an EVM in this process.
    """

    kind: ClassVar[Kind] = "protocol"

    def chain(self) -> RevmChain:
        """Return a fresh chain; by default the lab's world. Called once for all cards."""
        return RevmChain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy a book with positions, unless it is there; return the plugin's settings table."""
        raise NotImplementedError

    # --- what the cards stand on ---------------------------------------------------------------

    @property
    def world(self) -> RevmChain:
        """The chain, made once for all cards."""
        return self._made[0]

    @property
    def protocol(self) -> LendingProtocol:
        """The plugin's object, built once for all cards."""
        return self._made[1]

    @property
    def _made(self) -> tuple[RevmChain, LendingProtocol]:
        return self.once("made", self._make)

    def _make(self) -> tuple[RevmChain, LendingProtocol]:
        chain = self.chain()
        settings = self.settings(chain)
        return chain, self.host.lending(self.plugin, settings)

    # --- the cards -----------------------------------------------------------------------------

    @card()
    def test_l01_the_contract_names_lending(self) -> None:
        """The contract names the capability "lending", so the engine asks for `tallyio_lending`."""
        self.require(
            LENDING in self.contract.capabilities,
            f"it names {list(self.contract.capabilities)}",
            fix=f"add {LENDING!r} to the capabilities in contract.toml",
        )

    @card()
    def test_l02_discovery_finds_the_books(self) -> None:
        """`discover` finds the author's books, each once, and the same ones when it is asked again."""
        books = self._books()
        self.require(books, "it found none", fix="check `settings` of the cards, and `discover`")
        self.require(
            len({book.address for book in books}) == len(books) and self._books() == books,
            "it found a book twice, or other books at the same block",
            fix="let `discover` depend on settings and chain only",
        )
        for book in books:
            usable = [each for each in book.reserves if each.collateral or each.debt]
            self.require(
                usable and any(each.debt for each in usable),
                f"{book.venue!r} has the reserves {book.reserves}",
                fix="name the token of each reserve that secures or is lent",
            )

    @card()
    def test_l03_everything_is_read_at_the_given_block(self) -> None:
        """What is loaded is asked for at the block that was given, so that all of it agrees."""
        asked = self.world.asked_at
        del asked[:]
        for book in self._books():
            self._rows(book)
            self._positions(book, self._accounts(book))
        stray = {None if block is None else block.hex() for block in asked if block != self.world.latest.hash}
        self.require(not stray, f"it asked at {stray}", fix="pass `block=block.hash` to every `chain.call`")

    @card()
    def test_l04_rows_are_sound(self) -> None:
        """`load` gives a book one row of its own and one a reserve, of sizes that are multiples of 64."""
        for book in self._books():
            rows = self._rows(book)
            sizes = [len(row) for row in (rows.own, *rows.reserves)]
            self.require(
                len(rows.reserves) == len(book.reserves) and not any(size % _ROW_UNIT for size in sizes),
                f"{book.venue!r} has {len(book.reserves)} reserves and rows of {sizes} bytes",
                fix=f"return a row for each reserve, padded to a multiple of {_ROW_UNIT}",
            )
            self.require(
                self._rows(book) == rows,
                "two loads at the same block differ",
                fix="write every byte of a row from what the chain says",
            )

    @card()
    def test_l05_compiled_functions_have_their_signatures(self) -> None:
        """The compiled module defines the functions of the ABI with `hot` and exactly its signatures."""
        plugin = (self.plugin, self.protocol.compiled)
        try:
            check_exports(*plugin, EXPORTS, Steps(0, None), look_at=abi.__name__)
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)

    @card()
    def test_l06_hot_functions_allocate_nothing(self) -> None:
        """The compiled functions take no memory and hold no Python object: they run without the GIL."""
        module = import_module(self.protocol.compiled.module)
        for export in EXPORTS:
            for taken_by in allocations(getattr(module, export.name)):
                self.fail(
                    f"{module.__name__}.{export.name} takes memory by {taken_by}",
                    fix="work on rows by addresses, and on the stack: no array, list, set or text",
                )

    @card()
    def test_l07_positions_are_found_and_told_in_order(self) -> None:
        """`accounts` finds who owes, and `positions` answers each in order, in reserves of the book."""
        for book in self._books():
            keys = sorted(self._accounts(book))
            self.require(keys, f"{book.venue!r} has no account", fix="let somebody borrow in `settings`")
            found = self._positions(book, keys)
            self.require(
                [position.key for position in found] == keys and found == self._positions(book, keys),
                f"{len(keys)} keys of {book.venue!r} gave other positions, or others the second time",
                fix="answer one position a key, in the order of the keys",
            )
            wrong = [
                position
                for position in found
                for balance in position.balances
                if not 0 <= balance.reserve < len(book.reserves) or balance.collateral < 0 or balance.debt < 0
            ]
            self.require(not wrong, f"it told {wrong[:1]}", fix="number reserves as the book lists them")
            self.require(
                any(balance.debt for position in found for balance in position.balances),
                f"nobody owes in {book.venue!r}",
                fix="let somebody borrow in `settings`, or read debts",
            )

    # --- how it is asked -----------------------------------------------------------------------

    def _books(self) -> list[BookSpec]:
        return self.run(lambda: self.protocol.discover(self.world, block=self.world.latest))

    def _rows(self, book: BookSpec) -> BookRows:
        return self.run(lambda: self.protocol.load(self.world, book, block=self.world.latest))

    def _accounts(self, book: BookSpec) -> list[PositionKey]:
        return list(self.run(lambda: self.protocol.accounts(self.world, book, block=self.world.latest)))

    def _positions(self, book: BookSpec, keys: list[PositionKey]) -> list[Position]:
        return self.run(lambda: self.protocol.positions(self.world, book, keys, block=self.world.latest))
