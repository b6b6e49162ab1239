"""A signer that breaks a promise fails the card that is about it, and the recorded signatures are true."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account import Account

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.hashing import keccak256
from tallyio.model.transaction import encode_signed, signing_hash, transaction_hash
from tallyio.model.units import Address
from tallyio.testing import SignerCards
from tallyio.testing.signing_vectors import ACCOUNT, KEY, VECTORS
from tests.testing.planted import failure


class Careless:
    """Signs anything, in this process, with the key in a file; and adds a wei of tip."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._path, self._tip = Path(settings["key"]), settings.get("tip", 0)
        self.account = Address(bytes(20))

    async def create(self) -> Address:
        """Replace what is there."""
        self._path.write_bytes(KEY)
        return ACCOUNT

    @asynccontextmanager
    async def open(self, limits: Limits) -> AsyncIterator[Careless]:
        """Read the key."""
        self._key = PrivateKey(self._path.read_bytes())
        self._raw = self._key.secret
        public = self._key.public_key.format(compressed=False)
        self.account = Address(keccak256(public[1:])[-20:])
        yield self

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign."""
        changed = transaction
        if self._tip:
            changed = UnsignedTransaction(
                **{name: getattr(transaction, name) for name in transaction.__struct_fields__}
                | {"max_priority_fee_wei": transaction.max_priority_fee_wei + self._tip}
            )
        made = self._key.sign_recoverable(signing_hash(changed), hasher=None)
        r, s = int.from_bytes(made[:32]), int.from_bytes(made[32:64])
        raw = encode_signed(changed, made[64], r, s)
        return SignedTransaction(unsigned=changed, sender=self.account, raw=raw, hash=transaction_hash(raw))


class CarelessCards(SignerCards):
    """The cards of it; the contract is that of a signer with every capability."""

    plugin = "local_key"
    tip = 0

    @property
    def host(self) -> Any:
        """Build the careless one."""
        return SimpleNamespace(signer=lambda _name, settings: Careless(settings))

    def settings(self, folder: Path) -> Mapping[str, object]:
        """Name the file."""
        return {"key": str(folder / "key"), "tip": self.tip}

    def put_key(self, folder: Path, key: bytes) -> None:
        """Write it, bare."""
        (folder / "key").write_bytes(key)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("test_k01_a_key_is_made_once", "K01 .* a second `create` made"),
        ("test_k05_what_the_policy_forbids_is_refused", "K05 .*another chain .* was signed"),
        (
            "test_k06_a_nonce_is_for_one_transaction",
            "K06 .*in the next run another transaction of nonce 0 was",
        ),
        ("test_k07_the_engine_never_holds_the_key", r"K07 .*: \d+ copies of the key are in this process"),
        ("test_k08_the_process_ends_with_its_block", "K08 .*no process was started"),
        ("test_k09_a_killed_signer_is_told", "K09 .*`sign` ended with signed"),
    ],
)
def test_a_careless_signer_fails(card: str, says: str) -> None:
    said = failure(CarelessCards, card)
    assert re.search(says, said), said
    assert ". Fix: " in said


def test_a_signer_that_changes_what_it_signs_fails() -> None:
    cards = type("Tipping", (CarelessCards,), {"tip": 1})
    assert "K03" in failure(cards, "test_k03_signed_bytes_equal_the_recorded_ones")
    assert "was asked" in failure(cards, "test_k04_what_is_signed_is_what_was_asked")


def test_the_recorded_signatures_are_those_of_an_independent_implementation() -> None:
    assert Account.from_key(KEY).address.lower() == "0x" + ACCOUNT.hex()
    for transaction, recorded in VECTORS:
        fields = {
            "type": 2,
            "chainId": transaction.chain_id,
            "nonce": transaction.nonce,
            "maxPriorityFeePerGas": transaction.max_priority_fee_wei,
            "maxFeePerGas": transaction.max_fee_wei,
            "gas": transaction.gas_limit,
            "to": "0x" + transaction.to.hex(),
            "value": transaction.value_wei,
            "data": transaction.data,
            "accessList": [],
        }
        assert bytes(Account.sign_transaction(fields, KEY).hash).hex() == recorded
