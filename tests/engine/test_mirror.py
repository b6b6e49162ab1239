"""What the in-process EVM wants of those who feed it."""

from __future__ import annotations

import sys

import msgspec
import pytest

from tallyio.engine.mirror import Mirror, Outcome
from tallyio.engine.revert import explain
from tallyio.lab.world import CHAIN_ID
from tallyio.model.chain import AccountState
from tallyio.model.errors import MissingExtraError
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import ZERO_ADDRESS, Address, Wei
from tallyio.testing import head_at

A, B, ME = (Address(bytes([letter]) * 20) for letter in b"abm")
GAS = 1_000_000

LOAD = bytes.fromhex("5f35545f5260205ff3")
"""Return the slot that the first word names."""
STORE = bytes.fromhex("6020355f3555")
"""Store the second word in the slot that the first names."""
STORE_OR_LOAD = bytes.fromhex("36602014600e57") + STORE + bytes.fromhex("005b") + LOAD
"""With one word of data as LOAD (from byte 14 on), with two as STORE."""
FEELING = {
    "number": ("43", 11),
    "timestamp": ("42", 1_750_000_000 + 12 * 11),
    "coinbase": ("41", 0),
    "gas limit": ("45", 30_000_000),
    "prevrandao": ("44", int.from_bytes(head_at(10).hash)),
    "chain id": ("46", CHAIN_ID),
    "base fee": ("48", 0),
    "gas price": ("3a", 0),
    "origin": ("32", int.from_bytes(ME)),
}


def word(*values: int) -> bytes:
    return b"".join(value.to_bytes(32) for value in values)


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror(chain_id=CHAIN_ID, block_seconds=12)
    made.start(head_at(10))
    return made


def run(mirror: Mirror, data: bytes = b"", to: Address = A, value: int = 0) -> Outcome:
    return mirror.run(Call(to=to, data=data, value_wei=Wei(value)), sender=ME, gas=GAS)[0]


def loaded(mirror: Mirror, slot: int, account: Address = A) -> int:
    outcome = run(mirror, word(slot), account)
    assert outcome.success
    return int.from_bytes(outcome.output)


def told(code: bytes, storage: dict[int, int] | None = None) -> AccountState:
    return AccountState(balance_wei=Wei(0), nonce=1, code=code, storage=storage or {})


def test_a_slot_may_be_told_again_after_it_was_read(mirror: Mirror) -> None:
    mirror.fill({A: told(LOAD, {1: 7})})
    assert (loaded(mirror, 1), loaded(mirror, 2)) == (7, 0)
    mirror.fill({A: AccountState(storage={1: 8, 2: 9})})
    assert (loaded(mirror, 1), loaded(mirror, 2)) == (8, 9)
    mirror.advance(head_at(11), {A: AccountState(storage={1: 0})})
    assert (loaded(mirror, 1), loaded(mirror, 2)) == (0, 9)


def test_an_account_may_be_told_of_after_it_was_called(mirror: Mirror) -> None:
    assert run(mirror, word(3)).output == b""
    mirror.fill({A: told(LOAD, {3: 33})})
    assert loaded(mirror, 3) == 33


def test_what_is_told_later_adds_to_what_was_told_before(mirror: Mirror) -> None:
    mirror.fill({A: told(LOAD, {1: 7})})
    mirror.fill({A: AccountState(balance_wei=Wei(5), storage={2: 8})})
    assert (loaded(mirror, 1), loaded(mirror, 2)) == (7, 8)


def test_a_run_leaves_no_trace(mirror: Mirror) -> None:
    mirror.fill({A: told(STORE), B: told(LOAD), ME: AccountState(balance_wei=Wei(10))})
    first = run(mirror, word(1, 2), value=4)
    second = run(mirror, word(1, 2), value=4)
    assert first == second
    assert first.success
    assert first.gas_used > 40_000  # the slot and the account were cold both times
    mirror.fill({A: told(LOAD)})
    assert loaded(mirror, 1) == 0
    assert mirror._evm.journal_depth == 0
    assert mirror._evm.checkpoint_ids == set()
    assert {address.lower() for address in mirror._evm.journal_state} == {"0x" + "00" * 20}


def test_the_second_call_sees_what_the_first_did(mirror: Mirror) -> None:
    mirror.fill({A: told(STORE_OR_LOAD)})
    store, load = (Call(to=A, data=data) for data in (word(1, 2), word(1)))
    first, second = mirror.run(store, sender=ME, gas=GAS, then=load)
    assert first.success
    assert int.from_bytes(second.output) == 2
    assert loaded(mirror, 1) == 0


@pytest.mark.parametrize("name", FEELING)
def test_a_contract_feels_the_block_after_the_head(mirror: Mirror, name: str) -> None:
    opcode, value = FEELING[name]
    mirror.fill({A: told(bytes.fromhex(opcode + "5f5260205ff3"))})
    assert int.from_bytes(run(mirror).output) == value


