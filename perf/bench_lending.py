"""Health, margins and lists of who can be liquidated, each beside its goal and plain Python, in turns.

    python perf/bench_lending.py [--rounds N] [--only NAME ...] [--no-peers] [--json]

Measured as `bench_market.py` does. Rows are in `perf/lending`.
"""

from __future__ import annotations

from perf.bench_market import main

if __name__ == "__main__":
    main("lending")
