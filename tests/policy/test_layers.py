"""The house has floors: each part of `tallyio/` imports only what lies below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import pytest

from tests.policy.modules import (
    CORE,
    ROOT,
    Module,
    core_modules,
    floor_of,
    modules_of_tests,
    plugin_modules,
    require_none,
    snippet,
    told,
)


class Floor(NamedTuple):
    """What one folder of `tallyio/` may import of ours, besides itself."""

    uses: frozenset[str]
    reason: str


def uses(*floors: str, reason: str) -> Floor:
    """Return a row of `FLOORS`."""
    return Floor(frozenset(floors), reason)


FLOORS: Final = {
    "native": uses(reason="the ground of compiled code: it is linked into everything"),
    "model": uses(reason="records that everybody shares must not drag anybody in"),
    "kernel": uses("native", "model", reason="it knows the machine and no chain, pool or plugin"),
    "hooks": uses("model", reason="a plugin's author reads records and interfaces, no machinery"),
    "market": uses("native", "model", reason="state and quotes are compiled; who asks is not their concern"),
    "lending": uses(
        *("native", "market", "model"),
        reason="positions are state as pools are, and compiled as they are; who asks is not their concern",
    ),
    "ledger": uses("model", reason="what is durable must be readable without the engine that wrote it"),
    "risk": uses("model", reason="limits judge records, so they can be tested without a chain"),
    "engine": uses(
        *("kernel", "native", "market", "lending", "hooks", "ledger", "risk", "model"),
        reason="the way of an opportunity joins all rooms; the shell around it stays out",
    ),
    "lab": uses("model", reason="practice is an outside world: the engine meets it over a socket"),
    "bench": uses(
        *("hooks", "kernel", "model", "native"),
        reason="it measures contracts on a known machine, and the machine by compiled code",
    ),
    "authoring": uses(
        *("bench", "hooks", "kernel", "model"),
        reason="it writes and checks plugins by their contracts; what runs them stays below",
    ),
    "testing": uses(
        *("engine", "hooks", "lab", "lending", "market", "model", "native"),
        reason="a test's world is for tests: nothing else imports it",
    ),
    "cli": uses(
        *("authoring", "bench", "engine", "hooks", "kernel", "lab", "ledger", "model", "native"),
        reason="commands join everything, and nothing imports a command",
    ),
}

PLUGINS_USE: Final = uses(
    *("hooks", "lending", "market", "model", "native"),
    reason="interfaces, records, and what compiled functions are made of; the rest may change any day",
)

HOMES: Final = {
    "numba": ("native", "one decorator, `hot`, decides how we compile"),
    "llvmlite": ("native", "machine code is written in one room"),
    "pluggy": ("hooks", "the typed calls of `PluginHost` are the only way to a plugin"),
    "pyhwloc": ("kernel", "`Machine` is the only view of the topology"),
    "sqlite3": ("ledger", "one writer guards what is durable"),
    "sha3": ("model", "`keccak256` is the one hash"),
    "pyperf": ("bench", "one ruler"),
    "cyclopts": ("cli", "the rest works without a command line"),
}
"""Libraries that one floor wraps for all others, and why."""

BANNED: Final = {
    "asyncio": "use Trio, or bridge inside a plugin where a library forces it",
    "web3": "ask through the chain plugin's own client",
}

NOT_FOR_PLUGINS: Final = {
    "numba": "compile with tallyio.native.jit.hot",
    "llvmlite": "build on tallyio.native",
    "pluggy": "take hookimpl from tallyio.hooks.specs",
}


def across_floors(modules: Iterable[Module], floors: Mapping[str, Floor]) -> Iterator[str]:
    """Yield each import of ours that the table does not allow."""
    for module in modules:
        floor = floors.get(module.floor)
        if floor is None and module.floor:
            yield module.problem(1, f"floor {module.floor!r} has no row", "add it to FLOORS with its reason")
            continue
        allowed = floor.uses | {module.floor, ""} if floor else {""}
        for each in module.imports:
            if each.top == CORE and floor_of(each.full) not in allowed:
                reason = floor.reason if floor else "so that help stays quick"
                yield module.problem(
                    each.line,
                    f"{module.floor or CORE} imports {each.full}",
                    f"move the code up, or what it needs down ({reason})",
                )


def unused_permissions(modules: Iterable[Module], floors: Mapping[str, Floor]) -> Iterator[str]:
    """Yield what the table allows and nobody needs: it would let a wrong import pass."""
    needed = {(module.floor, floor_of(each.full)) for module in modules for each in module.imports}
    for name, floor in floors.items():
        for other in sorted(floor.uses):
            if (name, other) not in needed:
                yield f"FLOORS[{name!r}] allows {other!r}, which nothing there imports; strike it"


def away_from_home(modules: Iterable[Module], homes: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield imports of a wrapped library outside the floor that wraps it."""
    for module in modules:
        for each in module.imports:
            home, reason = homes.get(each.top, (module.floor, ""))
            if module.floor != home:
                yield module.problem(each.line, f"imports {each.top}", f"use {CORE}.{home}: {reason}")


