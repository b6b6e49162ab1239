# pragma version 0.4.3
"""
@title A pool that trades two tokens of equal decimals one for one, less a fee
"""
from ethereum.ercs import IERC20

struct Reserves:
    reserve0: uint128
    reserve1: uint128

event Changed:
    reserve0: uint128
    reserve1: uint128

PIPS: constant(uint256) = 1_000_000

token0: public(immutable(IERC20))
token1: public(immutable(IERC20))
fee_pips: public(immutable(uint256))
reserves: public(Reserves)


@deploy
def __init__(token0_: IERC20, token1_: IERC20, fee_pips_: uint256):
    token0 = token0_
    token1 = token1_
    fee_pips = fee_pips_


@external
def sync():
    self._sync()


@external
def swap(zero_for_one: bool, to: address) -> uint256:
    # Paid before the call, by a plain transfer.
    sold: IERC20 = token0 if zero_for_one else token1
    bought: IERC20 = token1 if zero_for_one else token0
    held: uint128 = self.reserves.reserve0 if zero_for_one else self.reserves.reserve1
    amount_in: uint256 = staticcall sold.balanceOf(self) - convert(held, uint256)
    amount_out: uint256 = amount_in * (PIPS - fee_pips) // PIPS
    extcall bought.transfer(to, amount_out)
    self._sync()
    return amount_out


@internal
def _sync():
    reserve0: uint128 = convert(staticcall token0.balanceOf(self), uint128)
    reserve1: uint128 = convert(staticcall token1.balanceOf(self), uint128)
    self.reserves = Reserves(reserve0=reserve0, reserve1=reserve1)
    log Changed(reserve0=reserve0, reserve1=reserve1)
