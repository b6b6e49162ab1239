"""Markets that go to disk and come back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from tallyio.market import snapshot
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Market
from tallyio.market.snapshot import SnapshotFault
from tallyio.model.errors import ConfigError
from tallyio.model.market import LogSource
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]


def changed_market(toy: Toy) -> Market:
    """Two protocols, rows of several sizes, a singleton's pool, and a pool that waits for its row.

    Parameters are integers of any size: plugins keep addresses there.
    """
    fused = fuse([("one", toy[1]), ("two", toy[1])])
    single = msgspec.structs.replace(
        toys.pool(9, 1, 2),
        id=b"i" * 32,
        log_sources=(LogSource(toys.address(5), b"t" * 32),),
        ages=True,
        parameters=(("amount", 2**256 - 1), ("factory", int.from_bytes(b"f" * 20)), ("side", -1)),
    )
    pools = [toys.pool(number, 1, 2 + number) for number in range(3)]
    held = [
        toys.holding(toy[1], pools, [toys.row(k, k).ljust(64 * (k + 1), b"x") for k in range(3)], "one"),
        toys.holding(toy[1], [single], [toys.row(7, 7)], "two"),
    ]
    market = Market(fused, held, toys.GENESIS)
    market.apply(toys.block(toys.GENESIS, [toys.event_log(pools[1], 0, 5, 6), toys.event_log(pools[2], 2)]))
    return market


def test_a_market_comes_back_as_it_was(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "market.tally"
    with changed_market(toy) as before:
        snapshot.write(before, path)
        found = snapshot.read(path)
        assert found.protocols == ("one", "two")
        plugins = dict.fromkeys(found.protocols, (toy[1], toys.TOPICS))
        with Market(before.fused, found.holdings(plugins), found.head, void=found.void) as after:
            assert after.head == before.head
            assert after.shape.pools == before.shape.pools
            assert [after.row(k) for k in range(4)] == [before.row(k) for k in range(4)]
            assert after.waiting == before.waiting == (2,)
            block = toys.block(after.head, [toys.event_log(after.shape.pools[0], 0, 1, 1)])
            assert after.apply(block) == 2
            assert after.row(0) == toys.row(1, 1)
    assert [each.name for each in path.parent.iterdir()] == ["market.tally"]


def test_a_file_of_another_version_is_refused(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "market"
    with changed_market(toy) as market:
        snapshot.write(market, path)
    monkeypatch.setattr(snapshot, "VERSION", snapshot.VERSION + 1)
    with pytest.raises(SnapshotFault, match=r"is of version \d+, and this is version \d+"):
        snapshot.read(path)


def test_a_header_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    """Such as that of the first version, which was MessagePack."""
    path = tmp_path / "market"
    for header in (msgspec.msgpack.encode({"version": 1}), b'{"version":1}'):
        body = b"TALLYMKT" + len(header).to_bytes(8, "little") + header
        path.write_bytes(body + hashlib.blake2b(body, digest_size=32).digest())
        with pytest.raises(SnapshotFault, match="has an unknown header"):
            snapshot.read(path)


def test_a_protocol_that_is_not_enabled_is_named(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "market"
    with changed_market(toy) as market:
        snapshot.write(market, path)
    with pytest.raises(ConfigError, match="holds 1 pools of 'two', which is not enabled"):
        snapshot.read(path).holdings({"one": (toy[1], toys.TOPICS)})


@pytest.mark.parametrize("place", [9, 30, 200, -40, -1])
def test_a_damaged_file_is_refused(toy: Toy, tmp_path: Path, place: int) -> None:
    path = tmp_path / "market"
    with changed_market(toy) as market:
        snapshot.write(market, path)
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    with pytest.raises(SnapshotFault, match="is damaged") as caught:
        snapshot.read(path)
    assert "loaded from the chain" in caught.value.way_out


def test_a_file_that_is_cut_short_or_another_is_refused(toy: Toy, tmp_path: Path) -> None:
    path = tmp_path / "market"
    path.write_bytes(b"something else")
    with pytest.raises(SnapshotFault, match="is no snapshot"):
        snapshot.read(path)
    with changed_market(toy) as market:
        snapshot.write(market, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SnapshotFault, match="is damaged"):
        snapshot.read(path)


def test_a_failed_write_leaves_the_old_file(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "market"
    with changed_market(toy) as market:
        snapshot.write(market, path)
        old = path.read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            snapshot.write(market, path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["market"]
