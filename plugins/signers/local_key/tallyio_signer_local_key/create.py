"""`python -m tallyio_signer_local_key.create KEYSTORE PASSWORD_FILE SCRYPT_N`: make a key, print its account.

A process of its own, so that the key never passes through the engine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tallyio_signer_local_key.keystore import KeystoreError, create_key
from tallyio_signer_local_key.process import harden


def main() -> int:
    """Create and print."""
    harden()
    keystore, password_file, scrypt_n = sys.argv[1:]
    try:
        made = create_key(Path(keystore), Path(password_file), scrypt_n=int(scrypt_n))
    except (KeystoreError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(made.hex())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
