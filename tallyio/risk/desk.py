"""The last word before a signature: limits, gas budget, circuit breaker.

Layer: risk. Synchronous and quick; one desk per run, on the Trio thread.
"""

from __future__ import annotations

from itertools import takewhile

import msgspec

from tallyio.model.units import Hash, Wei


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk enforces."""

    max_pending: int
    """Transactions under way at once."""
    max_gas: int
    max_fee_wei: Wei
    """Highest max-fee per gas."""
    max_gas_spend_wei: Wei
    """What transactions that reverted may have cost in one run."""
    max_reverts: int
    """Reverts on the chain in a row."""
    min_net_wei: int


class RiskDesk:
    """Says no, with the reason in words, or None.

    A halt is final for the run: a person looks first, then starts again.
    """

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self._burnt_wei: dict[Hash, int | None] = {}
        """What each transaction that reverted burnt; None: it paid. In the order in which they landed."""
        self._halted: str | None = None

    @property
    def halted(self) -> str | None:
        """Why trading stopped, or None while it goes on."""
        return self._halted

    def halt(self, reason: str) -> None:
        """Stop trading for the rest of the run; the first reason stays."""
        self._halted = self._halted or reason

    def refuse(self, *, net_wei: float, base_fee_wei: Wei, pending: int) -> str | None:
        """Return why an opportunity must not be taken now, or None."""
        limits = self._limits
        if self._halted is not None:
            return f"trading is halted: {self._halted}"
        if pending >= limits.max_pending:
            return f"{pending} transactions are under way, the limit is {limits.max_pending}"
        if base_fee_wei > limits.max_fee_wei:
            return f"base fee {base_fee_wei} wei is above max_fee {limits.max_fee_wei} wei"
        if net_wei < limits.min_net_wei:
            return f"net {net_wei:.0f} wei is below min_net_wei {limits.min_net_wei}"
        return None

    def refuse_gas(self, gas: int) -> str | None:
        """Return why a gas limit is too high, or None."""
        if gas > self._limits.max_gas:
            return f"gas limit {gas} is above max_gas {self._limits.max_gas}"
        return None

    def landed(self, transaction: Hash, *, success: bool, gas_cost_wei: int) -> None:
        """Learn how a transaction ended; may halt."""
        self._burnt_wei[transaction] = None if success else gas_cost_wei
        if success:
            return
        latest_first = reversed(self._burnt_wei.values())
        reverts = sum(1 for _ in takewhile(lambda wei: wei is not None, latest_first))
        burnt_wei = sum(wei or 0 for wei in self._burnt_wei.values())
        limits = self._limits
        if reverts >= limits.max_reverts:
            self.halt(f"{reverts} transactions in a row reverted on the chain")
        if burnt_wei > limits.max_gas_spend_wei:
            self.halt(f"reverted transactions burnt {burnt_wei} wei, above max_gas_spend_wei")

    def take_back(self, transaction: Hash) -> None:
        """Forget how a transaction ended, if it was told: its block left the chain. A halt stays."""
        self._burnt_wei.pop(transaction, None)
