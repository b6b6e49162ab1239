"""Web3 Secret Storage, version 3: what a key file holds, made and opened.

Source: https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage. The
ciphers are OpenSSL's and pycryptodome's; of them the format is made here, because the library that has it
also loads pairings of another curve and a schema compiler into the process that holds the key: a second of
each start. Tests hold both to the same files.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from typing import Annotated, Any, Final, Literal

import msgspec
from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from tallyio.model.hashing import keccak256

VERSION: Final = 3
_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16
_SALT_BYTES: Final = 32
_SCRYPT_R, _SCRYPT_P = 8, 1

type Count = Annotated[int, msgspec.Meta(ge=1)]
type DerivedBytes = Annotated[int, msgspec.Meta(ge=32, le=1_024)]
"""The first half encrypts, the second is for the MAC, 16 bytes each; what is beyond is not used."""


class Scrypt(msgspec.Struct, frozen=True, kw_only=True):
    """`kdfparams` of `scrypt` (RFC 7914)."""

    n: Count
    r: Count
    p: Count
    dklen: DerivedBytes
    salt: str

    @property
    def memory(self) -> int:
        """Bytes that deriving takes."""
        # RFC 7914: V has n blocks of 128 r bytes, B has p.
        return 128 * self.r * (self.n + self.p)

    @property
    def rounds(self) -> int:
        """How often the memory is gone through."""
        return self.p

    def derive(self, password: bytes) -> bytes:
        """Return `dklen` bytes."""
        # OpenSSL's refuses `n` of 2**(16 r) and more, as RFC 7914 does, which the format's own example has.
        derive: Any = scrypt  # its types want text, of which it makes bytes
        return bytes(derive(password, _octets(self.salt), self.dklen, N=self.n, r=self.r, p=self.p))


class Pbkdf2(msgspec.Struct, frozen=True, kw_only=True):
    """`kdfparams` of `pbkdf2` (RFC 8018)."""

    c: Count
    prf: Literal["hmac-sha256"]
    dklen: DerivedBytes
    salt: str

    @property
    def memory(self) -> int:
        """Bytes that deriving takes: next to none."""
        return 0

    @property
    def rounds(self) -> int:
        """How often it hashes."""
        return self.c

    def derive(self, password: bytes) -> bytes:
        """Return `dklen` bytes."""
        return hashlib.pbkdf2_hmac("sha256", password, _octets(self.salt), self.c, self.dklen)


class CipherParams(msgspec.Struct, frozen=True):
    """Where the cipher's counter starts."""

    iv: str


class Crypto(msgspec.Struct, frozen=True, kw_only=True):
    """The encrypted key and how it is opened; all texts are hex."""

    cipher: Literal["aes-128-ctr"]
    cipherparams: CipherParams
    ciphertext: str
    kdf: Literal["scrypt", "pbkdf2"]
    kdfparams: dict[str, object]
    mac: str

    @property
    def derivation(self) -> Scrypt | Pbkdf2:
        """How the password becomes a key. Raises: msgspec.ValidationError: it is not said."""
        if self.kdf == "scrypt":
            return msgspec.convert(self.kdfparams, Scrypt)
        return msgspec.convert(self.kdfparams, Pbkdf2)


class _File(msgspec.Struct, frozen=True):
    crypto: Crypto
    version: Literal[3]


def read(text: str) -> Crypto:
    """Return what a key file's `text` holds.

    Raises: msgspec.DecodeError: it is not JSON; msgspec.ValidationError: it is not a version 3 key file.
    """
    crypto = msgspec.convert(_lower(msgspec.json.decode(text)), _File).crypto
    _ = crypto.derivation  # raises now
    return crypto


def decrypt(crypto: Crypto, password: bytes) -> bytes | None:
    """Return the key's 32 bytes, or None: the password is another. Raises: ValueError: not a key file."""
    derived, ciphertext = crypto.derivation.derive(password), _octets(crypto.ciphertext)
    if not hmac.compare_digest(_mac(derived, ciphertext), _octets(crypto.mac)):
        return None
    key = _counted(derived, _octets(crypto.cipherparams.iv), ciphertext)
    if len(key) != _KEY_BYTES:
        raise ValueError(f"it holds {len(key)} bytes, and a key has {_KEY_BYTES}")
    return key


def encrypt(key: bytes, password: bytes, *, account: bytes, scrypt_n: int) -> bytes:
    """Return a key file's content for `key` of `account`, with scrypt of `scrypt_n` (a power of two)."""
    derivation = Scrypt(
        n=scrypt_n, r=_SCRYPT_R, p=_SCRYPT_P, dklen=_KEY_BYTES, salt=secrets.token_hex(_SALT_BYTES)
    )
    derived, iv = derivation.derive(password), secrets.token_bytes(_BLOCK_BYTES)
    ciphertext = _counted(derived, iv, key)
    crypto = Crypto(
        cipher="aes-128-ctr",
        cipherparams=CipherParams(iv.hex()),
        ciphertext=ciphertext.hex(),
        kdf="scrypt",
        kdfparams=msgspec.structs.asdict(derivation),
        mac=_mac(derived, ciphertext).hex(),
    )
    content = {"address": account.hex(), "crypto": crypto, "id": str(uuid.uuid4()), "version": VERSION}
    return msgspec.json.encode(content)


def _counted(derived: bytes, iv: bytes, text: bytes) -> bytes:
    """Encrypt, or decrypt, which is the same; the whole block counts, from `iv` on."""
    return bytes(AES.new(derived[:16], AES.MODE_CTR, nonce=b"", initial_value=iv).encrypt(text))


def _mac(derived: bytes, ciphertext: bytes) -> bytes:
    return keccak256(derived[16:32] + ciphertext)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _lower(value: object) -> object:
    """Return the content with lower-case names: some programs write `Crypto`."""
    if isinstance(value, dict):
        return {str(name).lower(): _lower(each) for name, each in value.items()}
    return value
