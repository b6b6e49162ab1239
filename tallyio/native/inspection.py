"""What compiled code does that its source does not say.

Layer: native. For tests: looking takes milliseconds.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tallyio.native.jit import HotFunction

_ALLOCATES: Final = re.compile(r"@(NRT_(?:Allocate|MemInfo_(?:alloc|new|varsize_alloc))\w*)")


def allocations(function: HotFunction[..., Any]) -> list[str]:
    """Return the functions by which the code of `function` would take memory: none, by the rules."""
    return sorted(set(_ALLOCATES.findall(str(function.merged()))))
