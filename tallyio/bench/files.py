"""Result files: what `tallyio bench --json` prints, read back.

Layer: bench.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tallyio.bench.records import BenchReport
from tallyio.model.errors import ConfigError


def read_report(path: Path) -> BenchReport:
    """Return the result file at `path`. Raises: ConfigError: it cannot be read, or is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=BenchReport)
    except (OSError, msgspec.MsgspecError) as fault:
        raise ConfigError(
            f"{path} is no result file: {fault}", way_out="make one: tallyio bench all --quick --json"
        ) from None
