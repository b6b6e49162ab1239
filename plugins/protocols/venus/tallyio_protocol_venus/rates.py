"""Interest rate models: the borrow rate that follows from cash, borrows and reserves, without asking.

Source: `JumpRateModel`, `WhitePaperInterestRateModel` and `TwoKinksInterestRateModel` of
@venusprotocol/venus-protocol. A market whose model is none of them has its rate asked for with every block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tallyio.model.hashing import selector
from tallyio.model.words import WORD, signed
from tallyio_protocol_venus.state import MANTISSA, Market

JUMP: Final = ("baseRatePerBlock", "multiplierPerBlock", "jumpMultiplierPerBlock", "kink")
TWO_KINKS: Final = (
    *("BASE_RATE_PER_BLOCK", "MULTIPLIER_PER_BLOCK", "KINK_1", "RATE_1"),
    *("MULTIPLIER_2_PER_BLOCK", "BASE_RATE_2_PER_BLOCK", "KINK_2", "RATE_2", "JUMP_MULTIPLIER_PER_BLOCK"),
)
QUESTIONS: Final = tuple(selector(f"{name}()") for name in (*JUMP, *TWO_KINKS))
"""What a model is asked: each knows its own."""


def parameters(answers: Sequence[bytes | None]) -> dict[str, int]:
    """Return what a model answered to `QUESTIONS`, by name; empty if it is of no known kind."""
    told = {
        name: signed(answer, 0)
        for name, answer in zip((*JUMP, *TWO_KINKS), answers, strict=True)
        if answer is not None and len(answer) == WORD
    }
    kinds = (set(JUMP), set(JUMP[:2]), set(TWO_KINKS))
    return told if set(told) in kinds else {}


def is_known(facts: Mapping[str, int]) -> bool:
    """Return whether a market with these parameters has a model of a known kind."""
    return "KINK_1" in facts or "baseRatePerBlock" in facts


def with_rate(market: Market, facts: Mapping[str, int]) -> Market | None:
    """Return the market with the rate that follows from what it holds; None: it has to be read.

    Under a model of no known kind the rate stays, until it is asked for.
    """
    rate = borrow_rate(market, facts) if is_known(facts) else market.rate
    if rate is None or not market.supply:
        return None
    return msgspec.structs.replace(market, rate=rate, initial_rate=0)


def borrow_rate(market: Market, facts: Mapping[str, int]) -> int | None:
    """Return the borrow rate per block for what a market holds; None: of no known kind, or it reverts."""
    total = market.cash + market.borrows - market.reserves
    if market.borrows and total <= 0:
        return None
    used = market.borrows * MANTISSA // total if market.borrows else 0
    if "KINK_1" in facts:
        return _two_kinks(min(used, MANTISSA), facts)
    if "baseRatePerBlock" in facts:
        return _jump(used, facts)
    return None


def _jump(used: int, facts: Mapping[str, int]) -> int:
    base, slope = facts["baseRatePerBlock"], facts["multiplierPerBlock"]
    kink = facts.get("kink", used)
    if used <= kink:
        return used * slope // MANTISSA + base
    return (used - kink) * facts["jumpMultiplierPerBlock"] // MANTISSA + kink * slope // MANTISSA + base


def _two_kinks(used: int, facts: Mapping[str, int]) -> int:
    if used < facts["KINK_1"]:
        rate = _towards_zero(used * facts["MULTIPLIER_PER_BLOCK"]) + facts["BASE_RATE_PER_BLOCK"]
    elif used < facts["KINK_2"]:
        more = _towards_zero((used - facts["KINK_1"]) * facts["MULTIPLIER_2_PER_BLOCK"])
        rate = facts["RATE_1"] + more + facts["BASE_RATE_2_PER_BLOCK"]
    else:
        more = _towards_zero((used - facts["KINK_2"]) * facts["JUMP_MULTIPLIER_PER_BLOCK"])
        rate = facts["RATE_1"] + facts["RATE_2"] + more
    return max(rate, 0)


def _towards_zero(scaled: int) -> int:
    """Return `scaled / 1e18` rounded as Solidity rounds signed numbers."""
    return scaled // MANTISSA if scaled >= 0 else -(-scaled // MANTISSA)
