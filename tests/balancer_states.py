"""Random states of Balancer's pools, and amounts that find their edges."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from tallyio_protocol_balancer.layout import (
    KINDS,
    STABLE_KINDS,
    UINT112_MAX,
    Amp,
    PoolState,
    Rate,
    TokenState,
)

from tallyio.model.units import Address

FAR: Final = 1 << 40
"""A time that no test comes to."""

FEES: Final = (10**12, 10**15, 3 * 10**15, 10**17)
AMPS: Final = (1, 2, 50, 500, 5000)
EVEN_WEIGHTS: Final = (
    (5 * 10**17, 5 * 10**17),
    (8 * 10**17, 2 * 10**17),
    (2 * 10**17, 8 * 10**17),
    (10**16, 99 * 10**16),
    (666_666_666_666_666_666, 333_333_333_333_333_334),
)
"""Two weights: some of whose quotients are 1, 4, a fraction, or as large as they can be."""

Balance = tuple[int, int]
"""Cash and managed."""


def fee_of(draw: random.Random) -> int:
    """Return a swap fee."""
    return draw.choice([*FEES, draw.randrange(10**12, 10**17)])


def amp_of(draw: random.Random) -> int:
    """Return an amplification, without the precision of 1000."""
    return draw.choice([*AMPS, draw.randrange(1, 5001)])


def rate_of(draw: random.Random) -> int:
    """Return a rate, usually near one."""
    return draw.choice([10**18, draw.randrange(10**17, 10**19), draw.randrange(1, 1 << 96)])


def weights_of(draw: random.Random, count: int) -> tuple[int, ...]:
    """Return `count` weights of 1 % to 99 % whose sum is one."""
    if count == 2 and draw.random() < 0.5:
        return draw.choice(EVEN_WEIGHTS)
    cuts = sorted(draw.sample(range(1, 100), count - 1))
    return tuple((high - low) * 10**16 for low, high in zip([0, *cuts], [*cuts, 100], strict=True))


def balances_of(draw: random.Random, decimals: Sequence[int], *, alike: bool) -> list[Balance]:
    """Return balances of any size up to uint112; `alike`: of about the same worth, as in a stable pool."""
    bits = draw.choice([8, 20, 60, 80, 100, 112])
    worth = draw.getrandbits(bits) + 1
    held = []
    for each in decimals:
        amount = int(worth * draw.uniform(0.05, 3.0)) * 10**each // 10**18
        if not alike or draw.random() < 0.1:
            amount = draw.getrandbits(draw.randrange(1, bits + 1))
        amount = min(amount, UINT112_MAX)
        managed = draw.choice([0, 0, 0, 0, amount // 3])
        held.append((amount - managed, managed))
    return held


def amount_of(draw: random.Random, held: Balance) -> int:
    """Return an amount of a token: nothing, a unit, the limits and their neighbours, anything."""
    total = sum(held)
    limit = 3 * total // 10
    return draw.choice(
        [
            *(0, 1, 2, limit, limit + 1, max(limit - 1, 0), total, total + 1, held[0], held[0] + 1),
            *(total // draw.randrange(4, 10**7) for _ in range(5)),
            *(draw.getrandbits(max(1, total.bit_length())) for _ in range(3)),
            max(UINT112_MAX - total, 0),
            draw.getrandbits(256),
        ]
    )


def state_of(draw: random.Random) -> PoolState:
    """Return a state of any kind of pool."""
    kind = draw.choice(KINDS)
    is_stable = kind in STABLE_KINDS
    count = draw.randrange(2, 6 if is_stable else 9)
    decimals = [draw.choice([18, 18, 6, 8, draw.randrange(19)]) for _ in range(count)]
    held = balances_of(draw, decimals, alike=is_stable)
    weights = (0,) * count if is_stable else weights_of(draw, count)
    tokens = []
    for k in range(count):
        rate = rate_of(draw) if is_stable and draw.random() < 0.4 else 0
        tokens.append(
            TokenState(
                address=Address(bytes([k + 1] * 20)),
                cash=held[k][0],
                managed=held[k][1],
                decimals=decimals[k],
                weight=weights[k],
                rate=Rate(cached=rate, live=rate, expires=FAR, duration=0) if rate else None,
            )
        )
    amp = amp_of(draw) * 1000 if is_stable else 0
    return PoolState(
        kind=kind, tokens=tuple(tokens), fee=fee_of(draw), amp=Amp(start_value=amp, end_value=amp)
    )
