"""Key files, against the format's published cases and the library that most tools use."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json
from tallyio_signer_local_key.keystore import KeystoreError, open_key
from tallyio_signer_local_key.secret_storage import decrypt, encrypt, read

PUBLISHED_KEY = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
PUBLISHED_PASSWORD = b"testpassword"
PUBLISHED: dict[str, dict[str, Any]] = {
    "pbkdf2": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "scrypt": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "r": 1,
            "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
}
"""The test vectors of the format's description."""


def file_of(crypto: dict[str, Any], **others: object) -> str:
    return json.dumps({"version": 3, "crypto": crypto, **others})


def changed(**fields: object) -> str:
    """Return a published file with some of its fields changed; None takes one out."""
    crypto = {**PUBLISHED["scrypt"], **fields}
    return file_of({name: value for name, value in crypto.items() if value is not None})


@pytest.mark.parametrize("kdf", PUBLISHED)
def test_the_published_cases_are_opened(kdf: str) -> None:
    assert decrypt(read(file_of(PUBLISHED[kdf])), PUBLISHED_PASSWORD) == bytes.fromhex(PUBLISHED_KEY)


def test_some_write_names_with_capitals_and_numbers_with_0x() -> None:
    crypto = {**PUBLISHED["scrypt"], "ciphertext": "0x" + PUBLISHED["scrypt"]["ciphertext"]}
    written = json.dumps(
        {"Crypto": crypto, "Version": 3, "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b"}
    )
    assert decrypt(read(written), PUBLISHED_PASSWORD) == bytes.fromhex(PUBLISHED_KEY)


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
@pytest.mark.parametrize("password", ["", "plain", "größer als ASCII 🔑"])
def test_what_the_library_writes_is_opened(kdf: Any, password: str) -> None:
    key = secrets.token_bytes(32)
    made = create_keyfile_json(key, password.encode(), kdf=kdf, iterations=1_024)
    assert decrypt(read(json.dumps(made)), password.encode()) == key


@pytest.mark.parametrize("password", ["", "plain", "größer als ASCII 🔑"])
def test_what_is_written_the_library_opens(password: str) -> None:
    key, account = secrets.token_bytes(32), secrets.token_bytes(20)
    content = json.loads(encrypt(key, password.encode(), account=account, scrypt_n=1_024))
    assert decode_keyfile_json(content, password.encode()) == key
    assert content["address"] == account.hex()
    assert content.keys() == {"address", "crypto", "id", "version"}


def test_the_same_key_is_never_written_twice_alike() -> None:
    one, other = (read(encrypt(bytes(32), b"", account=bytes(20), scrypt_n=2).decode()) for _ in range(2))
    assert one.ciphertext != other.ciphertext
    assert one.cipherparams != other.cipherparams
    assert one.kdfparams != other.kdfparams


def test_another_password_opens_nothing() -> None:
    made = read(encrypt(secrets.token_bytes(32), b"right", account=bytes(20), scrypt_n=2).decode())
    assert decrypt(made, b"wrong") is None


def test_what_was_altered_opens_nothing() -> None:
    made = read(encrypt(secrets.token_bytes(32), b"right", account=bytes(20), scrypt_n=2).decode())
    altered = msgspec.structs.replace(made, ciphertext="00" + made.ciphertext[2:])
    assert made.ciphertext[:2] == "00" or decrypt(altered, b"right") is None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        file_of({}),
        changed(cipher="aes-256-gcm"),
        changed(kdf="argon2"),
        changed(kdf="pbkdf2"),  # with the numbers of scrypt
        changed(mac=None),
        changed(kdfparams={**PUBLISHED["scrypt"]["kdfparams"], "dklen": 16}),
        changed(kdfparams={**PUBLISHED["scrypt"]["kdfparams"], "n": 0}),
        file_of(PUBLISHED["scrypt"]).replace('"version": 3', '"version": 4'),
    ],
)
def test_what_is_no_version_3_file_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(text)


def test_a_cost_that_scrypt_does_not_know_is_an_error_and_not_a_wrong_password() -> None:
    odd = changed(kdfparams={**PUBLISHED["scrypt"]["kdfparams"], "n": 1_000})
    with pytest.raises(ValueError, match="power of"):
        decrypt(read(odd), PUBLISHED_PASSWORD)


@pytest.mark.parametrize("key", [bytes(32), b"\xff" * 32, b"short"])
def test_what_is_inside_must_be_a_key_of_the_curve(tmp_path: Path, key: bytes) -> None:
    keystore, password = tmp_path / "key", tmp_path / "password"
    for path, content in (
        (keystore, encrypt(key, b"pw", account=bytes(20), scrypt_n=2)),
        (password, b"pw\n"),
    ):
        path.touch(mode=0o600)
        path.write_bytes(content)
    with pytest.raises(KeystoreError, match="is not a version 3 keystore"):
        open_key(keystore, password)
