"""Key files: the Web3 Secret Storage format, version 3, with scrypt.

Source: https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage.
Only the signer process and `create` run this; what it raises is worth showing to a person.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from coincurve import PrivateKey

from tallyio.model.hashing import keccak256
from tallyio.model.units import Address

MOST_MEMORY: Final = 512 << 20
"""Bytes that a key derivation may ask for: a hostile file can ask for gigabytes."""
MOST_ROUNDS: Final = 10_000_000
SCRYPT_N: Final = 1 << 18


class KeystoreError(Exception):
    """The key cannot be opened; the message says why and what to do."""


def open_key(keystore: Path, password_file: Path) -> PrivateKey:
    """Return the key. Raises: KeystoreError."""
    content = _load(keystore)
    _check_cost(content, keystore)
    password = _private_text(password_file, "password file").rstrip("\n")
    from eth_keyfile.keyfile import decode_keyfile_json  # noqa: PLC0415 - takes a third of a second

    try:
        return PrivateKey(decode_keyfile_json(content, password.encode()))
    except ValueError as error:
        raise KeystoreError(
            f"the password in {password_file} does not open {keystore} ({error});"
            " put the right password into the file"
        ) from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise KeystoreError(f"{keystore} is not a version 3 keystore: {error!r}") from None


def create_key(keystore: Path, password_file: Path, *, scrypt_n: int) -> Address:
    """Write a new random key to `keystore`, and a random password to `password_file` if that is missing.

    Both files are readable by their owner only. Raises: KeystoreError: a key is there already.
    """
    from eth_keyfile.keyfile import create_keyfile_json  # noqa: PLC0415 - takes a third of a second

    if keystore.exists():
        raise KeystoreError(f"{keystore} exists; a key is never overwritten, name another file")
    if not password_file.exists():
        _write_private(password_file, secrets.token_hex(32) + "\n")
    password = _private_text(password_file, "password file").rstrip("\n")
    key = PrivateKey()
    content = create_keyfile_json(key.secret, password.encode(), iterations=scrypt_n, kdf="scrypt")
    content["address"] = account(key).hex()
    _write_private(keystore, json.dumps(content))
    return account(key)


def account(key: PrivateKey) -> Address:
    """Return the account of `key`: the last 20 bytes of the hash of its public key (yellow paper, F)."""
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[-20:])


def _load(keystore: Path) -> dict[str, object]:
    text = _private_text(keystore, "keystore")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise KeystoreError(f"{keystore} is not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("version") != 3:  # noqa: PLR2004 - the format's version
        raise KeystoreError(f"{keystore} is not a version 3 keystore")
    return content


def _check_cost(content: dict[str, object], keystore: Path) -> None:
    try:
        crypto = content["crypto"]
        kdf, params = crypto["kdf"], crypto["kdfparams"]  # type: ignore[index]
        memory = 128 * params["n"] * params["r"] if kdf == "scrypt" else 0
        rounds = params["p"] if kdf == "scrypt" else params["c"]
        if memory > MOST_MEMORY or rounds > MOST_ROUNDS:
            raise KeystoreError(
                f"{keystore} asks for {memory >> 20} MiB and {rounds} rounds to open,"
                f" the limits are {MOST_MEMORY >> 20} MiB and {MOST_ROUNDS}; write it with usual ones"
            )
    except (KeyError, TypeError) as error:
        raise KeystoreError(f"{keystore} is not a version 3 keystore: {error!r}") from None


def _private_text(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeystoreError(f"the {what} {path} is open to others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"the {what} {path} cannot be read: {error}") from None


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


__all__ = ["SCRYPT_N", "KeystoreError", "account", "create_key", "open_key"]
