"""Build an engine from a configuration: plugins, chain, market, lane, signer, ledger, services.

Layer: engine. What is opened here is closed here, in reverse order, however the run ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from tallyio.engine.blame import Blame
from tallyio.engine.built import Built, build
from tallyio.engine.config import Config
from tallyio.engine.dispatch import Dispatch, Terms
from tallyio.engine.engine import Engine, Parts
from tallyio.engine.executor import RUN_SELECTOR
from tallyio.engine.inflight import InFlight, Sent
from tallyio.engine.lookahead import open_lookahead
from tallyio.engine.market_lane import MarketLane
from tallyio.engine.markets import Tell, load_market
from tallyio.engine.notices import Notices
from tallyio.engine.outcomes import Outcomes
from tallyio.engine.parties import Parties, find_parties
from tallyio.engine.pipeline import Pipeline
from tallyio.engine.planner import NO_LENDING, plan
from tallyio.engine.purse import Purse
from tallyio.engine.recovery import recover
from tallyio.engine.report import Report
from tallyio.engine.serving import serving
from tallyio.engine.simulator import Simulator
from tallyio.engine.slow_lane import SlowLane
from tallyio.engine.slow_start import open_slow_lane
from tallyio.engine.tokens import read_tokens
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import ChainClient, ExchangeProtocol, Limits, SignerClient
from tallyio.kernel.bridge import spin_budget
from tallyio.kernel.lane_wishes import LaneWishes
from tallyio.kernel.placement import Placement
from tallyio.kernel.threads import PinError
from tallyio.ledger.ledger import Ledger, open_ledger
from tallyio.ledger.records import Mode
from tallyio.market.exports import Progress
from tallyio.market.market import Market
from tallyio.model.chain import Block, BlockEvent, Head
from tallyio.model.errors import ChainError, UnsafeRefused
from tallyio.model.execution import Opportunity, Plan
from tallyio.model.units import Address, Hash, Wei, checksum
from tallyio.risk.desk import RiskDesk, RiskLimits

HOT: Final = "hot"


@asynccontextmanager
async def open_engine(
    config: Config,
    host: PluginHost,
    *,
    live: bool,
    seat: Placement,
    tell: Tell,
    progress: Progress | None = None,
) -> AsyncIterator[Engine]:
    """Start everything that `config` names and yield the running engine; stop it in order at the end.

    `tell` receives one line per step of the start, `progress` each function that is compiled.
    Raises: ConfigError, PluginError, ChainError, UnsafeRefused and others of
    `tallyio.model.errors`, before anything is signed; PinError: the seat is on another machine. A
    failure during the run cancels the caller's block and is raised in its place.
    """
    _check_seat(seat)
    built = build(config, host, live=live)
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(built.chain.open())
        events = chain.blocks()
        first = await _first(events)
        tell(f"chain {chain.chain_id}: at block {first.head.number}")
        parties = await find_parties(chain, config, first.head, live=live)
        if parties.on_paper:
            tell("no executor is configured: simulating with one that is not deployed")
        market, adapters = await _open_market(stack, built, chain, first.head, config, tell, progress)
        purse = Purse(parties.account, parties.executor, config.limits.max_pending)
        slow = await open_slow_lane(
            chain,
            first.head,
            market,
            adapters,
            built,
            max_gas=config.usable_gas,
            auctioned=config.auctioned,
            tell=tell,
            progress=progress,
            purse=purse,
        )
        if slow is not None:
            stack.callback(slow.books.close)
        lane = await stack.enter_async_context(_lane(market, built, seat))
        signer = await _open_signer(stack, built, config, parties, chain)
        ledger = await stack.enter_async_context(
            open_ledger(
                config.data_dir,
                mode=_mode(live=live),
                chain_id=chain.chain_id,
                account=parties.account,
                record=_record(host, seat, lane),
            )
        )
        assembly = _Assembly(config, parties, chain, market, adapters, lane, slow, signer, ledger)
        await assembly.prepare(first)
        notices = Notices(built.notifiers)
        engine = await assembly.engine(first, events, notices, tell)
        async with serving(engine, notices, lane, watch_loop=config.watch_loop):
            tell(f"{_mode(live=live)}: {len(market.shape.pools)} pools, {len(market.shape.tokens)} tokens")
            yield engine


class _Assembly:
    """Joins the opened pieces into an engine."""

    def __init__(  # noqa: PLR0913, PLR0917 - the pieces, each once
        self,
        config: Config,
        parties: Parties,
        chain: ChainClient,
        market: Market,
        adapters: Sequence[ExchangeProtocol],
        lane: MarketLane,
        slow: SlowLane | None,
        signer: SignerClient | None,
        ledger: Ledger,
    ) -> None:
        self._config = config
        self._parties = parties
        self._chain = chain
        self._market = market
        self._adapters = adapters
        self._lane = lane
        self._slow = slow
        self._signer = signer
        self._ledger = ledger
        self._report = Report()
        self._desk = RiskDesk(risk_limits(config))
        self._inflight = InFlight()
        self._simulator = Simulator(chain, pretend=parties.pretend)

    async def prepare(self, first: Block) -> None:
        """Read names for display and bring the simulator to the first block."""
        known = dict.fromkeys((*self._market.shape.tokens, *self._book_tokens()))
        self._report.tokens = await read_tokens(self._chain, list(known), block=first.head.hash)
        await self._simulator.follow(first)
        if self._slow is not None:
            await self._slow.send_ahead(self._simulator, self._parties, first.head)

    async def engine(
        self, first: Block, events: AsyncIterator[BlockEvent], notices: Notices, tell: Tell
    ) -> Engine:
        """Return the engine, with the open intents of earlier runs taken over."""
        first_nonce = 0
        if self._signer is not None:
            first_nonce = await recover(
                chain=self._chain,
                signer=self._signer,
                ledger=self._ledger,
                inflight=self._inflight,
                account=self._parties.account,
            )
        outcomes = Outcomes(
            first=first.head,
            account=self._parties.account,
            chain=self._chain,
            ledger=self._ledger,
            inflight=self._inflight,
            desk=self._desk,
            report=self._report,
            notify=notices.post,
            settle_blocks=self._config.execution.settle_blocks,
            rival=self._rival,
        )
        looking = self._slow if self._config.pending_updates else None
        return Engine(
            Parts(
                chain=self._chain,
                first=first,
                events=events,
                lane=self._lane,
                slow=self._slow,
                ahead=open_lookahead(self._chain, looking, self._simulator.effect, tell),
                order={each.name: rank for rank, each in enumerate(self._config.strategies)},
                books=[held.book.spec for held in self._slow.books] if self._slow else (),
                pools=self._market.shape.pools,
                tokens=self._report.tokens,
                reload=self._reload,
                follow=self._simulator.follow,
                stands=self._simulator.stands,
                pipeline=self._pipeline(first_nonce),
                outcomes=outcomes,
                ledger=self._ledger,
                inflight=self._inflight,
                desk=self._desk,
                report=self._report,
                notify=notices.post,
                max_pending=self._config.limits.max_pending,
                room=self._config.max_pending,
            )
        )

    def _pipeline(self, first_nonce: int) -> Pipeline:
        config = self._config
        terms = Terms(
            chain_id=self._chain.chain_id,
            account=self._parties.account,
            max_fee_wei=config.max_fee_wei,
            inclusion_blocks=config.execution.inclusion_blocks,
            gas_margin_percent=config.execution.gas_margin_percent,
            max_gas=config.max_gas,
        )
        blame = Blame(
            self._chain,
            executor=self._parties.executor,
            pools=self._market.shape.pools,
            name=lambda token: self._report.tokens[token].symbol,
        )
        return Pipeline(
            terms=terms,
            desk=self._desk,
            plan=self._plan,
            simulate=self._simulator.simulate,
            explain=blame.explain,
            native_value=self._native_value,
            chain=self._chain,
            dispatch=self._dispatch(terms, first_nonce),
            report=self._report,
        )

    def _dispatch(self, terms: Terms, first_nonce: int) -> Dispatch | None:
        if self._signer is None:
            return None
        return Dispatch(
            terms=terms,
            desk=self._desk,
            chain=self._chain,
            signer=self._signer,
            ledger=self._ledger,
            inflight=self._inflight,
            report=self._report,
            first_nonce=first_nonce,
        )

    def _plan(self, opportunity: Opportunity, deadline_block: int) -> Plan:
        return plan(
            opportunity,
            self._market.shape.pools,
            self._adapters,
            executor=self._parties.executor,
            sender=self._parties.account,
            deadline_block=deadline_block,
            lending=self._slow.lending if self._slow else NO_LENDING,
        )

    def _rival(self, sent: Sent) -> Hash | None:
        return self._slow.books.rival(sent.uses, sent.transaction.hash) if self._slow else None

    def _book_tokens(self) -> Iterator[Address]:
        for held in self._slow.books if self._slow else ():
            for reserve in held.book.spec.reserves:
                yield from (token for token in (reserve.collateral, reserve.debt) if token is not None)

    def _native_value(self, token: Address, units: int) -> float:
        return units * self._market.prices.native_per_unit[self._market.shape.token_ids[token]]

    async def _reload(self, pool: int, block: Hash) -> None:
        spec = self._market.shape.pools[pool]
        head = await self._chain.head()
        if head.hash != block:
            return  # a newer block is here already; the pool waits for its turn
        (row,) = await self._adapters[pool].load(self._chain, [spec], block=head)
        await self._lane.reload(pool, row, block=block)


def risk_limits(config: Config) -> RiskLimits:
    """Return the part of `[limits]` that the risk desk enforces."""
    limits = config.limits
    return RiskLimits(
        max_pending=limits.max_pending,
        max_gas=limits.max_gas,
        max_fee_wei=config.max_fee_wei,
        max_gas_spend_wei=Wei(limits.max_gas_spend_wei),
        max_reverts=limits.max_reverts,
        min_net_wei=limits.min_net_wei,
    )


def _check_seat(seat: Placement) -> None:
    if not seat.is_this_system:
        raise PinError(
            f"the lanes were placed on {seat.machine!r}, which is not this system",
            way_out="place them on Machine.this_system(); a description can only be looked at",
        )


async def _first(events: AsyncIterator[BlockEvent]) -> Block:
    async for event in events:
        if isinstance(event, Block):
            return event
    raise ChainError("the chain ended before its first block", way_out="look at the node's log")


async def _open_market(  # noqa: PLR0913, PLR0917 - one step of the start
    stack: AsyncExitStack,
    built: Built,
    chain: ChainClient,
    head: Head,
    config: Config,
    tell: Tell,
    progress: Progress | None,
) -> tuple[Market, list[ExchangeProtocol]]:
    """Load the configured pools and return the market with the adapter of each pool."""
    market, adapters = await load_market(
        chain,
        [(instance.name, adapter) for instance, adapter in built.protocols],
        head=head,
        native=config.native_token,
        strategies=[(instance.name, strategy.compiled) for instance, strategy in built.strategies],
        tell=tell,
        progress=progress,
    )
    return stack.enter_context(market), adapters


def _lane(market: Market, built: Built, seat: Placement) -> MarketLane:
    place = seat.lane(HOT)
    strategies = [(instance.name, strategy) for instance, strategy in built.strategies]
    wait = spin_budget(place.wait, place.wait_budget_us)
    return MarketLane(
        market, strategies, cpuset=frozenset(place.cpuset), wishes=LaneWishes.of(place), wait=wait
    )


async def _open_signer(
    stack: AsyncExitStack, built: Built, config: Config, parties: Parties, chain: ChainClient
) -> SignerClient | None:
    if built.signer is None:
        return None
    limits = Limits(
        chain_id=chain.chain_id,
        executor=parties.executor,
        selectors=(RUN_SELECTOR,),
        max_value_wei=Wei(config.limits.max_value_wei),
        max_fee_wei=config.max_fee_wei,
        max_gas=config.limits.max_gas,
    )
    signer = await stack.enter_async_context(built.signer.open(limits))
    if signer.account != parties.account:
        raise UnsafeRefused(
            f"{config.source}: the signer's key is of {checksum(signer.account)}, not of"
            f" [execution.account] {checksum(parties.account)}",
            way_out="make both the same account",
        )
    return signer


def _mode(*, live: bool) -> Mode:
    return "live" if live else "paper"


def _record(host: PluginHost, seat: Placement, lane: MarketLane) -> dict[str, object]:
    plugins = [{"kind": each.kind, "name": each.name, "version": each.version} for each in host.loaded]
    wishes = [str(outcome) for outcome in lane.lane.outcomes]
    return {"plugins": plugins, "placement": seat.to_json(), "lane": wishes}
