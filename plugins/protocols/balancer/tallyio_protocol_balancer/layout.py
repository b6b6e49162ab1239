"""The row of one pool: a head, then one record per token.

Head, `HEAD_BYTES` long:

| offset | bytes | field |
|---|---|---|
| 0 | 8 | kind: one of the numbers below |
| 8 | 8 | number of tokens, the pool's own not counted |
| 16 | 8 | position of the pool's own token among the Vault's, or `NO_OWN_TOKEN` |
| 24 | 8 | swap fee, fixed (18 decimals) |
| 32 | 8 | gas of one swap |
| 40 | 8 | paused until this time (seconds); 0: not paused |
| 48 | 8 | clock: the time that the row stands at |
| 56 | 8 | the time of the block it was read at |
| 64 | 8 | the first later time it was brought to; 0: none yet |
| 72 | 8 | amp now: A n**(n-1) times 1000 |
| 80 | 32 | amp: value at the start, value at the end, start, end (seconds) |
| 128 | 32 | invariant of a stable pool; 0: the contract cannot compute it |

Token, `TOKEN_BYTES` long:

| offset | bytes | field |
|---|---|---|
| 0 | 16 | cash: what the Vault holds, below 2**112 |
| 16 | 16 | managed: what an asset manager holds, below 2**112 |
| 32 | 32 | scaling factor now, with the rate |
| 64 | 32 | balance with 18 decimals: cash and managed, scaled |
| 96 | 8 | weight, fixed |
| 104 | 8 | the cached rate is good until this time (seconds) |
| 112 | 8 | how long an updated rate is good |
| 128 | 32 | scaling factor without the rate |
| 160 | 32 | address, as a number |
| 192 | 16 | cached rate; 0: there is no provider |
| 208 | 16 | the provider's own rate, when the row was read |

All little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import msgspec

from tallyio.market.fixed.reference import ONE, Revert, fixed_mul_down
from tallyio.model.units import Address
from tallyio_protocol_balancer import reference_stable

WEIGHTED: Final = 1
"""Exponents always by logarithm: WeightedPool of 2021, WeightedPool2Tokens."""
WEIGHTED_POWERS: Final = 2
"""Exponents 1, 2 and 4 by multiplication: WeightedPool since 2022 (version 2)."""
STABLE_ROUNDED: Final = 3
"""The invariant rounds up while it iterates."""
STABLE_TRUNCATED: Final = 4
"""The invariant truncates everywhere."""

KINDS: Final = (WEIGHTED, WEIGHTED_POWERS, STABLE_ROUNDED, STABLE_TRUNCATED)
STABLE_KINDS: Final = (STABLE_ROUNDED, STABLE_TRUNCATED)

HEAD_BYTES: Final = 192
TOKEN_BYTES: Final = 256
MAX_TOKENS: Final = 8
MAX_STABLE_TOKENS: Final = 5
NO_OWN_TOKEN: Final = 1 << 30

KIND: Final = 0
COUNT: Final = 8
OWN_TOKEN: Final = 16
FEE: Final = 24
GAS: Final = 32
PAUSED_UNTIL: Final = 40
CLOCK: Final = 48
READ_AT: Final = 56
SERVED: Final = 64
AMP: Final = 72
AMP_START: Final = 80
AMP_END: Final = 88
AMP_START_TIME: Final = 96
AMP_END_TIME: Final = 104
INVARIANT: Final = 128

CASH: Final = 0
MANAGED: Final = 16
SCALING: Final = 32
SCALED: Final = 64
WEIGHT: Final = 96
EXPIRES: Final = 104
DURATION: Final = 112
BASE_SCALING: Final = 128
ADDRESS: Final = 160
RATE: Final = 192
LIVE_RATE: Final = 208

UINT112_MAX: Final = (1 << 112) - 1
UINT128_MAX: Final = (1 << 128) - 1
MAX_FEE: Final = 10**17
MIN_WEIGHT: Final = 10**16
MAX_AMP: Final = 5000 * 1000
NEVER: Final = 1 << 62
"""A time that does not come, and how long a rate is good that no swap waits for."""

_HEAD: Final = struct.Struct("<10q4q16x")
_FACTS: Final = struct.Struct("<3q8x")


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool knows of the price of a token in its underlying one, fixed; times in seconds."""

    cached: int
    live: int
    """The provider's own answer, which the next swap caches once the cached one has expired."""
    expires: int
    duration: int

    def at(self, time: int) -> int:
        """Return the rate that a swap at `time` uses."""
        return self.live if time > self.expires else self.cached


class TokenState(msgspec.Struct, frozen=True, kw_only=True):
    """One token of a pool."""

    address: Address
    cash: int
    managed: int = 0
    decimals: int = 18
    weight: int = 0
    rate: Rate | None = None

    @property
    def base_scaling(self) -> int:
        """What brings an amount to 18 decimals, fixed."""
        scaling: int = ONE * 10 ** (18 - self.decimals)
        return scaling

    def scaling(self, time: int) -> int:
        """Return the scaling factor with the rate at `time`: below 2**189, for rates are uint128."""
        return fixed_mul_down(self.base_scaling, self.rate.at(time)) if self.rate else self.base_scaling

    def scaled(self, time: int) -> int:
        """Return the balance with 18 decimals: `_upscale`. Raises: Revert."""
        return fixed_mul_down(self.cash + self.managed, self.scaling(time))


