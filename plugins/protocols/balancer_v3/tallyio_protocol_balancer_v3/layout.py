"""The row of one pool: a head, then one record per token.

Head, `HEAD_BYTES` long:

| offset | bytes | field |
|---|---|---|
| 0 | 8 | kind: `WEIGHTED` or `STABLE` |
| 8 | 8 | number of tokens |
| 16 | 8 | static swap fee, fixed (18 decimals) |
| 24 | 8 | gas of one swap |
| 32 | 8 | weighted: how much more of the token sold the pool counts, 0 or 1 |
| 40 | 8 | stable: amp, A n**(n-1) times 1000 |
| 48 | 8 | when it was read, in the chain's time |
| 56 | 8 | for how many seconds that is believed; 0: until an event |
| 64 | 8 | least scaled amount of a swap |
| 96 | 32 | stable: the invariant; 0: the contract cannot compute it |

Token, `TOKEN_BYTES` long:

| offset | bytes | field |
|---|---|---|
| 0 | 16 | live balance: with 18 decimals and the rate, as a swap starts with it |
| 16 | 16 | what the Vault books for the pool |
| 32 | 16 | rate, fixed |
| 48 | 16 | decimal scaling factor |
| 64 | 16 | weighted: the least live balance that a swap may leave |
| 80 | 8 | weight, fixed |

All little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

from tallyio.market.fixed.reference import ONE, Revert
from tallyio_protocol_balancer_v3 import reference_stable
from tallyio_protocol_balancer_v3.state import MOST, PoolState, TokenState

WEIGHTED: Final = 1
STABLE: Final = 2

HEAD_BYTES: Final = 128
TOKEN_BYTES: Final = 128

KIND: Final = 0
COUNT: Final = 8
FEE: Final = 16
GAS: Final = 24
MORE: Final = 32
AMP: Final = 40
READ_AT: Final = 48
MAX_AGE: Final = 56
LEAST: Final = 64
INVARIANT: Final = 96

LIVE: Final = 0
RAW: Final = 16
RATE: Final = 32
SCALING: Final = 48
LEAST_LIVE: Final = 64
WEIGHT: Final = 80

MAX_STABLE_TOKENS: Final = 5
MAX_TOKENS: Final = 8
MAX_AMP: Final = 50_000 * 1_000
MIN_WEIGHT: Final = 10**16
MAX_RATE: Final = 10**24
MAX_SCALING: Final = 10**18

_HEAD: Final = struct.Struct("<9q24x")


def pack_row(state: PoolState, *, gas: int = 0, read_at: int = 0, max_age: int = 0) -> bytes:
    """Return the row of a pool. Raises: ValueError: a fact is out of its range."""
    _check(state)
    kind = STABLE if state.amp else WEIGHTED
    head = _HEAD.pack(
        *(kind, len(state.tokens), state.fee, gas, state.more),
        *(state.amp, read_at, max_age, state.least),
    )
    raw = head + _invariant(state).to_bytes(32, "little")
    return raw + b"".join(_token(token) for token in state.tokens)


def _invariant(state: PoolState) -> int:
    try:
        return reference_stable.invariant(state.amp, state.balances) if state.amp else 0
    except Revert:
        return 0


def _token(token: TokenState) -> bytes:
    numbers = (token.live, token.raw, token.rate, token.scaling, token.least_live)
    raw = b"".join(number.to_bytes(16, "little") for number in numbers)
    return (raw + token.weight.to_bytes(8, "little")).ljust(TOKEN_BYTES, b"\0")


def _check(state: PoolState) -> None:
    count = len(state.tokens)
    most = MAX_STABLE_TOKENS if state.amp else MAX_TOKENS
    if not 2 <= count <= most:  # noqa: PLR2004 - a swap needs two
        raise ValueError(f"{count} tokens are too few or too many")
    if not 0 <= state.fee < ONE or not 0 <= state.amp <= MAX_AMP or state.more not in {0, 1}:
        raise ValueError(f"fee {state.fee} and amp {state.amp} must be below {ONE} and {MAX_AMP}")
    if not 0 <= state.least < 1 << 63:
        raise ValueError(f"the least amount must fit into 63 bits, unlike {state.least}")
    for token in state.tokens:
        if not all(0 <= each <= MOST for each in (token.live, token.raw, token.least_live)):
            raise ValueError(f"balances must be below 2**128, unlike {token.live}, {token.raw}")
        if not 0 < token.rate <= MAX_RATE or not 0 < token.scaling <= MAX_SCALING:
            raise ValueError(f"rate {token.rate} or scaling factor {token.scaling} is out of range")
        if not state.amp and not MIN_WEIGHT <= token.weight < ONE:
            raise ValueError(f"a weight must be at least {MIN_WEIGHT} and below {ONE}, not {token.weight}")
