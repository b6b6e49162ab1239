"""What a run has done so far: counts, profit, times.

Layer: engine. Kept on the Trio thread by the engine; read by the command line and the tests.
"""

from __future__ import annotations

from collections import Counter, deque
from time import perf_counter_ns
from typing import Final

import msgspec

from tallyio.engine.tokens import decimal_text
from tallyio.engine.trace import StageTimes, Trace
from tallyio.model.chain import Head
from tallyio.model.market import Token
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.histogram import Histogram

RECENT: Final = 64


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction of ours that landed and paid."""

    opportunity: int
    block_number: int
    path: str
    token: Address
    predicted: int
    simulated: int
    realised: int
    gas_cost_wei: int
    transaction: Hash


class ProfitLine(msgspec.Struct, kw_only=True):
    """Profit of one token over all trades, in smallest units."""

    predicted: int = 0
    simulated: int = 0
    realised: int = 0
    trades: int = 0


class Report:
    """The counts of one run. `tokens` gives symbols and decimals for display."""

    def __init__(self) -> None:
        self.tokens: dict[Address, Token] = {}
        self.head: Head | None = None
        self.blocks = 0
        self.milestones_ns: dict[str, int] = {}
        """`time.perf_counter_ns()` of the first block and the first opportunity."""
        self.rollbacks = 0
        self.found = 0
        self.simulated = 0
        self.signed = 0
        self.died: Counter[Gate] = Counter()
        self.lost: dict[int, str] = {}
        """By opportunity, who was first."""
        self.trades: list[Trade] = []
        self.profit: dict[Address, ProfitLine] = {}
        self.gas_cost_wei = 0
        self.times = StageTimes()
        self.detect_ns = Histogram()
        self.recent: deque[str] = deque(maxlen=RECENT)
        """The latest events in words, for the live view."""

    @property
    def landed(self) -> int:
        """How many transactions landed and paid."""
        return len(self.trades)

    def block(self, head: Head, *, found: int, detect_ns: int) -> None:
        """Count a block and what detection found in it."""
        self.head = head
        self.blocks += 1
        self.found += found
        self.milestones_ns.setdefault("first_block", perf_counter_ns())
        if found:
            self.milestones_ns.setdefault("first_opportunity", perf_counter_ns())
        self.detect_ns.record(detect_ns)

    def death(self, opportunity: int, gate: Gate, reason: str, *, instead: Gate | None = None) -> None:
        """Count an opportunity that a gate stopped; `instead` is the gate that was counted before."""
        self.died[gate] += 1
        if instead is not None:
            self.died = self.died - Counter([instead])
        self.lost.pop(opportunity, None)
        if gate is Gate.LOST:
            self.lost[opportunity] = reason
        if gate is not Gate.NOT_CHOSEN:
            self.say(f"#{opportunity} died at {gate}: {reason}")

    def revive(self, opportunity: int, gate: Gate) -> None:
        """Take back a death that `gate` was counted for: it landed after all."""
        self.died = self.died - Counter([gate])
        self.lost.pop(opportunity, None)

    def trade(self, trade: Trade, trace: Trace | None) -> None:
        """Count a trade that landed."""
        self.trades.append(trade)
        line = self.profit.setdefault(trade.token, ProfitLine())
        line.predicted += trade.predicted
        line.simulated += trade.simulated
        line.realised += trade.realised
        line.trades += 1
        if trace is not None:
            self.times.add(trace)
        self.say(f"#{trade.opportunity} landed: {self.amount(trade.token, trade.realised)}  {trade.path}")

    def take_back(self, transaction: Hash) -> None:
        """Forget the trade of `transaction`, if it was one: its block left the chain."""
        for trade in [each for each in self.trades if each.transaction == transaction]:
            self.trades.remove(trade)
            line = self.profit[trade.token]
            line.predicted -= trade.predicted
            line.simulated -= trade.simulated
            line.realised -= trade.realised
            line.trades -= 1

    def say(self, text: str) -> None:
        """Add a line to the recent events."""
        self.recent.append(text)

    def amount(self, token: Address, units: int) -> str:
        """Return an amount with its symbol, for people."""
        known = self.tokens[token]
        return f"{decimal_text(units, known.decimals)} {known.symbol}"

    def detect_summary_us(self) -> dict[str, float]:
        """Return p50 and p99 of detection itself, in compiled code, in microseconds."""
        return {
            name: round(self.detect_ns.percentile(p) / 1_000, 2) for name, p in (("p50", 50), ("p99", 99))
        }

    def opportunities(self) -> dict[str, object]:
        """Return the counts as the summary's JSON has them."""
        return {
            "found": self.found,
            "simulated": self.simulated,
            "signed": self.signed,
            "landed": self.landed,
            "died": {str(gate): count for gate, count in sorted(self.died.items())},
            "lost": [{"opportunity": number, "reason": reason} for number, reason in self.lost.items()],
        }

    def profit_text(self) -> dict[str, dict[str, str]]:
        """Return profit per token as exact decimal text, by symbol where that is unique."""
        symbols = Counter(self.tokens[token].symbol for token in self.profit)
        return {
            self._label(token, symbols): {
                name: decimal_text(getattr(line, name), self.tokens[token].decimals)
                for name in ("predicted", "simulated", "realised")
            }
            for token, line in self.profit.items()
        }

    def _label(self, token: Address, symbols: Counter[str]) -> str:
        symbol = self.tokens[token].symbol
        return symbol if symbols[symbol] == 1 else f"{symbol} {checksum(token)}"
