"""The fetch: two locks, one cache, no network the second time, nothing half after a crash."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
import trio
from rich.console import Console

from tallyio.lab import ensure_fetched, fetch, show_progress
from tallyio.lab.fetch import HERE, Manifest
from tallyio.model.errors import EnvironmentFault, MissingExtraError

PAIR = "@uniswap/v2-core/build/UniswapV2Pair.json"

# What a scripted npm client does in the folder that it is started in.
UNPACK = """
import os, pathlib, sys
for path, content in FILES.items():
    file = pathlib.Path("node_modules") / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
assert sys.argv[1:] == ["ci", "--prefer-offline"]
assert "ignore-scripts=true" in pathlib.Path(".npmrc").read_text()
"""
FAIL = "print('npm warn x\\nnpm error code E404\\nnpm error no such thing'); raise SystemExit(1)"
HANG = UNPACK + "import time; time.sleep(3600)"


class Npm:
    """A scripted npm client and a manifest of two small files, with an empty cache."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self._monkeypatch = monkeypatch
        self.cache = cache
        self.files = {"a/one.json": "1", "b/two.json": "2"}
        sums = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in self.files.items()}
        made = Manifest(unpacked_bytes=1_000, files=sums)
        monkeypatch.setenv("TALLYIO_CACHE", str(cache))
        monkeypatch.setattr(fetch, "manifest", lambda: made)
        self.does(UNPACK)

    def does(self, script: str) -> None:
        """Let the client run `script`, which finds what to unpack in FILES."""
        command = [sys.executable, "-c", f"FILES = {self.files!r}\n{script}"]
        self._monkeypatch.setattr(fetch, "npm_command", lambda: command)

    def left(self) -> list[str]:
        """Return all files below the cache folder."""
        return sorted(str(path.relative_to(self.cache)) for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Npm:
    return Npm(monkeypatch, tmp_path / "cache")


def no_npm() -> NoReturn:
    raise AssertionError("the npm client was started")


@pytest.mark.parametrize(("own", "home", "expected"), [("/x", "/y", "/x"), ("", "/y", "/y/tallyio")])
def test_the_cache_is_ours_if_set_else_that_of_the_user(
    monkeypatch: pytest.MonkeyPatch, own: str, home: str, expected: str
) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert fetch.cache_home() == Path(expected)


async def test_only_the_files_of_the_manifest_are_kept(npm: Npm) -> None:
    npm.files["c/three.json"] = "3"
    npm.does(UNPACK)
    folder = await fetch.fetch()
    assert npm.left() == [f"lab/{folder.name}/a/one.json", f"lab/{folder.name}/b/two.json"]


@pytest.mark.usefixtures("npm")
async def test_a_second_fetch_needs_no_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await fetch.fetch()
    monkeypatch.setattr(fetch, "npm_command", no_npm)
    assert await fetch.fetch() == first
    assert ensure_fetched() == first


def test_a_fetch_is_possible_outside_trio(npm: Npm) -> None:
    assert ensure_fetched().is_dir()
    assert npm.left()


async def test_a_fetch_is_possible_inside_a_task_that_cannot_wait(npm: Npm) -> None:
    assert ensure_fetched().is_dir()
    assert npm.left()


async def test_a_failed_fetch_says_what_npm_said_and_leaves_nothing(npm: Npm) -> None:
    npm.does(FAIL)
    with pytest.raises(
        EnvironmentFault, match=r"exit status 1: code E404; no such thing\); connect to a package"
    ):
        await fetch.fetch()
    assert npm.left() == []


async def test_a_cancelled_fetch_leaves_nothing(npm: Npm) -> None:
    npm.does(HANG)
    scope = trio.CancelScope()

    def cancel_when_unpacked(_what: str, _done: int, _total: int) -> None:
        if any(npm.cache.rglob("two.json")):
            scope.cancel()

    with scope:
        await fetch.fetch(cancel_when_unpacked)
    assert scope.cancelled_caught
    assert npm.left() == []


@pytest.mark.usefixtures("npm")
async def test_an_npm_that_vanished_is_an_environment_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "npm_command", lambda: ["/nowhere/npm"])
    with pytest.raises(EnvironmentFault, match="exit status 127"):
        await fetch.fetch()


