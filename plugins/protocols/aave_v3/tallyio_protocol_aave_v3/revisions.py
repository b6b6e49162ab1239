"""Which rules a pool follows, by its `POOL_REVISION`.

3.0 to 3.0.2 are revisions 1 to 3; 3.3 is 6 and 7, 3.5 is 9, 3.6 is 10, 3.7 is 11. The rules of 3.1, 3.2 and
3.4 (4, 5 and 8) differ from their neighbours', and are not known here.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.errors import ChainError
from tallyio.model.units import Address, checksum
from tallyio_protocol_aave_v3.layout import Rules

RULES_3_0: Final = Rules.SKIPS_ZERO | Rules.AVERAGES
RULES_3_3: Final = RULES_3_0 | Rules.BITMAPS | Rules.BY_TOTAL
RULES_3_6: Final = Rules.BITMAPS | Rules.DIRECTED | Rules.TAYLOR | Rules.BY_TOTAL
RULES_3_5: Final = RULES_3_6 | Rules.SKIPS_ZERO
RULES_3_7: Final = RULES_3_6 | Rules.SPLIT_DOWN

RULES: Final = {
    1: RULES_3_0,
    2: RULES_3_0,
    3: RULES_3_0,
    6: RULES_3_3,
    7: RULES_3_3,
    9: RULES_3_5,
    10: RULES_3_6,
    11: RULES_3_7,
}

FIRST_WITH_GRACE: Final = 4
"""The first revision that keeps grace periods and its own count of cash (3.1)."""

LAST_WITH_SENTINEL: Final = 10
"""The last revision that asks a sentinel (3.6)."""

FIRST_WITH_CEILED_PREMIUM: Final = 9
"""The first revision whose flash loan premium is taken as rounded up; before, to the nearest."""


def rules_of(revision: int, pool: Address) -> Rules:
    """Return the rules of a pool's revision. Raises: ChainError: they are not known here."""
    if revision not in RULES:
        known = ", ".join(map(str, RULES))
        raise ChainError(
            f"Aave pool {checksum(pool)} has POOL_REVISION {revision}, whose rules this plugin does not know"
            f" (it knows {known})",
            way_out="use a plugin that knows them, or leave the venue out",
        )
    return RULES[revision]
