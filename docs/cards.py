"""Parts of the reference about conformance cards: what they check, and what an author tells them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from docs.interfaces import attribute_docs
from tallyio.testing.cards import Cards, cards_of


def cards(place: str) -> str:
    """Return the cards of a class as a table: number, rule, capability."""
    rows = [
        f"| {made.number} | {made.rule} | {f'`{made.needs}`' if made.needs else ''} |"
        for made in cards_of(_find(place))
    ]
    return "\n".join(["| card | rule | only with the capability |", "| --- | --- | --- |", *rows])


def author(place: str) -> str:
    """Return what an author overrides of a class of cards: attributes and methods, with what they mean."""
    return "\n".join(f"- `{name}`: {' '.join(text.split())}" for name, text in _told(_find(place)))


def _told(found: type[Cards]) -> Iterator[tuple[str, str]]:
    for kind in reversed(found.__mro__):
        if not issubclass(kind, Cards) or kind is Cards:
            continue
        yield from attribute_docs(importlib.import_module(kind.__module__), kind.__name__).items()
        for name, value in vars(kind).items():
            is_card = name.startswith(("_", "test_", "teardown")) or not inspect.isfunction(value)
            if not is_card:
                arguments = ", ".join(list(inspect.signature(value).parameters)[1:])
                yield f"{name}({arguments})", inspect.getdoc(value) or ""


def _find(place: str) -> type[Cards]:
    module, _, name = place.partition(":")
    found: type[Cards] = getattr(importlib.import_module(module), name)
    return found
