"""What stands before the engine runs: the seat, the plugins, the limits."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from tallyio.engine import markets
from tallyio.engine.assembly import open_engine, risk_limits
from tallyio.engine.config import Config, parse_config
from tallyio.engine.serving import _only
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import choose_profile
from tallyio.kernel.supervisor_policy import ServiceFailed
from tallyio.kernel.threads import PinError
from tallyio.model.errors import ChainError, UnsafeRefused
from tallyio.native import cache

ADDRESS = "0x" + "11" * 20
TEXT = f"""
[chains.some]
[protocols.some]
[strategies.some]
[execution]
native_token = "{ADDRESS}"
executor = "{ADDRESS}"
account = "{ADDRESS}"
"""


def config(more: str = "") -> Config:
    """Return a configuration whose plugins nobody has installed."""
    return parse_config(TEXT + more, source="here.toml", folder=Path())


async def test_lanes_are_not_pinned_by_a_map_of_another_machine() -> None:
    """Its PUs may not exist here, or be somebody else's."""
    elsewhere = Machine.from_synthetic("pack:1 l3:1 core:4 pu:1")
    seat = place(elsewhere, choose_profile("auto", elsewhere).profile)
    with pytest.raises(PinError, match="not this system"):
        async with open_engine(config(), PluginHost(Catalog([])), live=False, seat=seat, tell=print):
            raise AssertionError("it opened")


@pytest.mark.parametrize(
    ("more", "missing"),
    [("[limits]", r"\[signers.NAME\]"), ("[signers.some]", r"\[limits\]")],
    ids=["no signer", "no limits"],
)
async def test_live_is_refused_before_any_plugin_is_loaded(more: str, missing: str) -> None:
    machine = Machine.this_system()
    seat = place(machine, choose_profile("auto", machine).profile)
    with pytest.raises(UnsafeRefused, match=f"here.toml: --live needs a table {missing}; .*--live to run"):
        async with open_engine(config(more), PluginHost(Catalog([])), live=True, seat=seat, tell=print):
            raise AssertionError("it opened")


async def test_a_start_says_that_compiled_code_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is, nothing is said; neither fusion nor market matters to that."""
    for name in ("fuse", "Market"):
        monkeypatch.setattr(markets, name, lambda *_, **__: None)
    said: list[str] = []
    for faults in ([], ["cannot use /there (full)"]):
        monkeypatch.setattr(cache, "_notes", [])
        monkeypatch.setattr(cache, "_faults", faults)
        await markets.load_market(Mock(), [], head=Mock(), tell=said.append)
    assert [line for line in said if not line.startswith("fusing")] == [
        f"compiled code is not kept: cannot use /there (full); {cache.REMEDY}."
    ]


def test_the_desk_enforces_what_the_file_says() -> None:
    limits = risk_limits(config("[limits]\nmax_fee_gwei = 1.5\nmax_pending = 2\nmax_reverts = 1\n"))
    assert (limits.max_fee_wei, limits.max_pending, limits.max_reverts) == (1_500_000_000, 2, 1)


async def test_a_single_failure_comes_out_of_its_groups_with_its_own_words() -> None:
    cause = ChainError("lost")
    failed = ServiceFailed("engine", "ChainError: lost", failures=1)
    failed.__cause__ = ExceptionGroup("inner", [cause])
    assert _only(ExceptionGroup("outer", [ExceptionGroup("inner", [failed])])) is cause
    assert _only(cause) is cause


def test_two_failures_stay_together() -> None:
    """One of them may be a bug, which must not hide behind the other."""
    both = ExceptionGroup("outer", [ChainError("lost"), TypeError("a bug")])
    assert _only(both) is both
