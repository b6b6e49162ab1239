"""What every driver does: answer requests on standard input. Runs in a peer's own environment.

Every line of input is one request, a JSON list of a method's name and its arguments; every line of output
is its answer. A method that ends in `_ns` returns the nanoseconds of one operation, over all that were
prepared: of the processor's time, so that a peer is not charged for what else runs on a busy machine, or,
where it waits for another process, the median by the clock.
"""

from __future__ import annotations

import json
import sys
from typing import Final

PASSES: Final = 3


def serve(driver: object) -> None:
    """Answer with the methods of `driver` until the input ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        method = getattr(driver, name)
        # As on our side, the first pass only fetches what others drove out of the caches.
        answer = (
            min(method(*arguments) for _ in range(PASSES)) if name.endswith("_ns") else method(*arguments)
        )
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
