"""How long `import tallyio` and `tallyio --help` take, beside an empty Python and the library of commands.

    python perf/bench_startup.py [pyperf options]

Each is a process of its own, from its start to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyperf


def main() -> None:
    """Measure the four."""
    tallyio = Path(sys.executable).with_name("tallyio")
    if not tallyio.is_file():
        raise SystemExit(f"there is no {tallyio}; run `make setup`")
    runner = pyperf.Runner()
    runner.bench_command("startup.python", [sys.executable, "-c", "pass"])
    runner.bench_command("startup.import", [sys.executable, "-c", "import tallyio"])
    runner.bench_command("startup.cyclopts", [sys.executable, "-c", "import cyclopts"])
    runner.bench_command("startup.help", [str(tallyio), "--help"])


if __name__ == "__main__":
    main()
