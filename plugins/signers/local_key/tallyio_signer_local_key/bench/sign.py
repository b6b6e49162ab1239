"""What policy, encoding, hashing and nonce keeping add to the bare signature."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyperf
from coincurve import PrivateKey
from tallyio_signer_local_key.frames import Setup
from tallyio_signer_local_key.nonces import Nonces
from tallyio_signer_local_key.process import Signer

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import Address, Wei

EXECUTOR = Address(b"\x11" * 20)
LIMITS = Limits(
    chain_id=1,
    executor=EXECUTOR,
    selectors=(b"\x01\x02\x03\x04",),
    max_value_wei=Wei(0),
    max_fee_wei=Wei(10**11),
    max_gas=10**6,
)
TRANSACTION = UnsignedTransaction(
    chain_id=1,
    nonce=7,
    max_priority_fee_wei=Wei(10**9),
    max_fee_wei=Wei(10**10),
    gas_limit=400_000,
    to=EXECUTOR,
    value_wei=Wei(0),
    data=b"\x01\x02\x03\x04" + bytes(1_000),
)


def main() -> None:
    """Measure both in one run."""
    runner = pyperf.Runner()
    key = PrivateKey(b"\x42" * 32)
    with tempfile.TemporaryDirectory() as folder:
        nonces = Nonces(Path(folder) / "nonces")
        signer = Signer(key, Setup(keystore="", password_file="", limits=LIMITS), nonces)
        runner.bench_func("local_key.libsecp256k1", key.sign_recoverable, b"\x24" * 32, None)
        if signer.sign([TRANSACTION]).refused:
            raise SystemExit("the policy refuses what would be measured")
        runner.bench_func("local_key.sign", signer.sign, [TRANSACTION])


if __name__ == "__main__":
    main()
