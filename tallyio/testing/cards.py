"""What a conformance card is, and the cards that every kind of plugin has.

Layer: testing. A card is a numbered test with a rule. Its failure says the rule, what was observed and
how to mend it. It is skipped for one reason only: the plugin's `contract.toml` does not declare the
capability that the card is about, and the skip names it.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar, Final, NoReturn, cast

import msgspec
import trio

from tallyio.hooks.catalog import Catalog, Installed
from tallyio.hooks.contract import Contract, Kind
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import MissingExtraError, PluginError, root_of

try:
    import pytest
except ImportError:
    raise MissingExtraError("testing", "conformance cards") from None

_NAME: Final = re.compile(r"test_([a-z]\d\d)_")
_CARD: Final = "__tallyio_card__"


class Card(msgspec.Struct, frozen=True):
    """One card, as reports and the documentation show it."""

    number: str
    """A letter for the kind of plugin, and two digits."""
    rule: str
    """What must hold, in one sentence."""
    needs: str = ""
    """The capability without which the card does not apply; empty: it always applies."""


def card(*, needs: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a card of a method `test_x01_...`, whose docstring begins with the rule."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        found = _NAME.match(test.__name__)
        rule = (inspect.getdoc(test) or "").partition("\n\n")[0].replace("\n", " ")
        if found is None or not rule:
            raise TypeError(f"{test.__qualname__} is no card: name it test_x01_... and give it a docstring")
        setattr(test, _CARD, Card(found[1].upper(), rule.rstrip("."), needs))
        return test

    return mark


def card_of(test: object) -> Card | None:
    """Return the card that a test function is, or None."""
    return getattr(test, _CARD, None)


def cards_of(cards: type[Cards]) -> list[Card]:
    """Return the cards of a class by number, those that all kinds have first."""
    tests = [getattr(cards, name) for name in dir(cards) if name.startswith("test_")]
    found = [made for made in map(card_of, tests) if made is not None]
    return sorted(found, key=lambda made: (not made.number.startswith("C"), made.number))


class Cards:
    """The cards of one plugin: what all kinds have in common.

    A subclass per kind adds its own. An author's subclass names the plugin, overrides what its kind asks
    for, and may add tests of its own.
    """

    plugin: ClassVar[str]
    """The plugin's name, as its entry point and its contract have it."""
    kind: ClassVar[Kind]
    """The kind of plugin; the class of cards says it."""

    _card: Card = Card("", "")
    _shared: ClassVar[dict[str, object]]

    @classmethod
    def setup_class(cls) -> None:
        """Forget what another class made."""
        cls._shared = {}

    @classmethod
    def teardown_class(cls) -> None:
        """Let go of what the cards shared."""
        cls._shared = {}

    def once[T](self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` made the first time that a card of this class asked for `name`."""
        if name not in self._shared:
            self._shared[name] = make()
        return cast("T", self._shared[name])

    def run[T](self, main: Callable[[], Awaitable[T]]) -> T:
        """Run `main` with Trio; a card that failed within nurseries fails as if there were none."""

        async def run() -> T:
            return await main()

        try:
            return trio.run(run)
        except BaseExceptionGroup as group:
            failed = root_of(group, pytest.fail.Exception)
            if failed is None:
                raise
        raise failed

    def setup_method(self, method: Callable[..., None]) -> None:
        """Skip the card that is about to run if the contract does not declare its capability."""
        self._card = card_of(method) or Card("", "")
        needs = self._card.needs
        if needs and needs not in self.contract.capabilities:
            pytest.skip(
                f"{self._card.number}: {self.plugin} declares no capability {needs!r} in contract.toml"
            )

    def fail(self, observed: str, *, fix: str) -> NoReturn:
        """Fail the running card: say the rule, what was observed, and the way out."""
        said = f"{self._card.number} {self._card.rule}: {observed}. Fix: {fix}"
        pytest.fail(said, pytrace=False)

    def require(self, holds: object, observed: str, *, fix: str) -> None:
        """Fail the running card unless something holds."""
        if not holds:
            self.fail(observed, fix=fix)

    @property
    def installed(self) -> Installed:
        """What the catalog says of the plugin. A broken contract fails the card."""
        try:
            return self.once("catalog", Catalog.scan).sound(self.kind, self.plugin)
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)

    @property
    def contract(self) -> Contract:
        """The plugin's contract. A broken one fails the card."""
        contract = self.installed.contract
        if contract is None:
            self.fail("it was refused", fix="see `tallyio plugins list`")
        return contract

    @property
    def folder(self) -> Path:
        """The plugin's package."""
        return Path(self.installed.folder or "")

    @property
    def host(self) -> PluginHost:
        """A fresh host, which builds the plugin."""
        return PluginHost(self.once("catalog", Catalog.scan))

    @card()
    def test_c01_the_contract_is_readable(self) -> None:
        """The installed plugin has a sound contract.toml for this kind."""
        self.require(
            self.contract.summary.strip(),
            "the contract's summary is empty",
            fix="say in one sentence what the plugin is, in contract.toml",
        )

    @card()
    def test_c02_the_hook_fits_its_specification(self) -> None:
        """The plugin's module imports, and its hooks fit the specification."""
        try:
            self.host.load(self.kind, self.plugin)
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)

    @card()
    def test_c03_every_promised_benchmark_is_there(self) -> None:
        """Each [[bench]] names a script that parses, and another benchmark as its reference."""
        for bench in self.contract.bench:
            text = (self.folder / bench.script).read_text(encoding="utf-8")
            try:
                ast.parse(text, bench.script)
            except SyntaxError as error:
                self.fail(f"{bench.script} does not parse ({error})", fix="mend the script")
            self.require(
                bench.name != bench.reference,
                f"{bench.name!r} is its own reference",
                fix="name a benchmark of the same script that does the work in another way",
            )
