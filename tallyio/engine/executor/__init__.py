"""The contract that trades for us: one transaction, all of it or nothing.

Layer: engine. `Executor.vy` is the source and says what the contract guarantees; `Executor.json` is
what the compiler made of it, and a test compiles it again. `calldata` writes what it reads.
"""

from tallyio.engine.executor.artifact import deployment
from tallyio.engine.executor.calldata import (
    MAX_BYTES,
    MAX_CALLS,
    MAX_SWEEP,
    OWNER_SELECTOR,
    RUN_SELECTOR,
    CallPacker,
    encode_calls,
    encode_run,
)

__all__ = [
    "MAX_BYTES",
    "MAX_CALLS",
    "MAX_SWEEP",
    "OWNER_SELECTOR",
    "RUN_SELECTOR",
    "CallPacker",
    "deployment",
    "encode_calls",
    "encode_run",
]
