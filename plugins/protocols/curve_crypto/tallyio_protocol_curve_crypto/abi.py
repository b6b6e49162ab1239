"""The functions of pools and factories that the adapter calls. Sources: `templates`."""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import selector

COINS: Final = selector("coins(uint256)")
BALANCES: Final = selector("balances(uint256)")
PRICE_SCALE: Final = selector("price_scale()")
PRICE_SCALES: Final = selector("price_scale(uint256)")
D: Final = selector("D()")
MID_FEE: Final = selector("mid_fee()")
OUT_FEE: Final = selector("out_fee()")
FEE_GAMMA: Final = selector("fee_gamma()")
INITIAL_A_GAMMA: Final = selector("initial_A_gamma()")
FUTURE_A_GAMMA: Final = selector("future_A_gamma()")
INITIAL_A_GAMMA_TIME: Final = selector("initial_A_gamma_time()")
FUTURE_A_GAMMA_TIME: Final = selector("future_A_gamma_time()")
GET_DY: Final = selector("get_dy(uint256,uint256,uint256)")
EXCHANGE: Final = selector("exchange(uint256,uint256,uint256,uint256)")

DECIMALS: Final = selector("decimals()")

POOL_COUNT: Final = selector("pool_count()")
POOL_LIST: Final = selector("pool_list(uint256)")
