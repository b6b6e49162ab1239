"""The conformance cards, on a pool of the next generation."""

from __future__ import annotations

import struct

from tallyio_protocol_curve_crypto.layout import (
    BALANCE,
    COIN_BYTES,
    COINS,
    COUNT,
    KEPT_D,
    MID_FEE,
    MULTIPLIER,
    PRICE,
)
from tallyio_protocol_curve_crypto.reference import Pool, quote
from tallyio_protocol_curve_crypto.templates import TEMPLATES

from tallyio.lab.artifact import Contract
from tallyio.lab.steps import Reverted
from tallyio.model.market import PoolSpec
from tallyio.testing import ProtocolCards, RevmChain
from tests.curve_crypto_lab import Lab, code_of

KIND = "twocrypto_ng"


class TestConformance(ProtocolCards):
    """Two coins."""

    plugin = "curve_crypto"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Deploy the pool and name it."""
        return {"pools": [Lab(code_of, KIND, chain=chain).settings]}

    def pays(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_in: int) -> int:
        """Ask the pool's view: what an exchange does after it paid may revert it, a known exception."""
        asked = Contract(code_of(KIND), pool.address).call("get_dy", i, j, amount_in)
        try:
            return int.from_bytes(chain.backend.call(asked))
        except Reverted:
            return 0

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        return quote(pool_of(row), i, j, amount_in)


def pool_of(row: bytes) -> Pool:
    """Return what a row says at its time; A and gamma of the lab's pool do not move."""
    count, _, ann, gamma = struct.unpack_from("<4q", row, COUNT)
    mid_fee, out_fee, fee_gamma = struct.unpack_from("<3q", row, MID_FEE)
    places = range(COINS, COINS + count * COIN_BYTES, COIN_BYTES)
    return Pool(
        template=TEMPLATES[KIND],
        balances=tuple(_number(row, at + BALANCE) for at in places),
        price_scale=tuple(_number(row, at + PRICE) for at in places[1:]),
        precisions=tuple(struct.unpack_from("<q", row, at + MULTIPLIER)[0] for at in places),
        ann=ann,
        gamma=gamma,
        d=_number(row, KEPT_D),
        mid_fee=mid_fee,
        out_fee=out_fee,
        fee_gamma=fee_gamma,
    )


def _number(row: bytes, start: int) -> int:
    return int.from_bytes(row[start : start + 32], "little")
