"""Contracts that misbehave, compiled when a test needs them."""

from __future__ import annotations

from functools import cache

import vyper

PUPPET = """
# pragma evm-version cancun
# Whatever it is called with, it makes its caller (or another) the calls it was told to make.
struct Line:
    to: address
    data: Bytes[2048]
script: DynArray[Line, 4]

@external
def learn(script: DynArray[Line, 4]):
    self.script = script

@external
@payable
def __default__():
    for line: Line in self.script:
        raw_call(line.to, line.data)
"""

ASKER = """
# pragma evm-version cancun
# Calls back as a manager of Uniswap V4 does, and wants an answer that decodes.
answered: public(bool)

interface Caller:
    def unlockCallback(data: Bytes[2048]) -> Bytes[2048]: nonpayable

@external
def unlock(data: Bytes[2048]) -> Bytes[2048]:
    answer: Bytes[2048] = extcall Caller(msg.sender).unlockCallback(data)
    self.answered = len(answer) == 0
    return answer
"""

COIN = """
# pragma evm-version cancun
balanceOf: public(HashMap[address, uint256])

@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount

@external
def transfer(to: address, amount: uint256){returns}:
    {before}
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount{less}
    {end}
"""


@cache
def puppet() -> bytes:
    """Return the creation code of a contract that calls back as it is told."""
    return _compile(PUPPET)


@cache
def asker() -> bytes:
    """Return the creation code of a contract that wants an answer to its callback."""
    return _compile(ASKER)


@cache
def mute_token() -> bytes:
    """Return the creation code of a token whose `transfer` returns nothing."""
    return _compile(COIN.format(returns="", before="pass", less="", end=""))


@cache
def refusing_token() -> bytes:
    """Return the creation code of a token whose `transfer` says False instead of reverting."""
    text = COIN.format(
        returns=" -> bool", before="if msg.sender != empty(address): return False", less="", end="return True"
    )
    return _compile(text)


@cache
def watchful_token(watched: str) -> bytes:
    """Return the creation code of a token that only moves where it takes itself to be simulated."""
    return _compile(COIN.format(returns="", before=f"if {watched}: return", less="", end=""))


@cache
def taxing_token() -> bytes:
    """Return the creation code of a token that keeps a tenth of every transfer."""
    return _compile(COIN.format(returns=" -> bool", before="pass", less=" * 9 // 10", end="return True"))


def _compile(source: str) -> bytes:
    return bytes.fromhex(vyper.compile_code(source, output_formats=["bytecode"])["bytecode"][2:])
