"""The rings and the doorbell are right in every interleaving of a small model, on weakly ordered memory.

The models lie in `models/`. Each is also checked with a planted fault, which must be found: a model that
finds nothing proves nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parent / "models"
SPIN, COMPILER = shutil.which("spin"), shutil.which("cc") or shutil.which("gcc")
DEPTH = 100_000

pytestmark = pytest.mark.skipif(
    not (SPIN and COMPILER), reason="needs spin and a C compiler (Debian: apt-get install spin gcc)"
)

RIGHT = ["latency_ring", "stream_ring", "many_ring", "many_ring DROP_OLDEST", "doorbell", "shared_bell"]
WRONG = [
    ("latency_ring RELAXED_PUBLISH", "assertion violated"),
    ("latency_ring RELAXED_FREE", "assertion violated"),
    ("latency_ring NO_ROOM_CHECK", "assertion violated"),
    ("stream_ring RELAXED_PUBLISH", "assertion violated"),
    ("stream_ring EARLY_RELEASE", "assertion violated"),
    ("stream_ring OFF_BY_ONE", "assertion violated"),
    ("many_ring RELAXED_PUBLISH", "assertion violated"),
    ("many_ring NO_COMPARE", "invalid end state"),
    ("many_ring EARLY_RELEASE", "assertion violated"),
    ("doorbell NO_RINGER_FENCE", "invalid end state"),
    ("doorbell NO_SLEEPER_FENCE", "invalid end state"),
    ("doorbell NO_SECOND_LOOK", "invalid end state"),
    ("shared_bell NO_RINGER_FENCE", "invalid end state"),
    ("shared_bell KEEP_COUNT", "assertion violated"),
    ("shared_bell NO_PASSING_ON", "invalid end state"),
]


def check(model: str, folder: Path) -> str:
    """Return what the verifier of "name FAULT ..." says about all its states."""
    name, *faults = model.split()
    assert SPIN
    assert COMPILER
    run([SPIN, *(f"-D{fault}" for fault in faults), "-a", str(MODELS / f"{name}.pml")], folder)
    # A planted fault is found among the first thousands of states: compiling well would take longer.
    effort = "-O1" if model in RIGHT else "-O0"
    run([COMPILER, effort, "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], folder)
    return run([str(folder / "pan"), f"-m{DEPTH}"], folder)


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints; fail with it if the command fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("model", RIGHT)
def test_no_interleaving_loses_doubles_or_tears_a_message_or_loses_a_wake_up(
    model: str, tmp_path: Path
) -> None:
    said = check(model, tmp_path)
    assert "errors: 0" in said, said
    assert "max search depth too small" not in said
    states = re.search(r"(\d+) states, stored", said)
    assert states
    assert int(states[1]) > 1_000


@pytest.mark.parametrize(("model", "how"), WRONG)
def test_a_planted_fault_is_found(model: str, how: str, tmp_path: Path) -> None:
    said = check(model, tmp_path)
    assert "errors: 1" in said, said
    assert how in said


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.pml")), ids=lambda path: path.stem)
def test_every_fault_that_a_model_offers_is_planted(path: Path) -> None:
    offered = set(re.findall(r"^#ifn?def (\w+)", path.read_text(), re.MULTILINE)) - {"DROP_OLDEST"}
    planted = {model.split()[1] for model, _ in WRONG if model.split()[0] == path.stem}
    assert offered == planted
