"""Signing and ABI words, beside eth-account and eth-abi."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from coincurve import PrivateKey
from tallyio_signer_local_key.frames import Setup
from tallyio_signer_local_key.nonces import Nonces
from tallyio_signer_local_key.process import Signer

from perf.market.row import Case, require_equal, row
from perf.peers.session import ETH_ABI, ETH_ACCOUNT, Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.transaction import encode_signed
from tallyio.model.units import Address, Wei, checksum, hex_text
from tallyio.model.words import address_word, unsigned, word

KEY: Final = b"\x42" * 32
EXECUTOR: Final = Address(b"\x11" * 20)
SELECTOR: Final = b"\x01\x02\x03\x04"
TRANSACTION: Final = UnsignedTransaction(
    chain_id=1,
    nonce=7,
    max_priority_fee_wei=Wei(10**9),
    max_fee_wei=Wei(10**10),
    gas_limit=400_000,
    to=EXECUTOR,
    value_wei=Wei(0),
    data=SELECTOR + bytes(1_000),
)
LIMITS: Final = Limits(
    chain_id=1,
    executor=EXECUTOR,
    selectors=(SELECTOR,),
    max_value_wei=Wei(0),
    max_fee_wei=Wei(10**11),
    max_gas=10**6,
)
SIGNATURES: Final = 50
CODED: Final = 500
RESERVES: Final = (1_234_567_890_123, 98_765_432_109_876_543_210, 1_800_000_000)


@row("sign.type_2")
def signing(peers: Peers) -> Case:
    """A type-2 transaction with 1,004 bytes of data: policy, nonce, encoding, signature, wire format."""
    folder = tempfile.TemporaryDirectory()
    signer = Signer(
        PrivateKey(KEY),
        Setup(keystore="", password_file="", limits=LIMITS),
        Nonces(Path(folder.name) / "nonces"),
    )
    signed = partial(_signed, signer)
    keeps = folder, signer
    ours = timed(_repeat, signed, SIGNATURES, operations=SIGNATURES)
    if (peer := peers.process(ETH_ACCOUNT)) is None:
        return Case(ours=ours, absent={ETH_ACCOUNT.name: peers.absent(ETH_ACCOUNT)}, keeps=keeps)
    require_equal(signed().hex(), peer.ask("sign", hex_text(KEY), _as_dictionary()), ETH_ACCOUNT.name)
    return Case(ours=ours, peers={ETH_ACCOUNT.name: lambda: float(peer.ask("sign_ns"))}, keeps=keeps)


@row("abi.encode")
def encoding(peers: Peers) -> Case:
    """The arguments of a transfer: an address and an amount."""
    ours = timed(_repeat, partial(_encode, EXECUTOR, RESERVES[1]), CODED, operations=CODED)
    return _beside_eth_abi(peers, ours, "encode_ns")


@row("abi.decode")
def decoding(peers: Peers) -> Case:
    """The three words that a pair's reserves come in."""
    ours = timed(_repeat, partial(_decode, _data()), CODED, operations=CODED)
    return _beside_eth_abi(peers, ours, "decode_ns")


def _beside_eth_abi(peers: Peers, ours: Timer, question: str) -> Case:
    if (peer := peers.process(ETH_ABI)) is None:
        return Case(ours=ours, absent={ETH_ABI.name: peers.absent(ETH_ABI)})
    values = [checksum(EXECUTOR), RESERVES[1]]
    answers = peer.ask(
        "code", ["address", "uint256"], values, ["uint112", "uint112", "uint32"], _data().hex()
    )
    require_equal([_encode(EXECUTOR, RESERVES[1]).hex(), list(_decode(_data()))], answers, ETH_ABI.name)
    return Case(ours=ours, peers={ETH_ABI.name: lambda: float(peer.ask(question))})


def _signed(signer: Signer) -> bytes:
    answer = signer.sign([TRANSACTION])
    if answer.refused:
        raise SystemExit(f"the signer does not sign: {answer.refused}")
    (raw,) = answer.signatures
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:64])
    return encode_signed(TRANSACTION, raw[64], r, s)


def _as_dictionary() -> dict[str, object]:
    return {
        "type": 2,
        "chainId": TRANSACTION.chain_id,
        "nonce": TRANSACTION.nonce,
        "maxPriorityFeePerGas": TRANSACTION.max_priority_fee_wei,
        "maxFeePerGas": TRANSACTION.max_fee_wei,
        "gas": TRANSACTION.gas_limit,
        "to": checksum(EXECUTOR),
        "value": 0,
        "data": hex_text(TRANSACTION.data),
    }


def _data() -> bytes:
    return b"".join(map(word, RESERVES))


def _encode(account: Address, amount: int) -> bytes:
    return address_word(account) + word(amount)


def _decode(data: bytes) -> tuple[int, int, int]:
    return unsigned(data, 0), unsigned(data, 1), unsigned(data, 2)


def _repeat(work: partial[object], count: int) -> None:
    for _ in range(count):
        work()
