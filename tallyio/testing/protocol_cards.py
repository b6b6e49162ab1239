"""The cards of a protocol whose pools quote and trade.

Layer: testing.
"""

from __future__ import annotations

from typing import Final

from tallyio.lab.world import account
from tallyio.market import abi
from tallyio.market.exports import Steps, check_exports
from tallyio.market.fusion import PROTOCOL_EXPORTS
from tallyio.model.erc20 import transfer
from tallyio.model.errors import PluginError, TallyError
from tallyio.native.inspection import allocations
from tallyio.testing.cards import card
from tallyio.testing.funds import held
from tallyio.testing.pool_cards import PoolCards
from tallyio.testing.pool_desk import Row, Traded

EXACT_OUT: Final = "exact_out"
FLASH: Final = "flash"
REFERENCE: Final = "reference"
_ROW_UNIT: Final = 64
_GROWING: Final = (*(max(1, (4 << bits) // 3) for bits in range(255)), (1 << 256) - 1)
"""Every other bit set, so that an amount which is cut to any width is still one."""
_CURVE_ERROR: Final = 1e-9
NO_CURVE: Final = (0.0, 0.0)
"""What `curve` says where it sees nothing."""
_MOST_GAS: Final = 30_000_000
_FRIEND: Final = account("whom a card pays")
_LARGEST: Final = 4
"""How many of the largest amounts that are quoted are compared with the contract, a direction."""
_COMPUTE: Final = "compute as the contract does, with its rounding; 0 where it would revert"
_REFUSE: Final = "return 0 before an intermediate result can pass its width"


class ProtocolCards(PoolCards):
    """The cards of a plugin that builds an `ExchangeProtocol`.

    The author deploys his protocol's real contracts on an EVM in this process; the cards then let the
    plugin find them, quote them and trade with them, and believe the contracts in all they do.

    ```python
    class TestConformance(ProtocolCards):
        plugin = "constant_sum"

        def settings(self, chain):
            return {"pools": [deploy(chain)]}

        def reference(self, row, i, j, amount_in):
            return reference.quote(unpack(row), i, amount_in)
    ```
    """

    @card()
    def test_p01_discovery_finds_the_pools(self) -> None:
        """`discover` finds the author's pools, each once, and the same ones when it is asked again."""
        pools = self.desk.pools
        self.require(pools, "it found none", fix="check `settings` of the cards, and `discover`")
        self.require(
            len({pool.identity for pool in pools}) == len(pools),
            "two pools have the same address and id",
            fix="give pools that share an address an `id` each",
        )
        for pool in pools:
            self.require(
                1 < len(set(pool.tokens)) == len(pool.tokens) <= abi.MAX_POOL_TOKENS,
                f"pool 0x{pool.address.hex()} has the tokens {[token.hex() for token in pool.tokens]}",
                fix=f"a pool has 2 to {abi.MAX_POOL_TOKENS} tokens, all of them different",
            )
        self.require(
            self.desk.discover() == pools,
            "the second answer at the same block is another one",
            fix="let `discover` depend on settings and chain only",
        )

    @card()
    def test_p02_everything_is_read_at_the_given_block(self) -> None:
        """`discover` and `load` ask the chain at the block that they were given, so all they read agrees."""
        desk = self.desk
        asked = desk.chain.asked_at
        del asked[:]
        desk.discover()
        desk.load()
        stray = {None if block is None else block.hex() for block in asked if block != desk.chain.latest.hash}
        self.require(not stray, f"it asked at {stray}", fix="pass `block=block.hash` to every `chain.call`")

    @card()
    def test_p03_rows_are_sound(self) -> None:
        """`load` gives each pool a row whose size is a multiple of 64, the same when it is asked again."""
        desk, rows = self.desk, self.desk.load()
        self.require(
            len(rows) == len(desk.pools),
            f"{len(desk.pools)} pools have {len(rows)} rows",
            fix="return one row for each pool, in their order",
        )
        wrong = [len(row) for row in rows if not row or len(row) % _ROW_UNIT]
        self.require(not wrong, f"a row has {wrong[:1]} bytes", fix=f"pad rows to a multiple of {_ROW_UNIT}")
        self.require(
            desk.load() == rows,
            "two loads at the same block differ",
            fix="write every byte of a row from what the chain says, nothing from memory or clock",
        )

    @card()
    def test_p04_compiled_functions_have_their_signatures(self) -> None:
        """The compiled module defines the functions of the ABI with `hot` and exactly its signatures."""
        plugin = (self.plugin, self.desk.adapter.compiled)
        try:
            found = check_exports(*plugin, PROTOCOL_EXPORTS, Steps(0, None), look_at=abi.__name__)
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)
        self.require(
            ("quote_exact_out" in found.exports) == (EXACT_OUT in self.contract.capabilities),
            f"it defines {', '.join(found.exports)} and declares {', '.join(self.contract.capabilities)}",
            fix=f"declare {EXACT_OUT!r} in contract.toml if, and only if, it defines quote_exact_out",
        )

    @card()
    def test_p05_hot_functions_allocate_nothing(self) -> None:
        """The compiled functions take no memory and hold no Python object: they run without the GIL."""
        for export in PROTOCOL_EXPORTS:
            function = getattr(self.desk.hot, export.name, None)
            for taken_by in allocations(function) if function else ():
                self.fail(
                    f"{self.desk.adapter.compiled.module}.{export.name} takes memory by {taken_by}",
                    fix="work on the row by addresses, and on the stack: no array, list, set or text",
                )

    @card()
    def test_p06_exact_in_quotes_equal_the_contract(self) -> None:
        """`quote` is what the contract pays, to the last unit; where it reverts, the quote is 0."""
        desk, paid = self.desk, 0
        with desk.next_block() as rows:
            for way, amount in self._amounts(rows):
                quoted = desk.quote(rows[way.pool], way, amount)
                paid += quoted > 0
                self._check_paid(way, amount, quoted, fix=_COMPUTE)
        self.require(
            paid > self.quotes // 4, f"only {paid} amounts were quoted", fix="deploy pools that trade"
        )

    @card()
    def test_p07_what_is_too_large_is_refused(self) -> None:
        """As the amount grows a quote never falls but to 0: beyond its domain it refuses, and never wraps."""
        desk = self.desk
        with desk.next_block() as rows:
            for way in desk.directions():
                last = (0, desk.quote(rows[way.pool], way, 0))
                self.require(
                    last == (0, 0), f"for {desk.named(way)}, 0 brings {last[1]}", fix="quote 0 for 0"
                )
                paid = []
                for amount in _GROWING:
                    quoted = desk.quote(rows[way.pool], way, amount)
                    # A contract's rounding, or a growing fee, may take a little back; a wrap takes most.
                    self.require(
                        quoted == 0 or 100 * quoted >= 99 * last[1],
                        f"for {desk.named(way)}, {amount} brings {quoted}, but {last[0]} brings {last[1]}",
                        fix=_REFUSE,
                    )
                    last = (amount, quoted) if quoted else last
                    paid += [(amount, quoted)] if quoted and amount <= desk.holds(way) else []
                for amount, quoted in paid[-_LARGEST:]:
                    self._check_paid(way, amount, quoted, fix=_REFUSE)

    @card(needs=EXACT_OUT)
    def test_p08_exact_out_quotes_equal_the_contract(self) -> None:
        """`quote_exact_out` is what the contract takes for exactly that output, and 0 where it cannot pay."""
        desk, bought = self.desk, 0
        with desk.next_block() as rows:
            for way, amount in self._amounts(rows):
                wanted = desk.quote(rows[way.pool], way, amount)
                if wanted and not self.known_exception(desk.pools[way.pool], way.i, way.j, amount):
                    bought += self._check_exact_out(way, rows[way.pool], amount, wanted)
        self.require(
            bought > self.quotes // 8, f"only {bought} outputs were quoted", fix="deploy pools that trade"
        )

    @card()
    def test_p09_curves_follow_the_quotes(self) -> None:
        """`curve` is `quote` in floats: at most 1e-9 of the output and two units off, and it rises."""
        desk, seen = self.desk, 0
        with desk.next_block() as rows:
            for way, amount in self._amounts(rows):
                row, quoted = rows[way.pool], desk.quote(rows[way.pool], way, amount)
                out, slope = desk.curve(row, way, amount)
                if not quoted or (out, slope) == NO_CURVE:
                    continue
                # One unit of the input is worth at most what the very first one is.
                units = self.curve_units * (1 + desk.curve(row, way, 0)[1])
                slack = units + self.curve_slack(desk.chain, desk.pools[way.pool], way.j)
                seen += 1
                self.require(
                    abs(out - quoted) <= _CURVE_ERROR * quoted + slack and slope >= 0.0,
                    f"for {desk.named(way)}, amount {amount}, it says {out}, the quote is {quoted}",
                    fix="compute the curve from the same state, in an order that does not cancel",
                )
        self.require(
            seen > self.quotes // 4,
            f"only {seen} amounts have a curve",
            fix="give `curve` the domain of `quote`",
        )

    @card(needs=REFERENCE)
    def test_p10_the_reference_equals_the_compiled_quote(self) -> None:
        """The reference in Python integers gives every quote that the compiled function gives."""
        desk, rows = self.desk, [Row(raw) for raw in self.desk.load()]
        for way, amount in self._amounts(rows):
            row = rows[way.pool]
            quoted, expected = desk.quote(row, way, amount), self.reference(row.raw, way.i, way.j, amount)
            self.require(
                quoted == expected,
                f"for {desk.named(way)}, amount {amount}, the reference says {expected}, not {quoted}",
                fix="the reference is the specification: find which of the two the contract agrees with",
            )

    @card()
    def test_p11_rows_that_follow_logs_equal_a_fresh_load(self) -> None:
        """After the logs of blocks full of changes a row is what a fresh load of it is."""
        desk, seen = self.desk, 0
        with desk.next_block() as rows:
            for block in self._history(rows):
                statuses = desk.follow(rows, block)
                seen += sum(1 for _ in desk.events(block))
                fresh = desk.load()
                for k, status in enumerate(statuses):
                    if status == abi.LOG_RELOAD:
                        rows[k].set(fresh[k])
                    self.require(
                        self.meaning(rows[k].raw) == self.meaning(fresh[k]),
                        f"pool 0x{desk.pools[k].address.hex()} differs after block {block.head.number}",
                        fix="apply every event that changes the state, or return LOG_RELOAD for it",
                    )
        self.require(
            seen or not desk.adapter.topics,
            "swaps and changes emitted none of the adapter's events",
            fix="check `topics` and `log_sources`, or give the cards `changes`",
        )

    @card()
    def test_p12_a_block_can_be_undone(self) -> None:
        """A log changes no byte behind those that `event_bytes` promises, so putting them back undoes it."""
        desk = self.desk
        with desk.next_block() as rows:
            for block in self._history(rows):
                for k, event, log in desk.events(block):
                    row, promised = rows[k], desk.changes(event, rows[k])
                    before = row.raw
                    desk.apply(row, event, log)
                    self.require(
                        row.raw[promised:] == before[promised:],
                        f"event {event} changed bytes behind the first {promised} of a row",
                        fix="name more bytes in `CompiledProtocol.event_bytes`, or 0 for all",
                    )

    @card()
    def test_p13_calldata_does_what_was_quoted(self) -> None:
        """The calls of `swap`, made by the executor, spend the input, bring the quote, leave no allowance."""
        desk = self.desk
        with desk.next_block() as rows:
            for way, amount in self._tradeable(rows):
                quoted = desk.quote(rows[way.pool], way, amount)
                try:
                    traded = desk.try_trade(way, amount, quoted)
                except (TallyError, ValueError) as error:
                    self.fail(
                        f"for {desk.named(way)}, `swap` is refused: {error}",
                        fix="see `swap` of the interface",
                    )
                self.require(
                    traded == Traded(amount, quoted),
                    f"for {desk.named(way)}, {amount} for {quoted}, really moved are {traded}",
                    fix="let the calls pay the pool and send the output to `recipient`",
                )

    @card(needs=FLASH)
    def test_p14_a_flash_swap_pays_before_it_is_paid(self) -> None:
        """A pool that can flash runs `inner` calls when the output has come and the input is still due."""
        desk, tried = self.desk, 0
        with desk.next_block() as rows:
            for way, amount in self._tradeable(rows):
                if not desk.pools[way.pool].can_flash:
                    continue
                quoted, bought, tried = (
                    desk.quote(rows[way.pool], way, amount),
                    desk.tokens(way)[1],
                    tried + 1,
                )
                with desk.chain.backend.undone():
                    desk.trader.empty(bought)
                    done = desk.trade(way, amount, quoted, inner=(transfer(bought, _FRIEND, quoted),))
                    passed_on = held(desk.chain, bought, _FRIEND)
                self.require(
                    done is not None and (done.spent, passed_on) == (amount, quoted),
                    f"for {desk.named(way)}, {amount} for {quoted}: {done}, {passed_on} was passed on",
                    fix="let the pool call back with `encode((*inner, payment))`",
                )
        self.require(tried, "no pool that trades can flash", fix="set `can_flash`, or do not declare 'flash'")

    @card()
    def test_p15_gas_is_estimated(self) -> None:
        """`gas` of a swap that pays is positive and fits into a block."""
        desk = self.desk
        with desk.next_block() as rows:
            for way, amount in self._tradeable(rows):
                gas = desk.hot.gas(rows[way.pool].address, way.i, way.j, amount)
                self.require(
                    0 < gas < _MOST_GAS,
                    f"for {desk.named(way)} it is {gas}",
                    fix="return what a swap usually takes",
                )