async def test_a_cache_that_cannot_be_made_names_the_way_out(npm: Npm) -> None:
    npm.cache.write_text("a file where the folder belongs")
    with pytest.raises(EnvironmentFault, match=r"cannot be made .*; set TALLYIO_CACHE"):
        await fetch.fetch()


async def test_a_package_with_another_content_is_refused(npm: Npm) -> None:
    npm.files["a/one.json"] = "evil"
    npm.does(UNPACK)
    with pytest.raises(EnvironmentFault, match=r"a/one\.json differs from its SHA-256"):
        await fetch.fetch()
    assert npm.left() == []


async def test_a_missing_file_is_refused(npm: Npm) -> None:
    del npm.files["b/two.json"]
    npm.does(UNPACK)
    with pytest.raises(EnvironmentFault, match=r"b/two\.json cannot be read"):
        await fetch.fetch()
    assert npm.left() == []


async def test_two_fetches_at_once_agree(npm: Npm) -> None:
    folders = []

    async def one() -> None:
        folders.append(await fetch.fetch())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
    assert folders[0] == folders[1]
    assert len(npm.left()) == 2


@pytest.mark.usefixtures("npm")
def test_a_file_that_was_altered_later_is_refused() -> None:
    folder = ensure_fetched()
    (folder / "a/one.json").write_text("evil")
    with pytest.raises(
        EnvironmentFault, match=r"differs from its SHA-256 in manifest\.json; remove .* start again"
    ):
        fetch.read_verified(folder, "a/one.json")


def test_an_altered_node_program_is_never_started(tmp_path: Path) -> None:
    program = tmp_path / fetch.ANVIL["Linux", "x86_64"]
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    with pytest.raises(EnvironmentFault, match="differs from its SHA-256"):
        fetch.anvil_path(tmp_path)


def test_a_machine_without_a_node_program_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(
        EnvironmentFault, match=r"no node program for Linux riscv64; run it on one of: Linux x86_64"
    ):
        fetch.anvil_path(tmp_path)


async def test_no_npm_and_no_cache_names_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr(fetch, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"npm client needs tallyio\[lab\]; run: pip install"):
        await fetch.fetch()


def test_the_npm_client_of_the_extra_is_used_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert all(Path(word).is_file() for word in fetch.npm_command())


def test_the_lock_holds_integrity_and_no_address() -> None:
    text = (HERE / "package-lock.json").read_text()
    packages = msgspec.json.decode(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert "resolved" not in text
    assert "://" not in text


def test_versions_are_exact() -> None:
    package = msgspec.json.decode((HERE / "package.json").read_bytes())
    wanted = {**package["dependencies"], **package["optionalDependencies"]}
    assert all(version[0].isdigit() for version in wanted.values())


def test_progress_on_a_pipe_is_a_few_plain_lines() -> None:
    out = io.StringIO()
    with show_progress(Console(file=out)) as progress:
        for done in range(101):
            progress("fetching", done, 100)
    assert out.getvalue().splitlines() == [f"fetching: {percent} %" for percent in (0, 25, 50, 75, 100)]


def test_progress_on_a_terminal_is_a_bar() -> None:
    out = io.StringIO()
    with show_progress(Console(file=out, force_terminal=True, width=80)) as progress:
        progress("fetching", 50, 100)
    assert "fetching" in out.getvalue()
    assert " 50%" in out.getvalue()


def test_the_callback_hears_of_the_end(npm: Npm) -> None:
    heard: list[tuple[int, int]] = []
    trio.run(fetch.fetch, lambda _what, done, total: heard.append((done, total)))
    assert heard[-1] == (1_000, 1_000)
    assert npm.left()
