"""Transactions, and the hash of each as an independent implementation signed it with a known key.

Layer: testing. The hashes were recorded with eth-account 0.14, which signs deterministically (RFC 6979), as
every signer must that wants the same bytes; a test of this repository records them again. The hash of a
signed transaction covers every byte of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import Address, Wei

KEY: Final = b"\x46" * 32
"""Anybody knows it: never send value to its account."""
ACCOUNT: Final = Address(bytes.fromhex("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"))

_RUN: Final = b"\x01\x02\x03\x04"
LIMITS: Final = Limits(
    chain_id=31_337,
    executor=Address(b"\x11" * 20),
    selectors=(_RUN,),
    max_value_wei=Wei(10**6),
    max_fee_wei=Wei(10**11),
    max_gas=10**6,
)
"""A policy that allows every transaction here, and no more than the last of them."""
GOOD: Final = UnsignedTransaction(
    chain_id=LIMITS.chain_id,
    nonce=0,
    max_priority_fee_wei=Wei(10**9),
    max_fee_wei=Wei(10**10),
    gas_limit=400_000,
    to=LIMITS.executor,
    value_wei=Wei(0),
    data=_RUN + bytes(100),
)


def like_good(**changes: object) -> UnsignedTransaction:
    """Return `GOOD` with other fields."""
    return msgspec.structs.replace(GOOD, **changes)


VECTORS: Final = (
    (GOOD, "7307b1488eafdf105546b215ce3db1f9bb36fbb4912fb20b6f81b0ba92f21193"),
    (
        like_good(nonce=1, max_priority_fee_wei=Wei(0), data=_RUN),
        "34dc389964dcb1f7808fb21cdf5412b86832b6306c3c95ab40dab8a51e2f5af8",
    ),
    (
        like_good(nonce=127, value_wei=Wei(1), gas_limit=21_000),
        "074d73165c4a95e12920713e425fbff5d0f8fbe417ccc496b36cf118335acb19",
    ),
    (
        like_good(nonce=128, value_wei=Wei(10**6), data=_RUN + bytes(range(256)) * 4),
        "2cfd2b1cbdcb4e7759efc1930aadb302b3654d14da774ce6eb22ce88aa60ea04",
    ),
    (
        like_good(nonce=2**32, max_fee_wei=Wei(10**11), max_priority_fee_wei=Wei(10**11), gas_limit=10**6),
        "b9003e9edada79d25aec70bad141a9fbc0ef1eb9849be912184a0bf50945db90",
    ),
)
"""With the hash of the signed bytes, in hex. Every length that RLP has is among them."""

FORBIDDEN: Final = (
    ("another chain", like_good(nonce=900, chain_id=1)),
    ("another target", like_good(nonce=901, to=Address(b"\x22" * 20))),
    ("the zero address", like_good(nonce=902, to=Address(bytes(20)))),
    ("another function", like_good(nonce=903, data=b"\x09\x5e\xa7\xb3" + bytes(64))),
    ("no function", like_good(nonce=904, data=b"")),
    ("half a selector", like_good(nonce=905, data=_RUN[:2])),
    ("more value", like_good(nonce=906, value_wei=Wei(10**6 + 1))),
    ("a higher fee", like_good(nonce=907, max_fee_wei=Wei(10**11 + 1))),
    ("a higher tip than the fee", like_good(nonce=908, max_priority_fee_wei=Wei(10**10 + 1))),
    ("more gas", like_good(nonce=909, gas_limit=10**6 + 1)),
    ("a negative nonce", like_good(nonce=-1)),
)
"""What the policy does not allow, and why."""
