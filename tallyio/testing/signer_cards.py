"""The cards of a signer.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.testing.cards import Cards


class SignerCards(Cards):
    """The cards of a plugin that builds a `Signer`. All keys are made for the test and hold nothing."""

    kind: ClassVar[Kind] = "signer"

    def settings(self, folder: Path) -> Mapping[str, object]:
        """Return settings for a signer whose key and memory are in `folder`, empty for each card."""
        raise NotImplementedError

    def put_key(self, folder: Path, key: bytes) -> None:
        """Put `key` (32 bytes) where `settings(folder)` point: the signer then signs with it.

        What is signed with a known key is compared byte by byte with recorded signatures.
        """
        raise NotImplementedError
