"""Settings of the whole test suite."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

from tallyio.native.jit import use_cache

# The first example of a property may compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None)
settings.load_profile("tallyio")

# Compiled code is cached by what it is made of, and the tests import the plugins' code directly.
use_cache(sorted(Path(__file__).parent.glob("plugins/*/*/tallyio_*/**/*.py")))
