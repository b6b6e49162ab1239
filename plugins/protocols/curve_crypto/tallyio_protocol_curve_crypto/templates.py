"""The source templates that CryptoSwap pools were deployed from, and the limits that each asserts.

| kind | source |
|---|---|
| `twocrypto` | `CurveCryptoSwap2.vy`, `CurveCryptoSwap2ETH.vy` (curve-crypto-contract) |
| `tricrypto` | tricrypto2: `CurveCryptoSwap.vy`, `CurveCryptoMath3.vy` (curve-crypto-contract) |
| `twocrypto_ng` | `CurveTwocryptoOptimized.vy` with its math contract, versions 2.0 and 2.1 (twocrypto-ng) |
| `tricrypto_ng` | `CurveTricryptoOptimized(WETH).vy`, `CurveCryptoMathOptimized3.vy` (tricrypto-ng) |

Old pools walk to the balance that solves the invariant; NG computes it from a cubic equation. The two
differ by units, and a unit decides: a pool must be read as what it was compiled from.
"""

from __future__ import annotations

from typing import Final

import msgspec

A_MULTIPLIER: Final = 10_000
MIN_GAMMA: Final = 10**10
MIN_D: Final = 10**17
MAX_D: Final = 10**33


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table above."""

    kind: str
    coins: int
    ng: bool
    min_a: int
    """A is A * N**N * `A_MULTIPLIER`, as the contracts say it."""
    max_a: int
    max_gamma: int
    tight_gamma: int
    """Beyond this gamma a pool allows less imbalance, in proportion; `max_gamma` where it never does."""


def _template(kind: str, coins: int, *, ng: bool, a: tuple[int, int], gammas: tuple[int, int]) -> Template:
    whole = coins**coins * A_MULTIPLIER
    return Template(
        kind=kind,
        coins=coins,
        ng=ng,
        min_a=whole // a[0],
        max_a=whole * a[1],
        max_gamma=gammas[1],
        tight_gamma=gammas[0],
    )


TEMPLATES: Final = {
    template.kind: template
    for template in (
        _template("twocrypto", 2, ng=False, a=(10, 100_000), gammas=(2 * 10**16, 2 * 10**16)),
        _template("tricrypto", 3, ng=False, a=(100, 1_000), gammas=(5 * 10**16, 5 * 10**16)),
        _template("twocrypto_ng", 2, ng=True, a=(10, 1_000), gammas=(2 * 10**16, 199 * 10**15)),
        _template("tricrypto_ng", 3, ng=True, a=(100, 1_000), gammas=(5 * 10**16, 5 * 10**16)),
    )
}
