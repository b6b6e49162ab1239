"""Names choose what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tallyio.bench.select import group, select
from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import Bench, Contract
from tallyio.kernel.profile import LANES
from tallyio.model.errors import ConfigError


def promise(name: str, script: str = "bench.py") -> Bench:
    return Bench(name=name, script=script, reference="r", max_ratio=1.0)


def plugin(name: str, *promises: Bench, fault: str | None = None) -> Installed:
    contract = Contract(
        kind="protocol", name=name, hook_api=1, state="stable", owners=(), summary="", bench=promises
    )
    return Installed(
        kind="protocol",
        name=name,
        module=f"toy_{name}.plugin",
        distribution=f"toy_{name}",
        version="1",
        folder=f"/toys/{name}",
        contract=None if fault else contract,
        fault=fault,
    )


GOOD = plugin("good", promise("good.a"), promise("good.b"), promise("good.c", "bench/other.py"))
OTHER = plugin("other", promise("other.a"))
BROKEN = plugin("broken", fault="has no contract.toml")


def chosen(*names: str) -> list[list[str]]:
    jobs, _ = select([GOOD, OTHER, BROKEN], names)
    return [[each.name for each in job.promises] for job in jobs]


def test_without_names_everything_is_measured() -> None:
    assert chosen() == chosen("all") == [["good.a", "good.b"], ["good.c"], ["other.a"]]


def test_promises_on_one_script_share_its_run() -> None:
    jobs = group("protocol toy", Path("/toys/toy"), [promise("x"), promise("z", "z.py"), promise("y")])
    assert [(job.script.name, [each.name for each in job.promises]) for job in jobs] == [
        ("bench.py", ["x", "y"]),
        ("z.py", ["z"]),
    ]


def test_promises_of_two_lanes_are_measured_apart() -> None:
    feeds = msgspec.structs.replace(promise("y"), lane="feeds")
    jobs = group("chain toy", Path("/toys/toy"), [promise("x"), feeds])
    assert [(job.lane, job.promises[0].name) for job in jobs] == [("hot", "x"), ("feeds", "y")]


def test_a_contract_may_name_every_role_of_lanes() -> None:
    field = next(each for each in msgspec.structs.fields(Bench) if each.name == "lane")
    assert get_args(field.type) == LANES


def test_a_plugin_and_a_single_benchmark_can_be_named_together() -> None:
    assert chosen("other", "good.b") == [["good.b"], ["other.a"]]


def test_a_plugin_that_cannot_be_read_is_reported_where_it_was_asked_for() -> None:
    assert [each.fault for each in select([GOOD, BROKEN])[1]] == ["has no contract.toml"]
    assert [each.subject for each in select([GOOD, BROKEN], ["broken"])[1]] == ["protocol broken"]
    assert select([GOOD, BROKEN], ["good"])[1] == []


def test_an_unknown_name_comes_with_did_you_mean() -> None:
    with pytest.raises(ConfigError, match=r"unknown plugin or benchmark 'goood'.*did you mean \"good\""):
        select([GOOD], ["goood"])
