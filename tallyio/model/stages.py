"""The stages of an opportunity, in order, with no gap between them.

Layer: model. The time of a stage is the time since the stage before it, so the stages add up to the total.
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Where on its way an opportunity is; the members are in order."""

    BYTES_IN = "bytes_in"
    DECODED = "decoded"
    DETECTED = "detected"
    RISK = "risk"
    SIMULATED = "simulated"
    PLANNED = "planned"
    PERSISTED = "persisted"
    """The intent is durable on disk."""
    SIGNED = "signed"
    SUBMITTED = "submitted"
    INCLUDED = "included"


class Gate(StrEnum):
    """What stopped an opportunity that died."""

    REFUSED = "refused"
    """Its strategy left it alone: the protocol forbids it, or it would not pay. Or its legs make no plan."""
    NOT_CHOSEN = "not_chosen"
    """Another opportunity of the same block uses one of its pools or positions and pays more."""
    GAS = "gas"
    """Profit does not cover gas."""
    LIMIT = "limit"
    """A risk limit forbids it."""
    STALE = "stale"
    """A newer block arrived first."""
    SIMULATION = "simulation"
    """The EVM disagreed, or the plan reverted."""
    PAPER = "paper"
    """Paper mode: it would have been signed here."""
    SIGNER = "signer"
    """The signer refused, or is gone."""
    NOT_INCLUDED = "not_included"
    """The node refused it, or no block took it in time."""
    REVERTED = "reverted"
    """It landed, and the executor reverted: gas is lost, nothing else."""
    LOST = "lost"
    """It reverted, for somebody else was first at one of its positions: gas is lost, nothing else."""
    REORGED = "reorged"
    """The block that held it left the chain."""
