"""Pools drawn at random and rows in memory, for the benchmark and the tests of this plugin."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from tallyio.native.memory import Region
from tallyio_protocol_curve_crypto.hot_state import advance
from tallyio_protocol_curve_crypto.layout import UINT128_MAX, Ramp, State, pack_row, row_bytes
from tallyio_protocol_curve_crypto.reference_newton import PRECISION, newton_d
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.templates import MIN_GAMMA, TEMPLATES, Template

NOW: Final = 1_700_000_000
DECIMALS: Final = (0, 2, 6, 8, 18, 18)


class Row:
    """One row in native memory."""

    def __init__(self) -> None:
        self._memory = Region(row_bytes(3) + 512)
        self.address = self._memory.address

    def set(self, state: State) -> int:
        """Put the complete row of `state` into memory; return its address."""
        raw = pack_row(state)
        self._memory.view("u1", len(raw))[:] = bytearray(raw)
        advance(self.address, state.time)
        return self.address

    def raw(self, coins: int) -> bytes:
        """Return the row in memory."""
        return self._memory.view("u1", row_bytes(coins)).tobytes()

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


def at_rest(ann: int, gamma: int) -> Ramp:
    """Return settings that do not move."""
    return Ramp(ann, gamma, ann, gamma)


def in_a_ramp(ann: int, gamma: int) -> Ramp:
    """Return settings that are these at `NOW`, with a ramp under way: an exchange computes D anew."""
    return Ramp(ann, gamma, ann, gamma, NOW - 1, NOW + 1)


def draw_state(draw: random.Random, kind: str) -> State:
    """Return a pool: as real ones are, lopsided, or anything at all."""
    template, wild = TEMPLATES[kind], _one_in(draw, 10)
    precisions = [10 ** (18 - draw.choice(DECIMALS)) for _ in range(template.coins)]
    prices = [int(10 ** draw.uniform(12, 24)) for _ in range(template.coins - 1)]
    xp = [int(10**scale) for scale in _scales(draw, template.coins)]
    balances = [
        min(UINT128_MAX, x * PRECISION // price // precision)
        for x, price, precision in zip(xp, (PRECISION, *prices), precisions, strict=True)
    ]
    ann, gamma = _settings(draw, template)
    d = _invariant(draw, template, (ann, gamma), balances, prices, precisions)
    fees = sorted(draw.choice((0, 1, 10**6, 3 * 10**7, 10**10, draw.randrange(10**10))) for _ in range(2))
    return State(
        template=template,
        balances=tuple(balances),
        price_scale=tuple(prices),
        precisions=tuple(precisions),
        ramp=(in_a_ramp if _one_in(draw, 5) else at_rest)(ann, gamma),
        d=draw.getrandbits(draw.randrange(50, 128)) if wild else d,
        mid_fee=fees[0],
        out_fee=fees[1],
        fee_gamma=draw.choice((0, 1, 10**12, 23 * 10**13, 10**16, draw.randrange(10**18))),
        time=NOW,
    )


def _one_in(draw: random.Random, count: int) -> bool:
    return draw.randrange(count) == 0


def _scales(draw: random.Random, coins: int) -> list[float]:
    middle = draw.uniform(19, 31)
    if _one_in(draw, 20):
        return [draw.uniform(6, 35) for _ in range(coins)]
    lean = 2.3 if _one_in(draw, 4) else 0.3
    return [middle + draw.uniform(-lean, lean) for _ in range(coins)]


def _settings(draw: random.Random, template: Template) -> tuple[int, int]:
    ann = int(template.min_a * (template.max_a / template.min_a) ** draw.random())
    gamma = int(MIN_GAMMA * (template.max_gamma / MIN_GAMMA) ** draw.random())
    if _one_in(draw, 3):
        gamma = int(template.tight_gamma * draw.uniform(0.5, template.max_gamma / template.tight_gamma))
    if _one_in(draw, 25):
        ann += draw.choice((-ann, template.max_a, 0, template.min_a - ann, template.min_a - ann - 1))
        gamma = draw.choice((MIN_GAMMA - 1, MIN_GAMMA, template.max_gamma, template.max_gamma + 1))
    return ann, gamma


def _invariant(
    draw: random.Random,
    template: Template,
    settings: tuple[int, int],
    balances: Sequence[int],
    prices: Sequence[int],
    precisions: Sequence[int],
) -> int:
    pairs = zip(balances, (PRECISION, *prices), precisions, strict=True)
    xp = [balance * price * precision // PRECISION for balance, price, precision in pairs]
    try:
        return min(UINT128_MAX, newton_d(template, *settings, xp))
    except Revert:
        return int(10 ** draw.uniform(16, 34))


def draw_amount(draw: random.Random, balance: int) -> int:
    """Return an input: from dust to more than all, and sometimes nonsense."""
    if _one_in(draw, 16):
        return draw.getrandbits(draw.randrange(1, 257))
    return min(2**256 - 1, int(balance * 10 ** draw.uniform(-9, 1)) + draw.randrange(2))


def usual_state(draw: random.Random, kind: str) -> State:
    """Return a pool as real ones are: of millions, leaning a little, at rest, with usual settings."""
    template = TEMPLATES[kind]
    precisions = [10 ** (18 - draw.choice((6, 8, 18))) for _ in range(template.coins)]
    prices = [int(10 ** draw.uniform(16, 22)) for _ in range(template.coins - 1)]
    middle = draw.uniform(23, 26)
    balances = [
        int(10 ** (middle + draw.uniform(-0.3, 0.3))) * PRECISION // price // precision
        for price, precision in zip((PRECISION, *prices), precisions, strict=True)
    ]
    ann = template.min_a * draw.choice((100, 400, 1_000))
    gamma = draw.choice((118 * 10**11, 145 * 10**12, 10**14, 10**16))
    return State(
        template=template,
        balances=tuple(balances),
        price_scale=tuple(prices),
        precisions=tuple(precisions),
        ramp=at_rest(ann, gamma),
        d=_invariant(draw, template, (ann, gamma), balances, prices, precisions),
        mid_fee=draw.choice((26 * 10**6, 3 * 10**6)),
        out_fee=45 * 10**6,
        fee_gamma=draw.choice((23 * 10**13, 5 * 10**14, 10**16)),
        time=NOW,
    )
