"""Who has what on an EVM in this process, and how tests get more of it.

Layer: testing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import balance_of, transfer
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, hex_text
from tallyio.model.words import address_word, word
from tallyio.testing.revm_chain import RevmChain

_MINT: Final = selector("mint(address,uint256)")
_DEPOSIT: Final = selector("deposit()")


def give(chain: RevmChain, token: Address, account: Address, amount: int) -> None:
    """Give `account` so much of `token` more: the native currency, its wrapped token, or what anybody mints.

    Raises: Reverted: the token is none of these.
    """
    if token == ZERO_ADDRESS:
        chain.backend.fund(account, held(chain, token, account) + amount)
        return
    before = held(chain, token, account)
    with suppress(Reverted):
        chain.backend.transact(Call(to=token, data=_MINT + address_word(account) + word(amount)))
    if (
        held(chain, token, account) == before
    ):  # a wrapped native token takes any call for a deposit of nothing
        chain.backend.fund(OPERATOR, held(chain, ZERO_ADDRESS, OPERATOR) + amount)
        chain.backend.transact(Call(to=token, data=_DEPOSIT, value_wei=Wei(amount)))
        chain.backend.transact(transfer(token, account, amount))


def held(chain: RevmChain, token: Address, account: Address) -> int:
    """Return what `account` has of `token`; the zero address stands for the native currency."""
    if token == ZERO_ADDRESS:
        return int(chain.backend.evm.get_balance(hex_text(account)))
    return int.from_bytes(chain.backend.call(balance_of(token, account))[:32])
