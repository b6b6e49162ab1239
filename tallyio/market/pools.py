"""`Pool`: one pool of a market in Python, and amounts as arrays.

Layer: market. For research and for strategies in Python; compiled code asks the fused functions itself.

    pool = market.pool(0)
    pool.quote_exact_in(weth, 10**18)
    pool.quotes_exact_in(weth, words([10**16, 10**17, 10**18]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tallyio.market.memory import refuse
from tallyio.model.errors import ConfigError
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.jit import HotFunction, entry

if TYPE_CHECKING:
    from tallyio.market.market import Market

Quoter = Callable[[int], int]
Words = npt.NDArray[np.uint64]
"""Amounts of shape (n, 4): 256 bits each, lowest 64 first."""

_WORDS: Final = 4
_BYTES: Final = 32
_PAIR: Final = 2


def words(amounts: Sequence[int]) -> Words:
    """Return integers as an array. Raises: OverflowError: one is negative or needs more than 256 bits."""
    raw = b"".join(amount.to_bytes(_BYTES, "little") for amount in amounts)
    return np.frombuffer(raw, np.uint64).reshape(-1, _WORDS)


def integers(amounts: Words) -> list[int]:
    """Return an array as integers."""
    raw = np.ascontiguousarray(amounts, "<u8").tobytes()
    return [int.from_bytes(raw[start : start + _BYTES], "little") for start in range(0, len(raw), _BYTES)]


def quoters(function: HotFunction[..., int]) -> tuple[Callable[[int, int, int], Quoter], Callable[[], None]]:
    """Return what makes a quoter of a pool's record, `i` and `j`, and what makes all those refuse.

    They share the one cell that names the compiled function, so refusing costs a call no test.
    """
    quote: Callable[..., int] = function

    def make(pool: int, i: int, j: int) -> Quoter:
        nonlocal quote
        quote = entry(function)

        def quoted(amount_in: int) -> int:
            return quote(pool, i, j, amount_in)

        return quoted

    def close() -> None:
        nonlocal quote
        quote = refuse

    return make, close


class Pool:
    """Pool number `number` of `market`, as of the market's head.

    Tokens are named by address. A pool of two tokens knows the other one; where there are more, name
    both. Every method raises ConfigError for a token that the pool does not hold, and ValueError once the
    market is closed. Amounts are in smallest units, and so are prices: units of the token bought for
    one unit sold, fees included.
    """

    def __init__(self, market: Market, number: int) -> None:
        self._market = market
        self._many: Any = market.fused.load("tallyio.market.quotes")
        self.number: Final = number
        self.spec: Final[PoolSpec] = market.shape.pools[number]

    def quote_exact_in(self, sold: Address, amount_in: int, bought: Address | None = None) -> int:
        """Return the exact output of selling `amount_in`; 0 where the pool refuses or pays nothing."""
        return self._market.quote(self.number, *self._sides(sold, bought), amount_in)

    def quote_exact_out(self, bought: Address, amount_out: int, sold: Address | None = None) -> int:
        """Return the exact input that pays `amount_out`; 0 where the pool cannot pay it."""
        j, i = self._sides(bought, sold)
        return self._market.quote_exact_out(self.number, i, j, amount_out)

    def quoter(self, sold: Address, bought: Address | None = None) -> Quoter:
        """Return `quote_exact_in` of one direction as the fastest function that Python can call.

        It takes integers alone and checks nothing but that they fit 256 bits. It keeps the market, and
        raises ValueError once that is closed.
        """
        return self._market.quoter(self.number, *self._sides(sold, bought))

    def quotes_exact_in(self, sold: Address, amounts_in: Words, bought: Address | None = None) -> Words:
        """Return the exact output of each amount."""
        return self._batch(self._many.quote_amounts, amounts_in, self._sides(sold, bought))

    def quotes_exact_out(self, bought: Address, amounts_out: Words, sold: Address | None = None) -> Words:
        """Return the exact input for each output."""
        j, i = self._sides(bought, sold)
        return self._batch(self._many.quote_outputs, amounts_out, (i, j))

    def spot_price(self, sold: Address, bought: Address | None = None) -> float:
        """Return what the first unit sold brings."""
        return self._market.curve(self.number, *self._sides(sold, bought), 0.0)[1]

    def price_impact(self, sold: Address, amount_in: int, bought: Address | None = None) -> float:
        """Return the share by which `amount_in` sells below the spot price; 1.0 where it sells not at all."""
        spot = self.spot_price(sold, bought)
        if not (spot > 0.0 and amount_in > 0):
            return 0.0 if amount_in == 0 else 1.0
        return 1.0 - self.quote_exact_in(sold, amount_in, bought) / (spot * amount_in)

    def gas(self, sold: Address, amount_in: int, bought: Address | None = None) -> int:
        """Return the estimated gas of the swap inside a larger transaction."""
        return self._market.gas(self.number, *self._sides(sold, bought), amount_in)

    def _batch(self, function: Any, amounts: Words, sides: tuple[int, int]) -> Words:
        given = np.ascontiguousarray(amounts, np.uint64)
        if given.ndim != _PAIR or given.shape[1] != _WORDS:
            raise ValueError(f"amounts must have the shape (n, {_WORDS}), not {given.shape}: use `words`")
        answers = np.empty_like(given)
        function(
            self._market.pool_address(self.number), *sides, given.ctypes.data, len(given), answers.ctypes.data
        )
        return answers

    def _sides(self, one: Address, other: Address | None) -> tuple[int, int]:
        tokens = self.spec.tokens
        if other is None:
            if len(tokens) != _PAIR:
                raise ConfigError(
                    f"pool {checksum(self.spec.address)} holds {len(tokens)} tokens",
                    way_out="name the other token too",
                )
            other = tokens[1] if one == tokens[0] else tokens[0]
        for token in (one, other):
            if token not in tokens or one == other:
                raise ConfigError(
                    f"pool {checksum(self.spec.address)} sells no {checksum(other)} for {checksum(one)}",
                    way_out=f"it holds {', '.join(map(checksum, tokens))}",
                )
        return tokens.index(one), tokens.index(other)
