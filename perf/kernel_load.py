"""Load every compiled function of the core from the cache, and print how long that took, in seconds.

    python perf/kernel_load.py

Prints two numbers: the first function, which also starts the compiler's library, and all others.
"""

from __future__ import annotations

import importlib
import pkgutil
import time

import tallyio
from tallyio.model.errors import ConfigError
from tallyio.native.jit import HotFunction, is_hot, warm, warm_all


def hot_functions() -> list[HotFunction[..., object]]:
    """Return all hot functions of the core but those that exist only with plugins."""
    found: dict[int, HotFunction[..., object]] = {}
    for part in ("native", "kernel", "market", "engine"):
        for module in pkgutil.iter_modules([f"{tallyio.__path__[0]}/{part}"], f"tallyio.{part}."):
            try:
                members = vars(importlib.import_module(module.name))
            except ConfigError:
                continue  # made of the enabled plugins
            found |= {id(member): member for member in members.values() if is_hot(member)}
    return list(found.values())


def main() -> None:
    """Load and print."""
    first, *others = hot_functions()
    start = time.perf_counter()
    warm(first)
    between = time.perf_counter()
    warm_all(others)
    print(between - start, time.perf_counter() - between, 1 + len(others))


if __name__ == "__main__":
    main()
