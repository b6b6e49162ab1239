"""Calls of tokens are those of the contract's own ABI."""

from __future__ import annotations

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.model.erc20 import approve, balance_of, transfer
from tallyio.model.units import Address

TOKEN, FRIEND = (Address(bytes([n]) * 20) for n in (0x70, 0xF0))


def test_calls_are_those_of_the_contracts_own_abi() -> None:
    token = Contract(artifact("Token"), TOKEN)
    assert transfer(TOKEN, FRIEND, 2**255 + 7) == token.call("transfer", FRIEND, 2**255 + 7)
    assert approve(TOKEN, FRIEND, 5) == token.call("approve", FRIEND, 5)
    assert balance_of(TOKEN, FRIEND) == token.call("balanceOf", FRIEND)
