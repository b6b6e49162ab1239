"""Results say where they were measured."""

from __future__ import annotations

import pytest

from tallyio.bench.surroundings import look_around
from tallyio.kernel.machine import Machine
from tallyio.model.errors import EnvironmentFault


def test_measurements_take_the_place_of_the_compiled_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine.from_synthetic("Package:1 L3:1 Core:4 PU:1")
    monkeypatch.setattr(Machine, "this_system", lambda: machine)
    around = look_around()
    assert around.topology_hash == machine.topology_hash
    assert around.placement is not None
    assert around.pus
    assert set(around.pus) < machine.pus


def test_a_machine_that_cannot_be_read_costs_only_the_pinning(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> Machine:
        raise EnvironmentFault("hwloc cannot read this machine")

    monkeypatch.setattr(Machine, "this_system", unreadable)
    around = look_around()
    assert (around.topology_hash, around.pus, around.placement) == (None, (), None)
    assert around.note == "not pinned: hwloc cannot read this machine"