def of_banned(modules: Iterable[Module], banned: Mapping[str, str]) -> Iterator[str]:
    """Yield imports of a banned library."""
    for module in modules:
        for each in module.imports:
            if each.top in banned:
                yield module.problem(each.line, f"imports {each.top}", banned[each.top])


def plugins_too_deep(modules: Iterable[Module], allowed: Floor) -> Iterator[str]:
    """Yield a plugin's imports from floors that are not for plugins."""
    for module in modules:
        for each in module.imports:
            floor = floor_of(each.full)
            if each.top == CORE and floor and floor not in allowed.uses:
                yield module.problem(
                    each.line,
                    f"a plugin imports {each.full}",
                    f"plugins use {', '.join(sorted(allowed.uses))} ({allowed.reason})",
                )


def test_every_floor_imports_only_what_lies_below() -> None:
    require_none(across_floors(core_modules(), FLOORS))


def test_every_row_is_a_folder() -> None:
    folders = {path.parent.name for path in (ROOT / CORE).glob("*/__init__.py")}
    assert set(FLOORS) == folders, "FLOORS has one row per package of tallyio/, with its reason"


def test_the_table_allows_nothing_that_is_not_needed() -> None:
    require_none(unused_permissions(core_modules(), FLOORS))


def test_the_floors_have_an_order() -> None:
    below: dict[str, frozenset[str]] = {}
    while len(below) < len(FLOORS):
        ready = {name for name, floor in FLOORS.items() if name not in below and floor.uses <= set(below)}
        assert ready, f"these floors stand on each other: {sorted(set(FLOORS) - set(below))}"
        below |= {name: FLOORS[name].uses for name in ready}


def test_a_wrapped_library_is_imported_in_its_home_only() -> None:
    require_none(away_from_home(core_modules(), HOMES))


def test_nothing_banned_is_imported() -> None:
    require_none(of_banned([*core_modules(), *plugin_modules(), *modules_of_tests()], BANNED))


def test_plugins_stay_on_the_floors_that_are_for_them() -> None:
    require_none(plugins_too_deep(plugin_modules(), PLUGINS_USE))
    require_none(of_banned(plugin_modules(), NOT_FOR_PLUGINS))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("tallyio.model.x", "from tallyio.engine.report import Report"),
        ("tallyio.model.x", "import tallyio.native.jit"),
        ("tallyio.model.x", "from tallyio import kernel"),
        ("tallyio.kernel.x", "from ..engine import report"),
        ("tallyio.lab.x", "def f():\n    from tallyio.cli import main"),
        ("tallyio.__init__", "from tallyio.model.units import Wei"),
        ("tallyio.attic.x", "import os"),
    ],
)
def test_a_wrong_floor_is_found(name: str, line: str) -> None:
    (problem,) = across_floors([snippet(line, name)], FLOORS)
    assert problem.startswith(name.replace(".", "/") + ".py:")


@pytest.mark.parametrize(
    "line",
    ["from tallyio import __version__", "from tallyio.model import units", "import tallyio", "import os"],
)
def test_a_right_floor_is_not_found(line: str) -> None:
    assert not told(across_floors([snippet(line)], FLOORS))


def test_an_unused_permission_is_found() -> None:
    floors = {"model": uses("native", reason="none")}
    assert told(unused_permissions([snippet("import os")], floors)).startswith(
        "FLOORS['model'] allows 'native'"
    )
    assert not told(unused_permissions([snippet("import tallyio.native.jit")], floors))


def test_a_library_away_from_home_is_found() -> None:
    assert "use tallyio.native" in told(away_from_home([snippet("import numba.core")], HOMES))
    assert not told(away_from_home([snippet("import numba", "tallyio.native.x")], HOMES))


def test_a_banned_import_is_found() -> None:
    assert "model/snippet.py:2: imports asyncio" in told(of_banned([snippet("\nimport asyncio")], BANNED))


def test_a_plugin_that_reaches_into_the_engine_is_found() -> None:
    plugin = snippet("from tallyio.engine import report", "tallyio_protocol_toy.plugin")
    assert "tallyio_protocol_toy/plugin.py:1: a plugin imports" in told(
        plugins_too_deep([plugin], PLUGINS_USE)
    )
