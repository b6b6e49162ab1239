"""Sets of PUs by OS index, and the list form that Linux writes ("0-5,48-53").

Layer: kernel. Imports nothing of ours but the errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tallyio.model.errors import ConfigError

CpuSet = frozenset[int]
"""PUs by OS index: what the kernel of the OS calls a CPU number."""

MAX_PUS = 8_192
"""More PUs than Linux can be built for (CONFIG_NR_CPUS): a larger number is a mistake."""


def parse_cpuset(text: str) -> CpuSet:
    """Return the PUs that `text` lists, such as "0-5,48-53"; blank text lists none.

    Raises: ConfigError: not a list of PU numbers and ranges, or a number beyond `MAX_PUS`.
    """
    try:
        return frozenset(pu for part in text.strip().split(",") if part for pu in _range(part))
    except ValueError:
        raise ConfigError(
            f"{text.strip()!r} is no list of PUs", way_out='write numbers and ranges, such as "0-5,48-53"'
        ) from None


def format_cpuset(pus: Iterable[int]) -> str:
    """Return `pus` in list form: ascending, neighbours joined ("0-5,48-53"), "none" when empty."""
    ordered = sorted(set(pus))
    if not ordered:
        return "none"
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after != before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after != before + 1), ordered[-1]]
    return ",".join(
        str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)
    )


def _range(part: str) -> range:
    first, dash, last = part.strip().partition("-")
    start, end = int(first), int(last if dash else first)
    if not 0 <= start <= end < MAX_PUS:
        raise ValueError(part)
    return range(start, end + 1)
