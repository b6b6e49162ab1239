"""The signer process: `python -m tallyio_signer_local_key.process`, its socket on standard input.

It holds the key; nothing else does. It has no reason to use the network, cannot gain privileges,
leaves no core dump, and other processes of the same user cannot read its memory. It ends when the
engine's end of the socket closes.
"""

from __future__ import annotations

import ctypes
import resource
import socket
import sys
from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import msgspec
from coincurve import PrivateKey

from tallyio.model.execution import UnsignedTransaction
from tallyio.model.transaction import signing_hash
from tallyio_signer_local_key.frames import (
    LENGTH_BYTES,
    Answer,
    Failed,
    Ready,
    Request,
    Setup,
    Sign,
    Signed,
    body_length,
    pack,
)
from tallyio_signer_local_key.keystore import KeystoreError, account, open_key
from tallyio_signer_local_key.nonces import Nonces, SecondSignerError, UnreadableError
from tallyio_signer_local_key.policy import refusal

PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38


class Signer:
    """One key under one policy."""

    def __init__(self, key: PrivateKey, setup: Setup, nonces: Nonces) -> None:
        self._key = key
        self._limits = setup.limits
        self._nonces = nonces

    def sign(self, transactions: Iterable[UnsignedTransaction]) -> Signed:
        """Sign in order, up to the first that may not be signed."""
        signatures: list[bytes] = []
        for transaction in transactions:
            made = self._sign(transaction)
            if isinstance(made, str):
                return Signed(signatures=tuple(signatures), refused=made)
            signatures.append(made)
        return Signed(signatures=tuple(signatures))

    def _sign(self, transaction: UnsignedTransaction) -> bytes | str:
        """Return the signature, or why not in words."""
        reason = refusal(self._limits, transaction)
        if reason is not None:
            return reason
        digest = signing_hash(transaction)
        try:
            granted = self._nonces.claim(transaction.chain_id, transaction.nonce, digest)
        except OSError as error:
            return f"nonce {transaction.nonce} cannot be written down: {error.strerror}; make room for it"
        if not granted:
            return f"nonce {transaction.nonce} was signed for another transaction"
        # RFC 6979: the same content gives the same bytes; libsecp256k1 returns low s.
        return self._key.sign_recoverable(digest, hasher=None)


def main() -> None:
    """Serve requests from standard input until it closes."""
    harden()
    channel = socket.socket(fileno=sys.stdin.fileno())
    requests = channel.makefile("rb")  # a request that arrives whole takes one look at the socket
    signer: Signer | None = None
    while (request := _receive(requests)) is not None:
        answer: Answer
        if isinstance(request, Setup):
            signer, answer = _set_up(request)
        elif isinstance(request, Sign) and signer is not None:
            answer = signer.sign(request.transactions)
        else:
            answer = Failed(reason="the first message must be the set-up")
        channel.sendall(pack(answer))


def harden() -> None:
    """Give up what the signer does not need; see the module's first lines."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _set_up(setup: Setup) -> tuple[Signer | None, Answer]:
    try:
        key = open_key(Path(setup.keystore), Path(setup.password_file))
        nonces = Nonces(Path(setup.keystore + ".nonces"))
    except KeystoreError as error:
        return None, Failed(reason=str(error))
    except OSError as error:
        return None, Failed(reason=f"the file of signed nonces cannot be opened: {error}")
    except UnreadableError as error:
        return None, Failed(reason=str(error), unsafe=True)
    except SecondSignerError:
        reason = f"another signer holds {setup.keystore}; stop it first, two would spend the same nonces"
        return None, Failed(reason=reason, unsafe=True)
    return Signer(key, setup, nonces), Ready(account=account(key))


def _receive(requests: BufferedIOBase) -> Request | None:
    prefix = requests.read(LENGTH_BYTES)
    if len(prefix) < LENGTH_BYTES:
        return None
    length = body_length(prefix)
    body = requests.read(length)
    return None if len(body) < length else msgspec.json.decode(body, type=Request)


if __name__ == "__main__":
    main()
