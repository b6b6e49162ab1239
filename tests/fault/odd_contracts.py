"""Contracts that make lending go wrong, compiled when a test needs them."""

from __future__ import annotations

from functools import cache
from typing import Final

import vyper

from tallyio.lab.artifact import Artifact

FRESH_SECONDS: Final = 60
"""For how long an oracle here stands by what it said."""
TAX_PERCENT: Final = 2

TAXED: Final = f"""
# pragma evm-version cancun
# Keeps a part of whatever is sent.
event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

symbol: public(constant(String[4])) = "TAXD"
decimals: public(constant(uint8)) = 18
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount

@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True

@internal
def _move(sender: address, receiver: address, amount: uint256):
    arrives: uint256 = amount - amount * {TAX_PERCENT} // 100
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += arrives
    log Transfer(sender=sender, receiver=receiver, amount=arrives)

@external
def transfer(to: address, amount: uint256) -> bool:
    self._move(msg.sender, to, amount)
    return True

@external
def transferFrom(sender: address, to: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, to, amount)
    return True
"""

FORGETFUL: Final = f"""
# pragma evm-version cancun
# An oracle of one price, for Morpho, that answers only while its price is fresh.
answer: uint256
said_at: uint256

@external
def post(answer: uint256, age: uint256):
    self.answer = answer
    self.said_at = block.timestamp - age

@external
@view
def price() -> uint256:
    assert block.timestamp <= self.said_at + {FRESH_SECONDS}, "the price is stale"
    return self.answer
"""

EXPIRING: Final = f"""
# pragma evm-version cancun
# An oracle of many prices, for Venus, that refuses those that are old, in the words of Venus's own.
interface Oracle:
    def getUnderlyingPrice(vtoken: address) -> uint256: view

inner: Oracle
said_at: HashMap[address, uint256]

@deploy
def __init__(inner: address):
    self.inner = Oracle(inner)

@external
def stamp(vtoken: address, age: uint256):
    self.said_at[vtoken] = block.timestamp - age

@external
def forget(vtoken: address):
    self.said_at[vtoken] = 0

@external
def updatePrice(vtoken: address):
    pass

@external
def updateAssetPrice(asset: address):
    pass

@external
@view
def getUnderlyingPrice(vtoken: address) -> uint256:
    said: uint256 = self.said_at[vtoken]
    assert said == 0 or block.timestamp <= said + {FRESH_SECONDS}, "chainlink price expired"
    return staticcall self.inner.getUnderlyingPrice(vtoken)
"""


@cache
def compiled(source: str) -> Artifact:
    """Return a contract that is written above."""
    made = vyper.compile_code(source, output_formats=["abi", "bytecode"])
    return Artifact.from_code("odd", made["abi"], made["bytecode"], {})