class Amp(msgspec.Struct, frozen=True, kw_only=True):
    """The amplification of a stable pool: A n**(n-1) times 1000, on a line between two times."""

    start_value: int
    end_value: int
    start_time: int = 0
    end_time: int = 0

    def at(self, time: int) -> int:
        """Return the value at `time`: `_getAmplificationParameter`."""
        if time >= self.end_time:
            return self.end_value
        rise = self.end_value - self.start_value
        part = abs(rise) * (time - self.start_time) // (self.end_time - self.start_time)
        return self.start_value + (part if rise > 0 else -part)


NO_AMP: Final = Amp(start_value=0, end_value=0)


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pool's quotes depend on, as of one block. `time` is that block's, in seconds."""

    kind: int
    tokens: tuple[TokenState, ...]
    fee: int
    amp: Amp = NO_AMP
    own_token: int = NO_OWN_TOKEN
    paused_until: int = 0
    time: int = 0
    gas: int = 0

    def balances(self) -> list[int]:
        """Return the scaled balances: `_upscaleArray`. Raises: Revert."""
        return [token.scaled(self.time) for token in self.tokens]

    def invariant(self) -> int:
        """Return the invariant of a stable pool. Raises: Revert."""
        compute = reference_stable.INVARIANTS[STABLE_KINDS.index(self.kind)]
        return compute(self.amp.at(self.time), self.balances())


def pack_row(state: PoolState) -> bytes:
    """Return the row of a pool. Raises: ValueError: a fact is out of its range."""
    _check(state)
    amp = state.amp
    head = _HEAD.pack(
        *(state.kind, len(state.tokens), state.own_token, state.fee, state.gas, state.paused_until),
        *(state.time, state.time, 0, amp.at(state.time)),
        *(amp.start_value, amp.end_value, amp.start_time, amp.end_time),
    )
    invariant = _or_zero(state.invariant) if state.kind in STABLE_KINDS else 0
    raw = head + invariant.to_bytes(32, "little")
    return raw.ljust(HEAD_BYTES, b"\0") + b"".join(_token(token, state.time) for token in state.tokens)


def _token(token: TokenState, time: int) -> bytes:
    rate = token.rate or Rate(cached=0, live=0, expires=NEVER, duration=0)
    parts = [
        token.cash.to_bytes(16, "little"),
        token.managed.to_bytes(16, "little"),
        token.scaling(time).to_bytes(32, "little"),
        _or_zero(lambda: token.scaled(time)).to_bytes(32, "little"),
        _FACTS.pack(token.weight, rate.expires, rate.duration),
        token.base_scaling.to_bytes(32, "little"),
        int.from_bytes(token.address).to_bytes(32, "little"),
        rate.cached.to_bytes(16, "little"),
        rate.live.to_bytes(16, "little"),
    ]
    return b"".join(parts).ljust(TOKEN_BYTES, b"\0")


def _or_zero(compute: Callable[[], int]) -> int:
    try:
        return compute()
    except Revert:
        return 0


def _check(state: PoolState) -> None:
    count, stable = len(state.tokens), state.kind in STABLE_KINDS
    if state.kind not in KINDS or not 2 <= count <= (MAX_STABLE_TOKENS if stable else MAX_TOKENS):  # noqa: PLR2004 - a swap needs two
        raise ValueError(f"{count} tokens in a pool of kind {state.kind} are too few or too many")
    if not 0 <= state.fee <= MAX_FEE:
        raise ValueError(f"the fee must be at most {MAX_FEE}, not {state.fee}")
    if stable and not 0 < state.amp.at(state.time) <= MAX_AMP:
        raise ValueError(f"the amp must be at most {MAX_AMP}, not {state.amp.at(state.time)}")
    for token in state.tokens:
        _check_token(token, stable=stable)


def _check_token(token: TokenState, *, stable: bool) -> None:
    if min(token.cash, token.managed) < 0 or token.cash + token.managed > UINT112_MAX:
        raise ValueError(f"balances must be uint112, not {token.cash} + {token.managed}")
    if not 0 <= token.decimals <= 18:  # noqa: PLR2004 - the contract takes no more
        raise ValueError(f"decimals must be at most 18, not {token.decimals}")
    if not stable and not MIN_WEIGHT <= token.weight < ONE:
        raise ValueError(f"a weight must be at least {MIN_WEIGHT} and below {ONE}, not {token.weight}")
    if token.rate and not 0 < token.rate.cached <= UINT128_MAX >= token.rate.live:
        raise ValueError(f"a rate must be a positive uint128, not {token.rate.cached}, {token.rate.live}")
