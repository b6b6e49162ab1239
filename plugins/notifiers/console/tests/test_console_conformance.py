"""The conformance cards, on standard error."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from tallyio.testing import NotifierCards
from tallyio.testing.notifier_cards import Mailbox


class TestConformance(NotifierCards):
    """Lines."""

    plugin = "console"

    @contextmanager
    def service(self, folder: Path) -> Iterator[Mailbox]:
        """Collect what is printed."""
        with redirect_stderr(io.StringIO()) as printed:
            yield Mailbox({}, lambda: printed.getvalue().splitlines())
