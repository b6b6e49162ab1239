"""A log as `optimum_loop` applies it."""

from __future__ import annotations

from typing import Final

import numpy as np

LOG: Final = np.dtype(
    [
        ("event", "i8"),  # number of the event in the protocol's compiled module
        ("data_bytes", "i8"),
        ("topics", "u1", 3 * 32),  # after the first
        ("data", "u1", 5 * 32),
    ]
)
