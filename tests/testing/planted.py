"""Run one card of a class as pytest would, and return how it failed."""

from __future__ import annotations

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
