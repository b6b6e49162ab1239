"""Cycles through Uniswap V4's manager, among pools of V2 and V3: real contracts, exact to the unit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import isqrt, log
from typing import NamedTuple

import pytest
from tallyio_protocol_uniswap_v4.adapter import UniswapV4

from tallyio.engine.executor import MAX_BYTES, MAX_CALLS, CallPacker
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.lab.recipe import sqrt_price_x96, units
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR, Pool
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text
from tests.engine.practice import OWNER, STRANGER, Cycle, Practice
from tests.v4_desk import Desk, Key, deploy_manager

SPACINGS = {100: 1, 500: 10, 3_000: 60}
REACH = 6_000
"""Of each position to both sides, in ticks."""

DEPTH_USD = 1_000_000
MILLE = 1_000


class Offer(NamedTuple):
    """A pool of one of the managers, and the price of its first token per mille of the reference."""

    manager: str
    symbols: tuple[str, str]
    fee: int
    mille: int


OFFERS = (
    Offer("a", ("WETH", "USDC"), 500, 1_030),
    Offer("a", ("WETH", "USDC"), 3_000, 970),
    Offer("a", ("USDC", "USDT"), 100, 1_000),
    Offer("b", ("WETH", "USDC"), 500, 1_010),
    Offer("a", ("ETH", "USDC"), 500, 950),
    Offer("a", ("ETH", "USDC"), 3_000, 1_030),
    Offer("b", ("ETH", "USDC"), 3_000, 1_020),
)


CYCLES = {
    "V4 to V2": Cycle("WETH", 10**18, ("a:WETH/USDC:500", "v2a:USDC/WETH:3000")),
    "V4 to V3": Cycle("WETH", 10**18, ("a:WETH/USDC:500", "v3:USDC/WETH:3000")),
    "V2 to V4": Cycle("USDC", 3_000 * 10**6, ("v2a:USDC/WETH:3000", "a:USDC/WETH:500")),
    "V3 to V4": Cycle("USDC", 3_000 * 10**6, ("v3:USDC/WETH:3000", "a:USDC/WETH:500")),
    "V4 to V4": Cycle("WETH", 10**18, ("a:WETH/USDC:500", "a:USDC/WETH:3000")),
    "V4 to V4 of another manager": Cycle("WETH", 10**18, ("b:WETH/USDC:500", "a:USDC/WETH:3000")),
    "native, at one manager": Cycle("USDC", 3_000 * 10**6, ("a:USDC/ETH:500", "a:ETH/USDC:3000")),
    "native, at two managers": Cycle("USDC", 3_000 * 10**6, ("a:USDC/ETH:500", "b:ETH/USDC:3000")),
    "native, within V2": Cycle(
        "WETH",
        10**18,
        ("v2b:WETH/USDC:3000", "a:USDC/ETH:500", "b:ETH/USDC:3000", "a:USDC/WETH:3000"),
    ),
    "V4, V2, V2": Cycle("WETH", 10**18, ("a:WETH/USDC:500", "v2b:USDC/USDT:3000", "v2b:USDT/WETH:3000")),
    "V4, V4, V2": Cycle("WETH", 10**18, ("a:WETH/USDC:500", "a:USDC/USDT:100", "v2b:USDT/WETH:3000")),
    "V4, V2, V4": Cycle(
        "WETH", 10**18, ("a:WETH/USDC:500", "v2b:USDC/USDT:3000", "a:USDT/USDC:100", "a:USDC/WETH:3000")
    ),
    "V2, V4, V4": Cycle(
        "USDC", 10**9, ("v2b:USDC/USDT:3000", "a:USDT/USDC:100", "v2a:USDC/WETH:3000", "a:WETH/USDC:500")
    ),
    "V3, V4, V2": Cycle("USDT", 10**9, ("v3:USDT/WETH:3000", "a:WETH/USDC:500", "v2b:USDC/USDT:3000")),
}
"""Every place of V4 among others, two managers, and native currency in hand and in the manager."""


class Managers(Practice):
    """The market of `Practice`, pulled apart, and two managers with pools at prices of their own."""

    def __init__(self) -> None:
        self.keys: dict[int, tuple[Desk, Key]] = {}
        super().__init__()
        self.unbalance()
        self.desks = {name: self._open_desk() for name in ("a", "b")}
        for offer in OFFERS:
            self._open(offer)

    def token(self, symbol: str) -> Address:
        """Return the address of a token; the native currency's is zero."""
        return ZERO_ADDRESS if symbol == "ETH" else super().token(symbol)

    def quote(self, pool: int, symbol_in: str, amount_in: int) -> int:
        """Return what a swap pays, as the venue itself says."""
        if pool not in self.keys:
            return super().quote(pool, symbol_in, amount_in)
        desk, key = self.keys[pool]
        i = self.pools[pool].tokens.index(symbol_in)
        (delta,) = desk.trials(key, [(i == 0, -amount_in, HIGHEST_LIMIT if i else LOWEST_LIMIT)])
        assert delta is not None
        assert delta[i] == -amount_in
        return delta[1 - i]

    def _open_desk(self) -> Desk:
        desk = Desk(self.backend, deploy_manager(self.backend))
        self.backend.fund(desk.contract.address, 10**24)
        for symbol in ("WETH", "USDC", "USDT"):
            self.transact(self.transfer(symbol, desk.contract.address, units(symbol, 20 * DEPTH_USD)))
        return desk

    def _open(self, offer: Offer) -> None:
        desk = self.desks[offer.manager]
        first, second = offer.symbols
        symbols = (first, second) if self.token(first) < self.token(second) else (second, first)
        spacing = SPACINGS[offer.fee]
        key = Key(self.token(symbols[0]), self.token(symbols[1]), offer.fee, spacing)
        like = ["WETH" if symbol == "ETH" else symbol for symbol in symbols]
        more, less = (offer.mille, MILLE) if symbols[0] == first else (MILLE, offer.mille)
        price = isqrt(sqrt_price_x96(like[0], like[1]) ** 2 * more // less)
        tick = int(2 * log(price / 2**96) / log(1.0001)) // spacing * spacing
        reach = REACH // spacing * spacing
        desk.initialize(key, price)
        depth = isqrt(units(like[0], DEPTH_USD) * units(like[1], DEPTH_USD))
        desk.modify(key, tick - reach, tick + reach, 4 * depth)
        self.keys[len(self.pools)] = (desk, key)
        self._list(offer, symbols, desk, key)

    def _list(self, offer: Offer, symbols: tuple[str, str], desk: Desk, key: Key) -> None:
        manager = desk.manager.address
        adapter: ExchangeProtocol = UniswapV4({"venues": [{"name": "x", "factory": hex_text(manager)}]})
        self.adapters.append(adapter)
        # To the base class it is one more pool, of a kind that it is never asked about.
        self.pools.append(
            Pool(kind="v3", venue=offer.manager, address=manager, tokens=symbols, fee_pips=offer.fee)
        )
        self.specs.append(
            PoolSpec(
                address=manager,
                id=key.id,
                tokens=(key.currency0, key.currency1),
                venue=offer.manager,
                fee_pips=offer.fee,
                can_flash=True,
                parameters=(("fee", key.fee), ("hooks", 0), ("tick_spacing", key.spacing)),
            )
        )


@pytest.fixture(scope="module")
def shared() -> Managers:
    """Return the one market of all tests; each undoes what it did."""
    return Managers()


@pytest.fixture
def managers(shared: Managers) -> Iterator[Managers]:
    """Return the market as it was made."""
    with shared.backend.undone():
        yield shared


def assert_nothing_left(managers: Managers) -> None:
    for symbol in managers.world.tokens:
        assert managers.balance(symbol, managers.executor) == 0
    assert managers.backend.evm.get_balance(hex_text(managers.executor)) == 0


@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES)
def test_a_cycle_earns_what_was_predicted_to_the_wei(managers: Managers, cycle: Cycle) -> None:
    opportunity = managers.opportunity(cycle)
    assert opportunity.profit > 0
    before = managers.backend.evm.get_balance(hex_text(OWNER))
    assert managers.land(managers.plan(opportunity)) == opportunity.profit
    assert managers.backend.evm.get_balance(hex_text(OWNER)) == before
    assert_nothing_left(managers)


