"""The last word before a signature: limits, gas budget, circuit breaker.

Layer: risk. Synchronous and quick; one desk per run, on the Trio thread.
"""

from __future__ import annotations

import msgspec

from tallyio.model.units import Wei


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
        self._burnt_wei = 0
        self._reverts = 0
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

    def landed(self, *, success: bool, gas_cost_wei: int) -> None:
        """Learn how a transaction ended; may halt."""
        if success:
            self._reverts = 0
            return
        self._reverts += 1
        self._burnt_wei += gas_cost_wei
        limits = self._limits
        if self._reverts >= limits.max_reverts:
            self.halt(f"{self._reverts} transactions in a row reverted on the chain")
        if self._burnt_wei > limits.max_gas_spend_wei:
            self.halt(f"reverted transactions burnt {self._burnt_wei} wei, above max_gas_spend_wei")
