"""Run one card of a class as pytest would, and return how it failed; and what stands in for a real part."""

from __future__ import annotations

from typing import Any

import pytest

from tallyio.testing import Cards


def failure(cards: type[Cards], test: str) -> str:
    """Return what card `test` of `cards` says when it fails; it must."""
    made = cards()
    cards.setup_class()
    try:
        made.setup_method(getattr(made, test))
        with pytest.raises(pytest.fail.Exception) as caught:
            getattr(made, test)()
    finally:
        cards.teardown_class()
    return str(caught.value)


class Instead:
    """The real thing, but for what a fault replaces."""

    def __init__(self, real: object, **faults: object) -> None:
        self._real, self._faults = real, faults

    def __getattr__(self, name: str) -> Any:
        return self._faults[name] if name in self._faults else getattr(self._real, name)
