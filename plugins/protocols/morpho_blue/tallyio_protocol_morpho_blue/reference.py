"""Interest, health and liquidation in Python integers: the specification of `hot`.

Source: `Morpho` and its libraries `MathLib`, `SharesMathLib`, `ConstantsLib` (@morpho-org/morpho-blue).

`liquidate` of the contract takes either the collateral to seize or the shares of debt to repay. We always
name the collateral: what n shares would seize, rounded down twice on the way, costs at most n shares when
it is asked for by its own amount (each rounding up there is the inverse of a rounding down here). So no
number of shares does better, and naming the collateral alone can take exactly all of it. The largest that
an offer pays for follows from the same inverses, without a search:

    ceil(n / d) <= m   if and only if   n <= m * d
"""

from __future__ import annotations

import msgspec

from tallyio_protocol_morpho_blue import curve
from tallyio_protocol_morpho_blue.curve import WAD
from tallyio_protocol_morpho_blue.layout import UINT128_MAX, Irm, Market

PRICE_SCALE = 10**36
VIRTUAL_SHARES = 10**6
VIRTUAL_ASSETS = 1
CURSOR = 3 * WAD // 10
MAX_INCENTIVE = 115 * WAD // 100
MOST_SECONDS = 1 << 40
"""Interest of a longer time is out of domain; so are the totals below."""
MOST_ASSETS = 1 << 126
MOST_SHARES = 1 << 127
MOST_GROWTH = 1 << 127
MOST_VALUE = 1 << 255
"""Of collateral, times its price."""
UINT256_MAX = (1 << 256) - 1


class Terms(msgspec.Struct, frozen=True):
    """What a liquidation takes and gives; all in smallest units."""

    repay: int
    seize: int
    written_off: int
    most: int
    shares: int
    """Of debt, that the payment burns."""


def incentive_factor(lltv: int) -> int:
    """Return how much collateral a liquidator gets for the debt paid, in 1e-18."""
    return min(MAX_INCENTIVE, WAD * WAD // (WAD - CURSOR * (WAD - lltv) // WAD))


def taylor(rate: int, seconds: int) -> int:
    """Return e**(rate * seconds) - 1 to its third term, as `MathLib.wTaylorCompounded`."""
    first = rate * seconds
    second = first * first // (2 * WAD)
    return first + second + second * first // (3 * WAD)


def accrued(market: Market, time: int) -> Market | None:
    """Return `market` with interest to `time`; None: out of domain, where the contract may revert."""
    most, elapsed = max(market.supply_assets, market.borrow_assets), time - market.last_update
    if most >= MOST_ASSETS or market.borrow_shares >= MOST_SHARES:
        return None
    if market.irm == Irm.NONE or elapsed == 0:
        return market
    if not 0 < elapsed < MOST_SECONDS or not _has_rate(market):
        return None
    rate, end = _rate(market, elapsed)
    growth = taylor(rate, elapsed)
    interest = market.borrow_assets * growth // WAD
    if growth >= MOST_GROWTH or interest + most >= MOST_ASSETS:
        return None
    return msgspec.structs.replace(
        market,
        supply_assets=market.supply_assets + interest,
        borrow_assets=market.borrow_assets + interest,
        last_update=time,
        rate=end,
    )


def _has_rate(market: Market) -> bool:
    return market.irm == Irm.FIXED or market.borrow_assets <= market.supply_assets


def _rate(market: Market, elapsed: int) -> tuple[int, int]:
    """Return the borrow rate over `elapsed` seconds, and what the row holds as rate after them."""
    if market.irm == Irm.FIXED:
        return market.rate, market.rate
    return curve.borrow_rate(
        market.supply_assets, market.borrow_assets, rate_at_target=market.rate, elapsed=elapsed
    )


def assets_up(shares: int, market: Market) -> int:
    """Return what `shares` of debt are worth, rounded up."""
    return -(-shares * (market.borrow_assets + VIRTUAL_ASSETS) // (market.borrow_shares + VIRTUAL_SHARES))


def health(market: Market, collateral: int, shares: int, time: int) -> tuple[int, int] | None:
    """Return the most that `collateral` lets one owe, and what is owed; None: out of domain.

    A position can be liquidated where it owes more, as `Morpho._isHealthy`. Without debt the contract asks
    nobody for a price, and where there is none the collateral counts for nothing.
    """
    value = collateral * market.price if market.price is not None else MOST_VALUE
    limit = value // PRICE_SCALE * market.lltv // WAD if value < MOST_VALUE else 0
    if shares == 0:
        return limit, 0
    grown = accrued(market, time)
    if grown is None or value >= MOST_VALUE or shares > market.borrow_shares:
        return None
    return limit, assets_up(shares, grown)


def cost_of(grown: Market, seize: int) -> tuple[int, int]:
    """Return shares and assets of debt that seizing `seize` units takes, as `Morpho.liquidate`."""
    quoted = -(-seize * (grown.price or 0) // PRICE_SCALE)
    value = -(-quoted * WAD // grown.incentive)
    shares = -(-value * (grown.borrow_shares + VIRTUAL_SHARES) // (grown.borrow_assets + VIRTUAL_ASSETS))
    return shares, assets_up(shares, grown)


def most_seized(grown: Market, collateral: int, shares: int, repay: int) -> int:
    """Return the most collateral that `repay` units of the loan token, and `shares` of debt, pay for."""
    assets, all_shares = grown.borrow_assets + VIRTUAL_ASSETS, grown.borrow_shares + VIRTUAL_SHARES
    payable = min(min(repay, UINT128_MAX) * all_shares // assets, shares)
    quoted = payable * assets // all_shares * grown.incentive // WAD
    return min(quoted * PRICE_SCALE // grown.price, collateral) if grown.price else collateral


def liquidate(market: Market, collateral: int, shares: int, repay: int, time: int) -> Terms | None:
    """Return what an offer of `repay` gives a liquidator of this position; None: out of domain.

    The position is liquidatable. Where the offer is too small, `seize` is 0.
    """
    grown = accrued(market, time)
    if grown is None:
        return None
    _, most = cost_of(grown, most_seized(grown, collateral, shares, UINT256_MAX))
    seize = most_seized(grown, collateral, shares, repay)
    burned, paid = cost_of(grown, seize)
    written_off = 0
    if seize == collateral:
        left = msgspec.structs.replace(
            grown,
            borrow_assets=max(grown.borrow_assets - paid, 0),
            borrow_shares=grown.borrow_shares - burned,
        )
        written_off = min(left.borrow_assets, assets_up(shares - burned, left))
        if written_off > grown.supply_assets:
            return None
    return Terms(repay=paid, seize=seize, written_off=written_off, most=most, shares=burned)


def oracle_price(scale: int, answers: tuple[int, int, int, int]) -> int:
    """Return the price of `MorphoChainlinkOracleV2` without vaults. Raises: ZeroDivisionError: it reverts."""
    base1, base2, quote1, quote2 = answers
    return scale * (base1 * base2) // (quote1 * quote2)
