"""Where commands print: JSON for programs, rich text for people.

Layer: cli.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: object) -> None:
    """Print `value` as one line of JSON on standard output; records become objects, bytes hex text.

    It is ASCII: what standard output cannot encode would be no JSON, or be lost.
    """
    import msgspec  # noqa: PLC0415 - `tallyio --help` prints no JSON

    text = msgspec.json.encode(value, enc_hook=_encode).decode()
    sys.stdout.write(re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def console(*, stderr: bool = False, wraps: bool = False) -> Console:
    """Return a console that knows its terminal; plain text where there is none, in whole lines or wrapped.

    It prints strings as they are: many hold what a plugin, a token or a file calls itself.
    """
    from rich.console import Console  # noqa: PLC0415 - rich takes a tenth of a second

    class Piped(Console):
        """Leaves it to `main` what a pipe that nobody reads any more means."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    return Piped(
        stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=not (wraps or stream.isatty())
    )


def _encode(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
