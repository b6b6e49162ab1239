"""Small generated markets in native tables, for the cards of strategies.

Layer: testing.
"""

from __future__ import annotations


class MarketWorld:
    """A market of constant-product pairs, and what is known about it."""
