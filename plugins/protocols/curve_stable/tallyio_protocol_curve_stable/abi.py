"""The functions of pools and factories that the adapter calls.

Sources: the templates of `templates.py` and `CurveStableSwapFactoryNG.vy`. The oldest pools (Vyper
0.1) index their getters with int128.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import selector

COINS: Final = selector("coins(uint256)")
COINS_INT128: Final = selector("coins(int128)")
BALANCES: Final = selector("balances(uint256)")
BALANCES_INT128: Final = selector("balances(int128)")
GET_BALANCES: Final = selector("get_balances()")
STORED_RATES: Final = selector("stored_rates()")
FEE: Final = selector("fee()")
ADMIN_FEE: Final = selector("admin_fee()")
MULTIPLIER: Final = selector("offpeg_fee_multiplier()")
A: Final = selector("A()")
INITIAL_A: Final = selector("initial_A()")
FUTURE_A: Final = selector("future_A()")
INITIAL_A_TIME: Final = selector("initial_A_time()")
FUTURE_A_TIME: Final = selector("future_A_time()")
TOTAL_SUPPLY: Final = selector("totalSupply()")
LP_TOKEN: Final = selector("lp_token()")
BASE_POOL: Final = selector("base_pool()")
BASE_POOL_NG: Final = selector("BASE_POOL()")
VIRTUAL_PRICE: Final = selector("get_virtual_price()")
BASE_VIRTUAL_PRICE: Final = selector("base_virtual_price()")
BASE_CACHE_UPDATED: Final = selector("base_cache_updated()")
VERSION: Final = selector("version()")
GET_DY: Final = selector("get_dy(int128,int128,uint256)")
EXCHANGE: Final = selector("exchange(int128,int128,uint256,uint256)")

DECIMALS: Final = selector("decimals()")

POOL_COUNT: Final = selector("pool_count()")
POOL_LIST: Final = selector("pool_list(uint256)")
IS_META: Final = selector("is_meta(address)")
ASSET_TYPES: Final = selector("get_pool_asset_types(address)")
