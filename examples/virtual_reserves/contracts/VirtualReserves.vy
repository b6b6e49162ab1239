# pragma version ~=0.4.3
"""
A pool of two tokens on the curve (x + X) * (y + Y) = k: reserves raised by virtual ones, fixed for ever.

Small reserves quote like large ones, until one side is sold out. It takes three thousandths.
"""

interface Token:
    def balanceOf(account: address) -> uint256: view
    def transfer(to: address, amount: uint256) -> bool: nonpayable

event Reserves:
    reserve0: uint256
    reserve1: uint256

MOST: constant(uint256) = 2**112 - 1

tokens: public(immutable(address[2]))
virtual_: immutable(uint256[2])
reserves: uint256[2]

@deploy
def __init__(tokens_: address[2], raised: uint256[2]):
    assert raised[0] <= MOST and raised[1] <= MOST
    tokens = tokens_
    virtual_ = raised

@external
@view
def state() -> (uint256, uint256, uint256, uint256):
    return self.reserves[0], self.reserves[1], virtual_[0], virtual_[1]

@internal
@view
def _quote(i: uint256, amount_in: uint256) -> uint256:
    held: uint256 = self.reserves[i]
    paid: uint256 = self.reserves[1 - i]
    assert amount_in <= MOST - held
    kept: uint256 = amount_in * 997
    out: uint256 = kept * (paid + virtual_[1 - i]) // ((held + virtual_[i]) * 1000 + kept)
    assert out > 0 and out <= paid
    return out

@external
@view
def quote(i: uint256, amount_in: uint256) -> uint256:
    return self._quote(i, amount_in)

@external
def sync():
    """Take what was sent here as reserves."""
    for i: uint256 in range(2):
        self.reserves[i] = staticcall Token(tokens[i]).balanceOf(self)
        assert self.reserves[i] <= MOST
    log Reserves(reserve0=self.reserves[0], reserve1=self.reserves[1])

@external
def swap(i: uint256, recipient: address) -> uint256:
    """Sell what was sent here beyond the reserve of token `i` for the other token."""
    amount_in: uint256 = staticcall Token(tokens[i]).balanceOf(self) - self.reserves[i]
    out: uint256 = self._quote(i, amount_in)
    self.reserves[i] += amount_in
    self.reserves[1 - i] -= out
    assert extcall Token(tokens[1 - i]).transfer(recipient, out)
    log Reserves(reserve0=self.reserves[0], reserve1=self.reserves[1])
    return out
