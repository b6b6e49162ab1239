"""What a V3 pool pays and takes, in Python integers: the specification of `hot`.

It is the core's, since every pool of concentrated liquidity computes alike; a V3 pool has the same fee in
both directions. Source: `UniswapV3Pool.swap` and `SwapMath.computeSwapStep` (v3-core 1.0.1).
"""

from __future__ import annotations

from tallyio.market.concentrated.reference import Pool as Pool
from tallyio.market.concentrated.reference import quote as quote
from tallyio.market.concentrated.reference import quote_exact_out as quote_exact_out
from tallyio.market.concentrated.reference import swap as swap
