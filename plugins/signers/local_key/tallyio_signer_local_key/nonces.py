"""The signer's memory: which content each nonce was signed for.

An append-only text file beside the keystore, written before the signature leaves the process. It is
in the page cache then, which a killed process does not lose; after power loss the chain itself
refuses a second transaction for a mined nonce. The file is locked: one signer per key.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tallyio.model.units import Hash


class SecondSignerError(Exception):
    """Another process holds this key."""


class Nonces:
    """Remembers (chain id, nonce) -> signing hash across restarts."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise SecondSignerError(str(path)) from None
        self._known = dict(_read(path))

    def claim(self, chain_id: int, nonce: int, content: Hash) -> bool:
        """Return whether `nonce` may be signed for `content`: it is new, or it was this content before."""
        known = self._known.get((chain_id, nonce))
        if known is None:
            os.write(self._file, f"{chain_id} {nonce} {content.hex()}\n".encode())
            self._known[chain_id, nonce] = content
        return known is None or known == content


def _read(path: Path) -> list[tuple[tuple[int, int], Hash]]:
    entries = []
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and len(words[2]) == 64:  # noqa: PLR2004 - a torn last line was never answered
            entries.append(((int(words[0]), int(words[1])), Hash(bytes.fromhex(words[2]))))
    return entries
