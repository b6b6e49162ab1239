"""How a sale lies in memory: one or two PATHs, and two to work with.

Layer: market.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.route_layout import PATH

PATH_BYTES: Final = PATH.itemsize
SALE_PATHS: Final = 4
"""Room that `tallyio.market.pairing.best_sale` writes to."""