def test_a_disguised_run_feels_another_block(mirror: Mirror) -> None:
    """Coinbase, randomness and gas price differ; the next plain run feels none of it."""
    mirror.fill({ME: AccountState(balance_wei=Wei(GAS))})
    for name in ("coinbase", "prevrandao", "gas price", "base fee"):
        opcode, value = FEELING[name]
        mirror.fill({A: told(bytes.fromhex(opcode + "5f5260205ff3"))})
        outcome, _ = mirror.run(Call(to=A, data=b""), sender=ME, gas=GAS, disguised=True)
        assert (int.from_bytes(outcome.output) == value) == (name == "base fee")
        assert int.from_bytes(run(mirror).output) == value


def test_a_disguise_is_no_reason_to_fail(mirror: Mirror) -> None:
    """Who cannot pay for gas, as in paper mode, keeps a gas price of 0."""
    mirror.fill({A: told(bytes.fromhex("3a5f5260205ff3"))})
    outcome, _ = mirror.run(Call(to=A, data=b""), sender=ME, gas=GAS, disguised=True)
    assert (outcome.success, int.from_bytes(outcome.output)) == (True, 0)


def test_the_coinbase_may_be_told_of_too(mirror: Mirror) -> None:
    """It is loaded from the first run on, so its account lives beside the database."""
    mirror.fill({A: told(bytes.fromhex("5f315f5260205ff3"))})  # balance of the zero address
    assert int.from_bytes(run(mirror).output) == 0
    mirror.fill({ZERO_ADDRESS: AccountState(balance_wei=Wei(77))})
    assert int.from_bytes(run(mirror).output) == 77


def test_changes_of_unknown_accounts_are_dropped(mirror: Mirror) -> None:
    """Half of an account would pass for the whole."""
    mirror.fill({A: told(LOAD, {1: 7})})
    mirror.advance(head_at(11), {A: AccountState(storage={1: 8}), B: AccountState(storage={1: 9})})
    assert mirror.known.keys() == {A}
    assert mirror.block == head_at(11).hash
    assert loaded(mirror, 1) == 8


def test_nothing_is_known_after_a_new_start(mirror: Mirror) -> None:
    mirror.fill({A: told(LOAD, {1: 7})})
    mirror.start(head_at(20))
    assert (mirror.known, mirror.block) == ({}, head_at(20).hash)
    mirror.fill({A: told(LOAD)})
    assert loaded(mirror, 1) == 0
    mirror.forget()
    assert (mirror.known, mirror.block) == ({}, None)


def test_a_created_contract_leaves_no_trace(mirror: Mirror) -> None:
    create = bytes.fromhex("5f5f5ff05f5260205ff3")
    mirror.fill({A: told(create)})
    assert run(mirror).output == run(mirror).output != bytes(32)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("5f5ffd", ""),  # reverts without a word
        ("1e", ""),  # an opcode that this EVM does not know
        ("fe", "the EVM halted: InvalidFEOpcode"),
        ("5b5f56", "the EVM halted: OutOfGas(Basic)"),
        ("60015f5260205ffd", "a contract reverted with data 0x" + "00" * 31 + "01"),
    ],
)
def test_a_failure_is_said_in_words(mirror: Mirror, code: str, reason: str) -> None:
    mirror.fill({A: told(bytes.fromhex(code))})
    outcome = run(mirror)
    assert (outcome.success, outcome.reason, outcome.output) == (False, reason, b"")
    assert outcome.gas_used > 21_000


def test_a_small_block_bounds_the_gas() -> None:
    mirror = Mirror(chain_id=CHAIN_ID, block_seconds=12)
    mirror.start(msgspec.structs.replace(head_at(10), gas_limit=GAS // 10))
    mirror.fill({A: told(bytes.fromhex("fe"))})
    assert run(mirror).gas_used == GAS // 10


def test_who_cannot_pay_the_value_is_told_so(mirror: Mirror) -> None:
    mirror.fill({A: told(LOAD)})
    outcome = run(mirror, value=5)
    assert not outcome.success
    assert outcome.reason.startswith("not a valid transaction: ")
    assert "LackOfFund" in outcome.reason


def test_without_the_evm_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrevm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tallyio\[evm\]'"):
        Mirror(chain_id=1, block_seconds=12)


def error(text: str) -> bytes:
    body = text.encode()
    return selector("Error(string)") + word(32, len(body)) + body + bytes(-len(body) % 32)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ""),
        (error("UniswapV2: K"), "a contract reverted: 'UniswapV2: K'"),
        (error("executor: profit"), "the calls gained less than the plan demands"),
        (error("profit"), "a contract reverted: 'profit'"),
        (error("x" * 1_000), "a contract reverted: '" + "x" * 200 + "'"),
        (selector("Error(string)") + word(32, 2**255) + b"cut", "a contract reverted: 'cut'"),
        (selector("Error(string)") + b"\xff", "a contract reverted: ''"),
        (selector("Panic(uint256)") + word(0x11), "a contract panicked: an arithmetic overflow"),
        (selector("Panic(uint256)") + word(0x99), "a contract panicked: code 0x99"),
        (bytes.fromhex("deadbeef"), "a contract reverted with data 0xdeadbeef"),
    ],
)
def test_revert_data_is_explained(data: bytes, words: str) -> None:
    assert explain(data) == words
