"""What compiled code does that its source does not say.

Layer: native. For tests: looking takes milliseconds.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tallyio.native.jit import HotFunction, warm

_ALLOCATES: Final = re.compile(r"@(NRT_(?:Allocate|MemInfo_(?:alloc|new|varsize_alloc))\w*)")


def allocations(function: HotFunction[..., Any]) -> list[str]:
    """Return the functions by which the machine code of `function` would take memory: none, by the rules."""
    warm(function)
    overload: Any = next(iter(function.overloads.values()))
    # What numba links into callers: the function as it was optimised, also when it came from the cache.
    return sorted(set(_ALLOCATES.findall(str(overload.library._get_module_for_linking()))))  # noqa: SLF001
