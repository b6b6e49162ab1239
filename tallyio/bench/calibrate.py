"""How fast a core is at this moment, so that times from different machines can stand beside each other.

Layer: bench. The ruler is a chain of dependent steps, a 64-bit multiplication and an exclusive or each: 3 + 1
cycles on every x86-64 server core since Haswell and Zen, and on Arm's since Neoverse N1. A *calibrated*
time is what was measured, scaled to a core of 4.5 GHz by the chain's time in the same run: it takes out
the clock frequency and what a busy machine takes from it, not the rest of the differences between cores.
Source of the latencies: A. Fog, "Instruction tables", MUL, MULX and IMUL of 64 bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tallyio.native.clock import multiply_chain
from tallyio.native.jit import entry

REFERENCE_GHZ: Final = 4.5
CHAIN_CYCLES: Final = 4
EXPECTED_STEP_NS: Final = CHAIN_CYCLES / REFERENCE_GHZ
"""What a step of the chain takes on the core that calibrated times are for."""

_STEPS: Final = 20_000


def chain_timer() -> Callable[[], float]:
    """Return a function that returns what one step of the chain takes now, in ns, after some 25 us."""
    chain = entry(multiply_chain)

    def step_ns() -> float:
        start = time.perf_counter_ns()
        chain(_STEPS, 1)
        return (time.perf_counter_ns() - start) / _STEPS

    return step_ns


def calibrated(ns: float, step_ns: float) -> float:
    """Return what `ns`, measured while a step of the chain took `step_ns`, would be at 4.5 GHz."""
    return ns * EXPECTED_STEP_NS / step_ns
