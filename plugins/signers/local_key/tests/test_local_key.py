"""A real signer process: it signs, refuses, remembers, and its death is told in words."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio
from eth_account import Account
from tallyio_signer_local_key import keystore as keystore_module
from tallyio_signer_local_key.keystore import account, create_key, open_key
from tallyio_signer_local_key.signer import LocalKey, LocalKeyClient

from tallyio.hooks.interfaces import Limits
from tallyio.model.errors import ConfigError, EnvironmentFault, SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.transaction import decode
from tallyio.model.units import Address, Wei

LIMITS = Limits(
    chain_id=31337,
    executor=Address(b"\x11" * 20),
    selectors=(b"\x01\x02\x03\x04",),
    max_value_wei=Wei(0),
    max_fee_wei=Wei(10**11),
    max_gas=10**6,
)

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of the curve secp256k1."""


def transaction(nonce: int, **change: object) -> UnsignedTransaction:
    base = UnsignedTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=Wei(10**9),
        max_fee_wei=Wei(10**10),
        gas_limit=400_000,
        to=LIMITS.executor,
        value_wei=Wei(0),
        data=b"\x01\x02\x03\x04" + bytes(100),
    )
    return msgspec.structs.replace(base, **change)


@pytest.fixture
def local_key(tmp_path: Path) -> LocalKey:
    return LocalKey.from_settings(
        {"keystore": str(tmp_path / "key.json"), "password_file": str(tmp_path / "pw"), "scrypt_n": 4096}
    )


async def test_it_signs_as_the_reference_library_recovers(local_key: LocalKey) -> None:
    account = await local_key.create()
    async with local_key.open(LIMITS) as client:
        assert client.account == account
        signed = await client.sign(transaction(3))
    assert signed.sender == account
    assert Account.recover_transaction(signed.raw).lower() == "0x" + account.hex()


async def test_key_and_password_are_for_their_owner_only(local_key: LocalKey, tmp_path: Path) -> None:
    await local_key.create()
    for name in ("key.json", "pw"):
        mode = (await trio.Path(tmp_path / name).stat()).st_mode
        assert stat.S_IMODE(mode) == 0o600, name


async def test_a_key_is_never_overwritten(local_key: LocalKey) -> None:
    await local_key.create()
    with pytest.raises(UnsafeRefused, match=r"key\.json exists; a key is never overwritten"):
        await local_key.create()


@pytest.mark.parametrize("nothing", ["", "\n", "\r\n", " \n"])
async def test_a_key_is_never_made_for_an_empty_password(
    local_key: LocalKey, tmp_path: Path, nothing: str
) -> None:
    password = tmp_path / "pw"
    password.write_text(nothing)
    password.chmod(0o600)
    with pytest.raises(UnsafeRefused, match=r"password file .*pw is empty.*`tallyio keys new` makes one"):
        await local_key.create()
    assert await trio.to_thread.run_sync(os.listdir, tmp_path) == ["pw"]


async def test_a_key_that_cannot_be_kept_is_no_danger_but_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "keys"
    signer = LocalKey.from_settings({"keystore": f"{folder}/key.json", "password_file": f"{folder}/pw"})
    with pytest.raises(EnvironmentFault, match=r"no key was created in .*key\.json: .*/file") as failed:
        await signer.create()
    assert failed.value.exit_code == 4
    assert failed.value.way_out


@pytest.mark.parametrize("written", [0, 1])
def test_a_full_disk_leaves_no_half_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """The password is written first, then the key; with space again, the same call makes the key."""
    sync, left = os.fsync, iter([*[True] * 2 * written, False])

    def full(handle: int) -> None:
        if not next(left):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    files = tmp_path / "key.json", tmp_path / "pw"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        create_key(*files, scrypt_n=4096)
    assert [each.name for each in tmp_path.iterdir()] == ["pw"] * written
    monkeypatch.setattr(os, "fsync", sync)
    made = create_key(*files, scrypt_n=4096)
    assert account(open_key(*files)) == made
    assert len((tmp_path / "pw").read_text().strip()) == 64


def test_a_key_that_came_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keystore, password_file = tmp_path / "key.json", tmp_path / "pw"

    def slow(*_: object, **__: object) -> bytes:
        keystore.write_text("of another process")
        return b"ours"

    monkeypatch.setattr(keystore_module, "encrypt", slow)
    with pytest.raises(FileExistsError):
        create_key(keystore, password_file, scrypt_n=4096)
    assert keystore.read_text() == "of another process"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key.json", "pw"]


