"""The engine process holds no key: its whole memory is searched while it trades."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_keyfile.keyfile import decode_keyfile_json

from tallyio.lab import open_lab
from tallyio.testing.memory import hits
from tests.e2e.harness import make_bot, running

pytestmark = pytest.mark.node

# Opens the keystore like the signer and waits, so that its memory can be searched.
HOLDER = """
import sys
from pathlib import Path
from tallyio_signer_local_key.keystore import open_key
key = open_key(Path(sys.argv[1]), Path(sys.argv[2]))
text = key.to_hex()
raw = key.secret
password = Path(sys.argv[2]).read_text()
print("open", flush=True)
sys.stdin.read()
"""


def needles(key: bytes, password: str) -> dict[str, bytes]:
    """Return the forms in which a secret could lie in memory."""
    return {
        "key": key,
        "key backwards": key[::-1],  # as little-endian limbs
        "key in hex": key.hex().encode(),
        "key in upper hex": key.hex().upper().encode(),
        "password": password.encode(),
    }


async def test_the_engine_never_holds_the_key_or_its_password(tmp_path: Path) -> None:
    """No form of either is in any readable region of a live engine that signed trades."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        async with running(*bot.live()) as run:
            await run.wait_said("live: 12 pools")
            await bot.trade(run, landed=3)
            # Only now does this process learn the secrets, by the same way as the signer.
            password = bot.password.read_text().strip()
            secrets = needles(_open(bot.keystore, password).secret, password)
            assert hits(run.pid, secrets) == dict.fromkeys(secrets, 0)
            said = run.said.encode()
            assert not any(secret in said for secret in secrets.values())
        ledger = b"".join(path.read_bytes() for path in bot.data_dir.iterdir())
        assert not any(secret in ledger for secret in secrets.values())


async def test_the_search_finds_a_key_where_there_is_one(tmp_path: Path) -> None:
    """The control: a process that opened the same kind of keystore is found out."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
    password = bot.password.read_text().strip()
    secrets = needles(_open(bot.keystore, password).secret, password)
    found = _hits_in_holder(bot.keystore, bot.password, secrets)
    assert found["key"] > 0
    assert found["key in hex"] > 0
    assert found["password"] > 0


def _hits_in_holder(keystore: Path, password: Path, secrets: dict[str, bytes]) -> dict[str, int]:
    command = [sys.executable, "-c", HOLDER, str(keystore), str(password)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        found = hits(holder.pid, secrets)
        holder.communicate("")
    return found


def _open(keystore: Path, password: str) -> PrivateKey:
    return PrivateKey(decode_keyfile_json(json.loads(keystore.read_text()), password.encode()))
