"""The signer's memory: which content each nonce was signed for.

A text file beside the keystore, a line per nonce, written whole before the signature leaves the process.
It is in the page cache then, which a killed process does not lose; after power loss the chain itself
refuses a second transaction for a mined nonce. The file is locked: one signer per key.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Final

from tallyio.model.units import Hash

_LINE: Final = re.compile(rb"([0-9]{1,78}) ([0-9]{1,78}) ([0-9a-f]{64})")

type Known = dict[tuple[int, int], Hash]


class SecondSignerError(Exception):
    """Another process holds this key."""


class UnreadableError(Exception):
    """The file has a whole line that cannot be read: some nonce was signed, and nobody knows which."""


class Nonces:
    """Remembers (chain id, nonce) -> signing hash across restarts.

    Raises: SecondSignerError. UnreadableError. OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # What follows the last whole line was never answered, or went with the power.
            lines, newline, _ = path.read_bytes().rpartition(b"\n")
            self._known = _read(lines, path)
            self._end = len(lines + newline)
            os.ftruncate(self._file, self._end)
        except BlockingIOError:
            os.close(self._file)
            raise SecondSignerError(str(path)) from None
        except BaseException:
            os.close(self._file)
            raise

    def claim(self, chain_id: int, nonce: int, content: Hash) -> bool:
        """Return whether `nonce` may be signed for `content`: it is new, or it was this content before.

        Raises: OSError: it could not be written down, so it must not be signed.
        """
        known = self._known.get((chain_id, nonce))
        if known is None:
            self._append(f"{chain_id} {nonce} {content.hex()}\n".encode())
            self._known[chain_id, nonce] = content
        return known is None or known == content

    def _append(self, line: bytes) -> None:
        # Always from the end of the last whole line: the next one overwrites what a full disk tore.
        written = 0
        while written < len(line):
            written += os.pwrite(self._file, line[written:], self._end + written)
        self._end += written


def _read(lines: bytes, path: Path) -> Known:
    known: Known = {}
    for number, line in enumerate(lines.split(b"\n"), 1):
        found = _LINE.fullmatch(line)
        if found is not None:
            known[int(found[1]), int(found[2])] = Hash(bytes.fromhex(found[3].decode()))
        elif line:
            raise UnreadableError(
                f"line {number} of {path} is damaged, so which nonce was signed there is not known; once all"
                " that this key signed is in blocks, move the file away and start again"
            )
    return known