def test_random_amounts_earn_what_was_predicted(managers: Managers) -> None:
    draw, landed = random.Random(4), 0
    for _ in range(40):
        name = draw.choice(list(CYCLES))
        amount = CYCLES[name].amount_in * draw.randrange(1, 4_000) // 1_000
        opportunity = managers.opportunity(CYCLES[name]._replace(amount_in=amount))
        if opportunity.profit > 0:
            assert managers.land(managers.plan(opportunity)) == opportunity.profit
            assert_nothing_left(managers)
            landed += 1
    assert landed > 15


@pytest.mark.parametrize("away", [1, -1])
def test_a_price_that_moved_reverts_whichever_way(managers: Managers, away: int) -> None:
    """Both amounts are settled to the unit, so that even a better price leaves a balance open."""
    pool = managers.find("a:WETH/USDC:500")
    made = managers.plan(managers.opportunity(CYCLES["V4 to V2"]))
    desk, key = managers.keys[pool]
    sells_weth = (managers.pools[pool].tokens[0] == "WETH") is (away < 0)
    limit = LOWEST_LIMIT if sells_weth else HIGHEST_LIMIT
    amount = units("WETH" if away < 0 else "USDC", 1_000)
    desk.swap(key, zero_for_one=sells_weth, amount=-amount, limit=limit)
    with pytest.raises(Reverted):
        managers.transact(made.call, OWNER)
    assert_nothing_left(managers)


