# pragma version 0.4.3
"""
@title One token lent against another; whoever is weak may be liquidated
"""
from ethereum.ercs import IERC20

event Changed:
    account: indexed(address)
    collateral: uint256
    shares: uint256

event Priced:
    price: uint256

WAD: constant(uint256) = 10**18
MOST: constant(uint256) = 2**128

collateral_token: public(immutable(IERC20))
debt_token: public(immutable(IERC20))
threshold: public(immutable(uint256))
bonus: public(immutable(uint256))
rate: public(immutable(uint256))
since: public(immutable(uint256))
price: public(uint256)
collateral: public(HashMap[address, uint256])
shares: public(HashMap[address, uint256])


@deploy
def __init__(
    collateral_token_: IERC20, debt_token_: IERC20, threshold_: uint256, bonus_: uint256, rate_: uint256
):
    collateral_token = collateral_token_
    debt_token = debt_token_
    threshold = threshold_
    bonus = bonus_
    rate = rate_
    since = block.timestamp


@external
def post(price_: uint256):
    # Of one smallest unit of the collateral, in 1e-18 of one of the debt. Anybody may, as this is a test.
    self.price = price_
    log Priced(price=price_)


@external
def deposit(amount: uint256):
    self.collateral[msg.sender] += amount
    assert self.collateral[msg.sender] < MOST
    self._tell(msg.sender)
    extcall collateral_token.transferFrom(msg.sender, self, amount)


@external
def borrow(amount: uint256):
    index: uint256 = self._index()
    self.shares[msg.sender] += (amount * WAD + index - 1) // index
    assert self.shares[msg.sender] < MOST
    assert not self._is_weak(msg.sender), "not enough collateral"
    self._tell(msg.sender)
    extcall debt_token.transfer(msg.sender, amount)


@external
def liquidate(account: address, repay: uint256):
    assert self._is_weak(account), "sound"
    assert repay <= (self._owed(account) + 1) // 2, "too much"
    seized: uint256 = repay * bonus // self.price
    assert seized > 0, "nothing"
    self.collateral[account] -= seized
    self.shares[account] -= repay * WAD // self._index()
    self._tell(account)
    extcall debt_token.transferFrom(msg.sender, self, repay)
    extcall collateral_token.transfer(msg.sender, seized)


@external
@view
def owed(account: address) -> uint256:
    return self._owed(account)


@external
@view
def limit(account: address) -> uint256:
    return self._limit(account)


@internal
@view
def _index() -> uint256:
    return WAD + rate * (block.timestamp - since)


@internal
@view
def _owed(account: address) -> uint256:
    return (self.shares[account] * self._index() + WAD - 1) // WAD


@internal
@view
def _limit(account: address) -> uint256:
    assert self.price > 0, "no price"
    return self.collateral[account] * self.price // WAD * threshold // WAD


@internal
@view
def _is_weak(account: address) -> bool:
    return self._limit(account) < self._owed(account)


@internal
def _tell(account: address):
    log Changed(account=account, collateral=self.collateral[account], shares=self.shares[account])
