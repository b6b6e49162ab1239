"""A small honest lender, compiled when a test needs it, and what a plugin would write for it.

It has the shapes of the real ones: it sells collateral at a bonus to whoever repays a debt, with a callback
in between or without, and it lends for the length of a call as Aave V3 and as Morpho Blue do. It takes what
is paid, so all of it goes through allowances.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import vyper
from eth_abi.abi import encode

from tallyio.engine.executor import MAX_BYTES
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.lending import BookSpec, LoanOffer, PositionKey, ReserveSpec
from tallyio.model.units import Address, hex_text

ONE: Final = 10**18

SOURCE = f"""
# pragma version 0.4.3
# pragma evm-version cancun
from ethereum.ercs import IERC20

MOST: constant(uint256) = {MAX_BYTES}

interface Caller:
    def executeOperation(
        asset: address, amount: uint256, premium: uint256, initiator: address, params: Bytes[MOST]
    ) -> bool: nonpayable
    def onMorphoFlashLoan(assets: uint256, data: Bytes[MOST]): nonpayable
    def onMorphoLiquidate(repaid: uint256, data: Bytes[MOST]): nonpayable

debts: public(HashMap[address, HashMap[uint256, uint256]])
rate: uint256

@external
def learn(account: address, part: uint256, debt: uint256, rate: uint256):
    self.debts[account][part] = debt
    self.rate = rate

@external
def liquidate(
    debt: address, collateral: address, account: address, part: uint256, repay: uint256, data: Bytes[MOST]
):
    self.debts[account][part] -= repay
    assert extcall IERC20(collateral).transfer(msg.sender, repay * self.rate // 10**18)
    if len(data) > 0:
        extcall Caller(msg.sender).onMorphoLiquidate(repay, data)
    assert extcall IERC20(debt).transferFrom(msg.sender, self, repay)

@external
def flashLoanSimple(receiver: address, asset: address, amount: uint256, params: Bytes[MOST], code: uint16):
    premium: uint256 = (amount * 5 + 5_000) // 10_000
    assert extcall IERC20(asset).transfer(receiver, amount)
    assert extcall Caller(receiver).executeOperation(asset, amount, premium, msg.sender, params)
    assert extcall IERC20(asset).transferFrom(receiver, self, amount + premium)

@external
def flashLoan(token: address, assets: uint256, data: Bytes[MOST]):
    assert extcall IERC20(token).transfer(msg.sender, assets)
    extcall Caller(msg.sender).onMorphoFlashLoan(assets, data)
    assert extcall IERC20(token).transferFrom(msg.sender, self, assets)
"""

_LIQUIDATE: Final = "liquidate(address,address,address,uint256,uint256,bytes)"
_LIKE_AAVE: Final = "flashLoanSimple(address,address,uint256,bytes,uint16)"
_LIKE_MORPHO: Final = "flashLoan(address,uint256,bytes)"


@cache
def creation_code() -> bytes:
    """Return what deploys the lender."""
    return bytes.fromhex(vyper.compile_code(SOURCE, output_formats=["bytecode"])["bytecode"][2:])


def learn(bank: Address, key: PositionKey, *, debt: int, rate: int) -> Call:
    """Return the call that gives a position its debt, and what each unit repaid seizes, times 10**18."""
    return _call(bank, "learn(address,uint256,uint256,uint256)", hex_text(key.account), key.part, debt, rate)


def debt_of(bank: Address, key: PositionKey) -> Call:
    """Return the call that answers a position's debt."""
    return _call(bank, "debts(address,uint256)", hex_text(key.account), key.part)


def book(bank: Address, *tokens: Address) -> BookSpec:
    """Return the bank as a book in which each token can be borrowed and secures."""
    reserves = tuple(ReserveSpec(symbol=token.hex()[:4], collateral=token, debt=token) for token in tokens)
    return BookSpec(address=bank, venue="bank", reserves=reserves, log_sources=())


def offer(bank: Address, token: Address, available: int, *, like: str) -> LoanOffer:
    """Return what the bank lends, at Aave's fee or at Morpho's."""
    return LoanOffer(
        lender=bank,
        venue="bank",
        token=token,
        available=available,
        fee_numerator=5 if like == "aave" else 0,
        fee_denominator=10_000,
        fee_rounds="half_up",
        gas=80_000,
        parameters=(("like_aave", int(like == "aave")),),
    )


class Bank:
    """What the plugin of such a protocol writes. See `LendingProtocol.liquidate`, `FlashLender.borrow`."""

    def __init__(self, *, calls_back: bool = False) -> None:
        self._calls_back = calls_back

    def can_call_back(self, book: BookSpec) -> bool:
        """See `LendingProtocol.can_call_back`."""
        return self._calls_back

    def liquidate(  # noqa: PLR0913 - the interface's
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        offer: int,
        seize: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """See `LendingProtocol.liquidate`."""
        owed, secured = book.reserves[debt].debt, book.reserves[collateral].collateral
        assert owed is not None
        assert secured is not None
        given, taken = (approve(owed, book.address, amount) for amount in (repay, 0))
        data = encode((*inner, given)) if inner else b""
        names = (hex_text(owed), hex_text(secured), hex_text(key.account))
        call = _call(book.address, _LIQUIDATE, *names, key.part, repay, data)
        return (call, taken) if inner else (given, call, taken)

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """See `FlashLender.borrow`."""
        owed = amount + offer.fee(amount)
        data = encode((*inner, approve(offer.token, offer.lender, owed)))
        if dict(offer.parameters)["like_aave"]:
            arguments = (hex_text(recipient), hex_text(offer.token), amount, data, 0)
            call = _call(offer.lender, _LIKE_AAVE, *arguments)
        else:
            call = _call(offer.lender, _LIKE_MORPHO, hex_text(offer.token), amount, data)
        return call, approve(offer.token, offer.lender, 0)


def _call(bank: Address, signature: str, *arguments: object) -> Call:
    types = signature[signature.index("(") + 1 : -1].split(",")
    return Call(to=bank, data=selector(signature) + encode(types, arguments))