def test_what_one_swap_pays_and_the_next_takes_stays_in_the_manager(managers: Managers) -> None:
    """Two pools of one manager: nothing is transferred but the gain."""
    opportunity = managers.opportunity(CYCLES["V4 to V4"])
    managers.land(managers.plan(opportunity))
    moved = [log for log in managers.backend.logs if log.address.lower() == hex_text(managers.token("WETH"))]
    assert len(moved) == 2  # from the manager to the executor, and to the owner
    usdc = hex_text(managers.token("USDC"))
    assert not [log for log in managers.backend.logs if log.address.lower() == usdc]


@pytest.mark.parametrize("other", ["v2a:USDC/WETH:3000", "v3:USDC/WETH:3000", "b:USDC/WETH:500"])
def test_the_longest_lists_fit(managers: Managers, other: str) -> None:
    """Legs of a manager in turn with others share nothing, so their list is the longest."""
    packer, counts = CallPacker(), list[int]()

    def pack(calls: tuple[Call, ...]) -> bytes:
        counts.append(len(calls))
        return packer.pack(calls)

    def swap(name: str, inner: tuple[Call, ...] = ()) -> tuple[Call, ...]:
        pool = managers.find(name)
        return managers.adapters[pool].swap(
            managers.specs[pool],
            token_in=0,
            token_out=1,
            amount_in=2**100,
            amount_out=2**101,
            recipient=managers.executor,
            inner=inner,
            encode=pack,
        )

    ours = "a:WETH/USDC:500"
    inner = tuple(call for name in (other, ours, other) for call in swap(name))
    size = len(pack(swap(ours, inner)))
    assert max(counts) <= 14 <= MAX_CALLS
    assert size <= 3_900 <= MAX_BYTES


def test_a_stranger_cannot_have_the_manager_call_back(managers: Managers) -> None:
    """The manager calls back who unlocks it, and nobody else."""
    managers.transact(managers.transfer("WETH", managers.executor, 9))
    theft = CallPacker().pack((managers.transfer("WETH", STRANGER, 9),))
    manager = managers.desks["a"].manager
    for sender in (STRANGER, OPERATOR):
        with pytest.raises(Reverted):
            managers.transact(manager.call("unlock", theft), sender)
    assert managers.balance("WETH", STRANGER) == 0
    assert managers.balance("WETH", managers.executor) == 9
