"""What wrapping and unwrapping pay, in Python integers: the specification of `hot`.

Source: `WETH9.deposit` and `WETH9.withdraw` (canonical-weth), which add and take what they get and give.
"""

from __future__ import annotations

from tallyio_protocol_wrapped_native.layout import MOST


def quote(amount_in: int) -> int:
    """Return what `amount_in` of either side pays: as much of the other; 0 beyond `MOST`."""
    return amount_in if amount_in <= MOST else 0


def quote_exact_out(amount_out: int) -> int:
    """Return what `amount_out` of either side costs: as much of the other; 0 beyond `MOST`."""
    return quote(amount_out)
