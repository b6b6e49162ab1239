"""What differs by processor assembles for processors that this machine is not."""

# mypy: disable-error-code="no-untyped-call,attr-defined"
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import pytest
from llvmlite import ir

from tallyio.native import atomics, clock

INT64 = ir.IntType(64)


def assembled(machine: str, emit: Callable[[Any], Any]) -> str:
    """The assembly of a function that does what `emit` emits, after it also became object code."""
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    target = llvmlite.binding.Target.from_triple(f"{machine}-unknown-linux-gnu")
    module = ir.Module()
    module.triple = target.triple
    function = ir.Function(module, ir.FunctionType(INT64, []), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(emit(builder) or INT64(0))
    with target.create_target_machine() as made:
        return str(made.emit_assembly(llvmlite.binding.parse_assembly(str(module)))).lower()


@pytest.mark.parametrize(
    ("machine", "instruction"), [("x86_64", "rdtsc"), ("aarch64", "cntvct_el0"), ("riscv64", "clock_gettime")]
)
def test_the_cycle_counter_is_one_that_user_code_may_read(
    machine: str, instruction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_MACHINE", machine)
    assert instruction in assembled(machine, clock.cycle_count.emit)


@pytest.mark.parametrize(
    ("machine", "instruction"), [("x86_64", "pause"), ("aarch64", "yield"), ("riscv64", "ret")]
)
def test_a_waiting_loop_says_so(machine: str, instruction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomics, "_MACHINE", machine)
    assert instruction in assembled(machine, atomics.pause.emit)
