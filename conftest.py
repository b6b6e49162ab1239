"""Settings of the whole test suite."""

from __future__ import annotations

from hypothesis import settings

# The first example of a property may compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None)
settings.load_profile("tallyio")
