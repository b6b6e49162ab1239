"""The conformance cards, on key files in a fresh folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from eth_keyfile.keyfile import create_keyfile_json

from tallyio.testing import SignerCards

PASSWORD = "of a test"  # noqa: S105 - the key that it protects is made for a test


class TestConformance(SignerCards):
    """A key in a version 3 keystore."""

    plugin = "local_key"

    def settings(self, folder: Path) -> Mapping[str, object]:
        """Name both files; little work for scrypt."""
        return {"keystore": str(folder / "key"), "password_file": str(folder / "password"), "scrypt_n": 4096}

    def put_key(self, folder: Path, key: bytes) -> None:
        """Write a keystore, for its owner only."""
        made = json.dumps(create_keyfile_json(key, PASSWORD.encode(), iterations=4096, kdf="scrypt"))
        for name, text in (("key", made), ("password", PASSWORD)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
