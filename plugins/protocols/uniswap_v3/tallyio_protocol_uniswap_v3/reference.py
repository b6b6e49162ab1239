"""What a V3 pool pays and takes, in Python integers: the specification of `hot`.

It is the core's, since every pool of concentrated liquidity computes alike; a V3 pool has the same fee in
both directions. Source: `UniswapV3Pool.swap` and `SwapMath.computeSwapStep` (v3-core 1.0.1).
"""

from __future__ import annotations

from tallyio.market.concentrated.reference import Pool, quote, quote_exact_out, swap

__all__ = ["Pool", "quote", "quote_exact_out", "swap"]
