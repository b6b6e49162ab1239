"""`python -m tallyio_signer_local_key.create KEYSTORE PASSWORD_FILE SCRYPT_N`: make a key, print its account.

A process of its own, so that the key never passes through the engine. Its exit code says what went wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tallyio.model.errors import ConfigError, EnvironmentFault, UnsafeRefused
from tallyio_signer_local_key.keystore import KeystoreError, create_key
from tallyio_signer_local_key.process import harden


def main() -> int:
    """Create and print."""
    harden()
    keystore, password_file, scrypt_n = sys.argv[1:]
    try:
        made = create_key(Path(keystore), Path(password_file), scrypt_n=int(scrypt_n))
    except KeystoreError as error:
        return _fail(error, UnsafeRefused.exit_code)
    except ValueError as error:
        return _fail(error, ConfigError.exit_code)
    except OSError as error:
        return _fail(error, EnvironmentFault.exit_code)
    sys.stdout.write(made.hex())
    return 0


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
