"""Calls of a token contract.

Layer: model. Source: https://eips.ethereum.org/EIPS/eip-20.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address
from tallyio.model.words import address_word, word

_BALANCE_OF: Final = selector("balanceOf(address)")
_ALLOWANCE: Final = selector("allowance(address,address)")
_TRANSFER: Final = selector("transfer(address,uint256)")
TRANSFER_FROM: Final = selector("transferFrom(address,address,uint256)")
APPROVE: Final = selector("approve(address,uint256)")


def transfer(token: Address, to: Address, amount: int) -> Call:
    """Return the call that moves `amount` of `token` from whoever makes it to `to`."""
    return Call(to=token, data=_TRANSFER + address_word(to) + word(amount))


def transfer_from(token: Address, source: Address, to: Address, amount: int) -> Call:
    """Return the call that moves `amount` of `token` from `source`, who allowed it to whoever makes it."""
    return Call(to=token, data=TRANSFER_FROM + address_word(source) + address_word(to) + word(amount))


def approve(token: Address, spender: Address, amount: int) -> Call:
    """Return the call that lets `spender` take up to `amount` of `token` from whoever makes it."""
    return Call(to=token, data=APPROVE + address_word(spender) + word(amount))


def balance_of(token: Address, account: Address) -> Call:
    """Return the call that answers how much of `token` is the `account`'s."""
    return Call(to=token, data=_BALANCE_OF + address_word(account))


def allowance(token: Address, owner: Address, spender: Address) -> Call:
    """Return the call that answers how much of the `owner`'s `token` the `spender` may take."""
    return Call(to=token, data=_ALLOWANCE + address_word(owner) + address_word(spender))
