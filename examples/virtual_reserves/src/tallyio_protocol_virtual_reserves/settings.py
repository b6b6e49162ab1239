"""The `[protocols.virtual_reserves]` table."""

from __future__ import annotations

from typing import Final

import msgspec

WHERE: Final = "protocols.virtual_reserves"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says."""

    pools: tuple[str, ...]
    """Addresses of the pools."""
