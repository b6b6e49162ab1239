"""What the compiled search works on: the scene in numbers, and a deal for each position.

All records are filled by `tables`; token ids are the market's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.lending.abi import LIQUIDATION
from tallyio.market.pairing_layout import SALE_PATHS
from tallyio.market.route_layout import PATH

NOBODY: Final = -1
NO_SIDE: Final = -1
"""The reserve has no such side."""
NOT_TRADED: Final = -2
"""No pool of the market holds the token."""

# What became of a position; from 1 on the verdicts of `tallyio.lending.abi`.
NOTHING: Final = -1
"""It has no pair of a debt and a collateral."""
DEAL: Final = 0
"""It gains, after everything, what `net` says: whether that is enough is not for the search."""
NO_SALE: Final = 101
NO_LOAN: Final = 102
NO_VALUE: Final = 103
NO_PROFIT: Final = 104
"""Not even its own gas is paid by the most that it could bring."""

SCENE: Final = np.dtype(
    [
        ("router", "i8"),  # address of the ROUTER record
        ("market", "i8"),  # address of the MARKET record
        ("time", "i8"),  # of the block that a transaction would run in
        ("number", "i8"),
        ("gas_price", "f8"),  # wei
        ("liquidation_gas", "i8"),
        ("plan_gas", "i8"),
        ("max_pairs", "i8"),
        ("max_batch", "i8"),
        ("max_gas", "i8"),
        ("books", "i8"),  # address of BOOKs by number
        ("loans_at", "i8"),  # address of int64 per token and one more: where its LOANs start
        ("loans", "i8"),  # address of LOANs, by token and then by address of the lender
        ("locks_at", "i8"),  # address of int64 per pool and one more: where its locks start
        ("locks", "i8"),  # address of int64: lenders that cannot lend while the pool is traded
        ("pairs", "i8"),  # address of `max_pairs` PAIRs, to work with
        ("trial", "i8"),  # address of an OFFER, to work with
        ("sizing", "i8"),  # address of a SIZING, to work with
        ("ask", "i8"),  # addresses of functions of `pricing`
        ("price", "i8"),
        ("read_price", "i8"),
        ("order", "i8"),  # address of int64 per deal: deals by falling net
        ("heads", "i8"),  # address of int64 per deal: deals that others may go with
        ("prices", "i8"),  # address of PRICEs, kept by two tokens
        ("round", "i8"),  # counts the searches; a PRICE of an earlier one is void
    ]
)
"""Where everything is."""

BOOK: Final = np.dtype(
    [
        ("book", "i8"),  # address of the BOOK record
        ("tokens", "i8"),  # address of int64 per reserve and side: the token of its collateral, of its debt
        ("calls_back", "i8"),
        ("is_independent", "i8"),
    ]
)
"""One book."""

LOAN: Final = np.dtype(
    [
        ("available", "u8", 4),  # little-endian 256-bit
        ("numerator", "i8"),  # the fee is (amount * numerator + addend) / denominator, rounded down
        ("denominator", "i8"),
        ("addend", "i8"),
        ("gas", "i8"),
        ("lender", "i8"),  # its number among the lenders
        ("index", "i8"),  # its place in the scene's loans
    ]
)
"""One offer."""

PRICES: Final = 1 << 10
PRICE: Final = np.dtype(
    [
        ("sold", "i8"),  # token ids
        ("bought", "i8"),
        ("round", "i8"),
        ("amount", "f8"),  # for which the price was read
        ("price", "f8"),
    ]
)
"""What a small amount brings for each unit."""

PAIR: Final = np.dtype([("bound", "f8"), ("collateral", "i8"), ("debt", "i8")])
"""A debt and a collateral, by their places in the position, and a net profit that they cannot surpass."""

OFFER: Final = np.dtype(
    [
        ("position", "i8"),  # address of the POSITION: the search is asked with this and the next
        ("book", "i8"),  # number of its book
        ("fault", "i8"),  # DEAL, or why there is none
        ("collateral", "i8"),  # reserve numbers; of the first pair where there is no deal
        ("debt", "i8"),
        ("at_collateral", "i8"),  # places among the position's balances
        ("at_debt", "i8"),
        ("sold", "i8"),  # token ids
        ("bought", "i8"),
        ("is_most", "i8"),  # whether the terms are those of the most that is lawful
        ("loan", "i8"),  # place in the scene's loans, or NOBODY
        ("gas", "i8"),  # of the whole transaction, as estimated
        ("net", "f8"),  # profit after gas, in wei of the native currency
        ("head", "i8"),  # the deal that it goes with in one transaction, or its own number
        ("next", "i8"),  # the next deal that goes with this, or NOBODY
        ("count", "i8"),  # how many go together; counted at the head
        ("asked", "u8", 4),  # little-endian 256-bit: what is offered to the protocol
        ("terms", LIQUIDATION),
        ("paid", "u8", 4),  # little-endian 256-bit: debt repaid in the transaction, of all its deals
        ("given", "u8", 4),  # ... collateral that arrives
        ("fee", "u8", 4),  # ... of the loan
        ("brought", "u8", 4),  # ... what the sale brings
        ("sale", PATH, SALE_PATHS),  # the sale's one or two paths, and two to work with
    ]
)
"""The best deal of one position, and of those that go with it."""

HILL: Final = np.dtype(
    [
        ("low", "f8"),  # where the highest point is between; 0: nothing lower was looked at
        ("high", "f8"),
        ("best", "f8"),  # of the amounts tried, and its net
        ("top", "f8"),
        ("second", "f8"),
        ("second_net", "f8"),
        ("third", "f8"),
        ("third_net", "f8"),
        ("move", "f8"),  # from the best to the amount tried last, and to the one before that
        ("move_before", "f8"),
        ("steps", "i8"),
    ]
)
"""The search for the highest point of a hill."""

SIZING: Final = np.dtype(
    [
        ("amount", "u8", 4),  # little-endian 256-bit: to try next; 0 at the end
        ("most", "u8", 4),
        ("stage", "i8"),
        ("step", "i8"),  # of halving
        ("falls", "i8"),  # halves in a row that brought less than the best
        ("hill", HILL),
    ]
)
"""The search for an amount: which to try next, and what was learnt."""