async def test_one_nonce_is_signed_for_one_content_even_after_a_restart(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        first = await client.sign(transaction(0))
        assert (await client.sign(transaction(0))).raw == first.raw, "the same content, the same bytes"
        with pytest.raises(SignerRefused, match="nonce 0 was signed for another transaction"):
            await client.sign(transaction(0, gas_limit=1))
    async with local_key.open(LIMITS) as again:
        with pytest.raises(SignerRefused, match="nonce 0 was signed for another transaction"):
            await again.sign(transaction(0, gas_limit=2))
        assert (await again.sign(transaction(0))).raw == first.raw


async def test_what_a_full_disk_cannot_keep_is_not_signed(local_key: LocalKey, tmp_path: Path) -> None:
    """The disk takes a part of the line; with room again nothing of that part is left in the file."""
    await local_key.create()
    memory = tmp_path / "key.json.nonces"
    async with local_key.open(LIMITS) as client:
        await client.sign(transaction(0))
        before = memory.read_bytes()
        most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(client.pid, resource.RLIMIT_FSIZE, (len(before) + 30, most[1]))
        with pytest.raises(SignerRefused, match=r"nonce 1 cannot be written down: .*; make room for it"):
            await client.sign(transaction(1))
        assert len(memory.read_bytes()) == len(before) + 30, "a torn line"
        resource.prlimit(client.pid, resource.RLIMIT_FSIZE, most)
        await client.sign(transaction(2))
        assert memory.read_bytes().count(b"\n") == 2
    async with local_key.open(LIMITS) as again:
        await again.sign(transaction(1, gas_limit=1))
        for nonce in (0, 2):
            with pytest.raises(SignerRefused, match=f"nonce {nonce} was signed for another transaction"):
                await again.sign(transaction(nonce, gas_limit=1))


@pytest.mark.parametrize("tail", [b"31337 1 abc", bytes(75)], ids=["torn", "zeros after power loss"])
async def test_an_unfinished_end_of_the_memory_is_cut(
    local_key: LocalKey, tmp_path: Path, tail: bytes
) -> None:
    await local_key.create()
    memory = tmp_path / "key.json.nonces"
    async with local_key.open(LIMITS) as client:
        await client.sign(transaction(0))
    kept = memory.read_bytes()
    memory.write_bytes(kept + tail)
    async with local_key.open(LIMITS) as client:
        assert memory.read_bytes() == kept
        await client.sign(transaction(1))
    async with local_key.open(LIMITS) as client:
        for nonce in range(2):
            with pytest.raises(SignerRefused, match=f"nonce {nonce} was signed for another transaction"):
                await client.sign(transaction(nonce, gas_limit=1))


async def test_a_memory_with_a_damaged_line_is_refused(local_key: LocalKey, tmp_path: Path) -> None:
    """To go on without the line could sign its nonce once more, for something else."""
    await local_key.create()
    memory = tmp_path / "key.json.nonces"
    async with local_key.open(LIMITS) as client:
        await client.sign_all([transaction(0), transaction(1)])
    damaged = memory.read_bytes().replace(b"31337 0", b"\0\0\0\0\0\0\0")
    memory.write_bytes(damaged)
    with pytest.raises(UnsafeRefused, match=r"line 1 of .*key\.json\.nonces is damaged.*move the file away"):
        async with local_key.open(LIMITS):
            pass
    assert memory.read_bytes() == damaged


async def test_the_policy_is_enforced_in_the_process(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        with pytest.raises(SignerRefused, match="is not the executor"):
            await client.sign(transaction(0, to=Address(bytes(20))))
        await client.sign(transaction(0))


async def test_one_message_is_signed_in_order_up_to_the_first_refusal(local_key: LocalKey) -> None:
    """What comes after the refused one was not looked at: its nonce is still free for anything."""
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        asked = [transaction(0), transaction(1), transaction(2, gas_limit=10**7), transaction(3)]
        made = await client.sign_all(asked)
        assert [each.unsigned for each in made.signed] == asked[:2]
        assert isinstance(made.fault, SignerRefused)
        assert "gas 10000000 is above" in str(made.fault)
        assert made.doubtful == 0
        again = await client.sign_all([transaction(2), transaction(3, gas_limit=1)])
        assert (len(again.signed), again.fault) == (2, None)
        assert [each.raw for each in made.signed] == [(await client.sign(each)).raw for each in asked[:2]]


async def test_of_a_message_without_an_answer_all_are_in_doubt(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        os.kill(client.pid, signal.SIGKILL)
        made = await client.sign_all([transaction(0), transaction(1)])
        assert (made.signed, made.doubtful) == ((), 2)
        assert isinstance(made.fault, SignerError)


async def test_a_signature_of_another_key_is_not_believed(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        other = LocalKeyClient(client._channel, Address(b"\x22" * 20), 2.0)
        with pytest.raises(SignerError, match="not one of 0x2222"):
            await other.sign(transaction(0))


async def test_a_signature_in_another_form_is_not_believed(local_key: LocalKey) -> None:
    """The same signature has a second form, which recovers to the same account and chains refuse."""
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        _, found = decode((await client.sign(transaction(0))).raw)
        r, low, high = (each.to_bytes(32) for each in (found.r, found.s, ORDER - found.s))
        assert client._assembled(transaction(0), r + low + bytes([found.y_parity])).sender == client.account
        with pytest.raises(ValueError, match="lower half of the curve's order"):
            client._assembled(transaction(0), r + high + bytes([1 - found.y_parity]))


async def test_a_killed_signer_is_told_and_stays_dead(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        os.kill(client.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(SignerError, match="signer process ended with exit code -9"):
                await client.sign(transaction(0))


async def test_a_stopped_signer_misses_its_deadline(local_key: LocalKey, tmp_path: Path) -> None:
    await local_key.create()
    hasty = LocalKey.from_settings(
        {"keystore": str(tmp_path / "key.json"), "password_file": str(tmp_path / "pw"), "deadline_s": 0.2}
    )
    async with hasty.open(LIMITS) as client:
        os.kill(client.pid, signal.SIGSTOP)
        with pytest.raises(SignerError, match=r"did not answer within 0\.2 s"):
            await client.sign(transaction(0))
        os.kill(client.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "setting", [{"deadline_s": -1.0}, {"start_deadline_s": float("nan")}, {"scrypt_n": 0}]
)
def test_a_number_out_of_range_is_refused(setting: dict[str, float]) -> None:
    (key,) = setting
    with pytest.raises(ConfigError, match=rf"\[signers.{key}\] expected `(float|int)` >"):
        LocalKey.from_settings({"keystore": "key.json", "password_file": "pw", **setting})


async def test_a_work_factor_that_scrypt_does_not_know_makes_no_key(tmp_path: Path) -> None:
    odd = LocalKey.from_settings(
        {"keystore": str(tmp_path / "key.json"), "password_file": str(tmp_path / "pw"), "scrypt_n": 3}
    )
    with pytest.raises(ConfigError, match=r"^no key was created: N must be a power of 2$"):
        await odd.create()


async def test_two_signers_never_hold_one_key(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS):
        with pytest.raises(UnsafeRefused, match="another signer holds"):
            async with local_key.open(LIMITS):
                pass


def _replace(path: Path, before: str, after: str) -> None:
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "pw").write_text("wrong"), "the password in .* does not open"),
        (lambda folder: (folder / "pw").write_text("\n"), "password file .* is empty"),
        (lambda folder: (folder / "key.json").chmod(0o644), "open to others; run: chmod 600"),
        (lambda folder: (folder / "pw").unlink(), "password file .* cannot be read"),
        (lambda folder: (folder / "key.json.nonces").mkdir(), "signed nonces cannot be opened: .*directory"),
        (lambda folder: (folder / "key.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "key.json").write_text('{"version": 1}'), "not a version 3 keystore"),
        (
            lambda folder: _replace(folder / "key.json", '"n":4096', '"n":16777216'),
            "asks for 16384 MiB and 1 rounds to open",
        ),
    ],
)
async def test_a_key_that_cannot_be_opened_says_why_and_what_to_do(
    local_key: LocalKey, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    await local_key.create()
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=says):
        async with local_key.open(LIMITS):
            pass


async def test_signatures_wait_their_turn(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client, trio.open_nursery() as nursery:
        hashes: set[bytes] = set()

        async def sign(nonce: int) -> None:
            hashes.add((await client.sign(transaction(nonce))).hash)

        for nonce in range(20):
            nursery.start_soon(sign, nonce)
    assert len(hashes) == 20


async def test_the_signer_process_cannot_be_read_by_others(local_key: LocalKey) -> None:
    await local_key.create()
    async with local_key.open(LIMITS) as client:
        status = await trio.Path(f"/proc/{client.pid}/status").read_text()
        limits = await trio.Path(f"/proc/{client.pid}/limits").read_text()
        owner = (await trio.Path(f"/proc/{client.pid}/mem").stat()).st_uid
    assert "NoNewPrivs:\t1" in status
    assert "Max core file size        0" in limits
    assert owner == 0, "not dumpable: its memory file belongs to root"
