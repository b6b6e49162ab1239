"""Compare what a command printed with what a page shows: words exactly, numbers by their shape."""

from __future__ import annotations

import re
from typing import Final

ANYTHING: Final = "…"
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")


def agrees(shown: str, printed: str) -> bool:
    """Return whether `printed` is what `shown` promises.

    Numbers may differ, runs of spaces too. An ellipsis stands for any text in its line, and a line of
    nothing else for any lines.
    """
    return re.fullmatch(_pattern(shown), _plain(printed)) is not None


def _pattern(shown: str) -> str:
    return "".join(
        r"(?:[^\n]*\n)*?" if line == ANYTHING else re.escape(line).replace(ANYTHING, r"[^\n]*") + r"\n"
        for line in _plain(shown).splitlines()
    )


def _plain(text: str) -> str:
    lines = (" ".join(_NUMBER.sub("0", line).split()) for line in text.strip("\n").splitlines())
    return "".join(f"{line}\n" for line in lines)
