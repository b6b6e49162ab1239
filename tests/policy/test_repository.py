"""What lies in the repository works anywhere: no address of a registry, no path of one machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pytest

from tests.policy.modules import ROOT, require_none, told
from tests.policy.repository import repository_files

# Written in parts, so that this file does not hold what it forbids.
REGISTRIES: Final = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("ghcr", "io"),
    )
)
MACHINE_PATH: Final = re.compile(r"(?<![\w.~/$}:-])/(?:home|root|work|Users|mnt)/[\w.]")

_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_PINNED: Final = re.compile(r"^[A-Za-z0-9._-]+(\[[^\]]*\])?==\S+")

Lines = Iterable[tuple[str, int, str]]
"""File, line number, text."""

OWN_SOLIDITY: Final = {
    f"plugins/protocols/{plugin}/tests/contracts/{name}.sol"
    for plugin, names in {
        "balancer_v3": ("VaultBench",),
        "erc4626": ("Vaults",),
        "solidly": ("FactoryBench", "PoolBench", "SolidlySolver"),
    }.items()
    for name in names
} | {"tallyio/lab/lending/Feed.sol"}
"""What we wrote in Solidity, because it inherits from a fetched contract or stands in its place."""


def text_lines() -> Iterator[tuple[str, int, str]]:
    """Yield every line of every text file of the repository."""
    for file in repository_files():
        try:
            text = (ROOT / file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        yield from ((file, number, line) for number, line in enumerate(text.splitlines(), start=1))


def registry_names(lines: Lines) -> Iterator[str]:
    """Yield lines that name the host of a package registry."""
    for file, number, line in lines:
        for name in REGISTRIES:
            if name in line:
                yield f"{file}:{number}: names {name}; leave the address to the tool's own configuration"


def machine_paths(lines: Lines) -> Iterator[str]:
    """Yield lines with an absolute path into somebody's home or work folder."""
    for file, number, line in lines:
        if found := MACHINE_PATH.search(line):
            yield f"{file}:{number}: holds a path of one machine, {found[0]}...; make it relative"


def lock_faults(file: str, text: str) -> Iterator[str]:
    """Yield requirements without a version or a hash, and addresses, in a requirements lock."""
    # A requirement goes on over lines that end in a backslash; comments stand on lines of their own.
    number = 1
    for block in re.split(r"(?<!\\)\n", text):
        line = block.lstrip()
        if line and not line.startswith("#"):
            if not _PINNED.match(line):
                yield f"{file}:{number}: {line.splitlines()[0]!r} is not name==version; run `make lock`"
            elif not _HASH.search(block):
                yield f"{file}:{number}: {line.split()[0]} has no hash; run `make lock`"
        if "://" in block:
            yield f"{file}:{number}: holds an address; run `make lock`"
        number += block.count("\n") + 1


def npm_lock_faults(file: str, packages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield packages of an npm lock without integrity, or with the address they came from."""
    for name, package in packages.items():
        if name and not package.get("integrity", "").startswith("sha512-"):
            yield f"{file}:1: {name} has no sha512 integrity; lock it anew"
        if "resolved" in package:
            yield f"{file}:1: {name} holds an address; set omit-lockfile-registry-resolved in .npmrc"


def test_no_file_names_a_registry() -> None:
    require_none(registry_names(text_lines()))


def test_no_file_holds_a_path_of_one_machine() -> None:
    require_none(machine_paths(text_lines()))


def test_the_lock_of_addresses_is_not_tracked() -> None:
    assert "uv.lock" not in repository_files(tracked_only=True), (
        "uv.lock names package indexes: git rm --cached it"
    )


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_has_hashes_and_no_addresses(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert text.count("--hash=") > 0
    require_none(lock_faults(file, text))


def test_every_npm_lock_has_integrity_and_no_addresses() -> None:
    locks = [file for file in repository_files() if file.endswith("package-lock.json")]
    assert locks, "the lab fetches contracts under an npm lock"
    for file in locks:
        packages = json.loads((ROOT / file).read_text(encoding="utf-8"))["packages"]
        require_none(npm_lock_faults(file, packages))


def test_no_third_party_contract_source_is_kept_here() -> None:
    sources = {file for file in repository_files() if file.endswith(".sol")}
    assert sources == OWN_SOLIDITY, f"fetch contracts by npm under the lock instead: {sources - OWN_SOLIDITY}"


def test_a_registry_is_found() -> None:
    assert told(registry_names([("a.md", 3, "see https://" + REGISTRIES[0] + "/x")])).startswith("a.md:3: ")


@pytest.mark.parametrize("text", ["@home@ann@x", 'open("@work@x")', "at @root@.cache@x", "=@Users@ann"])
def test_a_machine_path_is_found(text: str) -> None:
    line = text.replace("@", "/")
    assert told(machine_paths([("a.py", 1, line)])).startswith("a.py:1: ")


@pytest.mark.parametrize("text", ["docs/home/x", "https://a.b/home/x", "$HOME/code/x", "/usr/bin/x"])
def test_other_paths_are_not_found(text: str) -> None:
    assert not told(machine_paths([("a.py", 1, text)]))


HASH: Final = f"--hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"# comment\nattrs>=1 \\\n    {HASH}\n", "l:2: 'attrs>=1"),
        ("attrs==1\n", "l:1: attrs==1 has no hash"),
        (f"attrs==1 \\\n    {HASH}\nb==2 \\\n    --hash=md5:0\n", "l:3: b==2 has no hash"),
        (f"--index-url https://example.com\nattrs==1 \\\n    {HASH}\n", "l:1: holds an address"),
    ],
)
def test_a_wrong_lock_is_found(text: str, fault: str) -> None:
    assert fault in told(lock_faults("l", text))


def test_a_right_lock_is_not_found() -> None:
    assert not told(
        lock_faults("l", f"attrs==1 \\\n    {HASH} \\\n    {HASH}\n    # via x\nb[c]==2 \\\n    {HASH}\n")
    )


def test_a_wrong_npm_lock_is_found() -> None:
    packages = {
        "": {},
        "a": {"version": "1"},
        "b": {"integrity": "sha512-x", "resolved": "https://example.com"},
    }
    assert told(npm_lock_faults("l", packages)).splitlines() == [
        "l:1: a has no sha512 integrity; lock it anew",
        "l:1: b holds an address; set omit-lockfile-registry-resolved in .npmrc",
    ]
