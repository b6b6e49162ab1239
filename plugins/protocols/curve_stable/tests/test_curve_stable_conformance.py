"""The conformance cards, on an old and a new kind of pool."""

from __future__ import annotations

import struct

import pytest
from tallyio_protocol_curve_stable.layout import (
    BALANCE,
    COIN_BYTES,
    COINS,
    COUNT,
    FEE,
    MULTIPLIER,
    RATE,
)
from tallyio_protocol_curve_stable.reference import Pool, quote
from tallyio_protocol_curve_stable.templates import DRule, Flag, Template

from tallyio.testing import ProtocolCards, RevmChain
from tests.curve_stable_lab import CodeOf, Lab


class TestConformance(ProtocolCards):
    """Three coins by the first factories, two by the next generation."""

    plugin = "curve_stable"
    code_of: CodeOf

    @pytest.fixture(autouse=True)
    def _take_code(self, code_of: CodeOf) -> None:
        self.code_of = code_of

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Deploy the pools and name them."""
        labs = [Lab(self.code_of, kind, coins, chain=chain) for kind, coins in (("plain", 3), ("ng", 2))]
        return {"pools": [lab.settings for lab in labs], "max_rate_age_seconds": 12}

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        return quote(pool_of(row), i, j, amount_in)


def pool_of(row: bytes) -> Pool:
    """Return what a row says at its time."""
    count, flags, d_rule, precision, amp = struct.unpack_from("<5q", row, COUNT)
    fee, admin_fee = struct.unpack_from("<2q", row, FEE)
    places = range(COINS, COINS + count * COIN_BYTES, COIN_BYTES)
    return Pool(
        template=Template(kind="of a row", a_precision=precision, d_rule=DRule(d_rule), flags=Flag(flags)),
        balances=tuple(_number(row, at + BALANCE) for at in places),
        rates=tuple(_number(row, at + RATE) for at in places),
        amp=amp,
        fee=fee,
        admin_fee=admin_fee,
        offpeg_fee_multiplier=_number(row, MULTIPLIER),
    )


def _number(row: bytes, start: int) -> int:
    return int.from_bytes(row[start : start + 32], "little")
