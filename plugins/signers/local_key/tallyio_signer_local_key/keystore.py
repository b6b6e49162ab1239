"""Key files, for their owner only: opened and made.

Only the signer process and `create` run this; what it raises is worth showing to a person.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from coincurve import PrivateKey

from tallyio.model.hashing import keccak256
from tallyio.model.units import Address
from tallyio_signer_local_key.secret_storage import Crypto, decrypt, encrypt, read

MOST_MEMORY: Final = 512 << 20
"""Bytes that a key derivation may ask for: a hostile file can ask for gigabytes."""
MOST_ROUNDS: Final = 10_000_000
SCRYPT_N: Final = 1 << 18


class KeystoreError(Exception):
    """The key cannot be opened; the message says why and what to do."""


def open_key(keystore: Path, password_file: Path) -> PrivateKey:
    """Return the key. Raises: KeystoreError."""
    crypto = _load(keystore)
    password = _password(password_file)
    try:
        key = decrypt(crypto, password)
        if key is not None:
            return PrivateKey(key)
    except ValueError as error:
        raise KeystoreError(f"{keystore} is not a version 3 keystore: {error}") from None
    raise KeystoreError(
        f"the password in {password_file} does not open {keystore}; put the right password into the file"
    )


def create_key(keystore: Path, password_file: Path, *, scrypt_n: int) -> Address:
    """Write a new random key to `keystore`, and a random password to `password_file` if that is missing.

    Both files are readable by their owner only, and on the disk before this returns.
    Raises: KeystoreError: a key is there already, or the password is none. OSError: a file cannot be
    written; then nothing of it is left.
    """
    if keystore.exists():
        raise KeystoreError(f"{keystore} exists; a key is never overwritten, name another file")
    if not password_file.exists():
        _write_private(password_file, secrets.token_hex(32) + "\n")
    password = _password(password_file)
    key = PrivateKey()
    content = encrypt(key.secret, password, account=account(key), scrypt_n=scrypt_n)
    _write_private(keystore, content.decode())
    return account(key)


def account(key: PrivateKey) -> Address:
    """Return the account of `key`: the last 20 bytes of the hash of its public key (yellow paper, F)."""
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[-20:])


def _load(keystore: Path) -> Crypto:
    try:
        crypto = read(_private_text(keystore, "keystore"))
    except msgspec.ValidationError as error:
        raise KeystoreError(f"{keystore} is not a version 3 keystore: {error}") from None
    except msgspec.DecodeError as error:
        raise KeystoreError(f"{keystore} is not JSON: {error}") from None
    cost = crypto.derivation
    if cost.memory > MOST_MEMORY or cost.rounds > MOST_ROUNDS:
        raise KeystoreError(
            f"{keystore} asks for {cost.memory >> 20} MiB and {cost.rounds} rounds to open,"
            f" the limits are {MOST_MEMORY >> 20} MiB and {MOST_ROUNDS}; write it with usual ones"
        )
    return crypto


def _password(path: Path) -> bytes:
    password = _private_text(path, "password file").rstrip("\n")
    if not password.strip():
        raise KeystoreError(
            f"the password file {path} is empty, and so would protect nothing; put the password into it, or"
            " remove it where no key uses it yet: `tallyio keys new` makes one"
        )
    return password.encode()


def _private_text(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeystoreError(f"the {what} {path} is open to others; run: chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeystoreError(f"the {what} {path} cannot be read: {error}") from None


def _write_private(path: Path, text: str) -> None:
    """Write a new file, which appears whole and stays, or not at all. Raises: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # for its owner only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)  # a rename would go over a file that another has made meanwhile
    finally:
        Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


__all__ = ["SCRYPT_N", "KeystoreError", "account", "create_key", "open_key"]
