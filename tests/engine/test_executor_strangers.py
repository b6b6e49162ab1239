"""The executor contract among strangers: who may run it, and whose callbacks it answers."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from tallyio.engine.executor import (
    MAX_CALLS,
    CallPacker,
    encode_calls,
    encode_run,
)
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Wei, hex_text
from tests.engine import hostile
from tests.engine.practice import FOREVER, OWNER, STRANGER, Practice
from tests.engine.runs import CALLBACKS, assert_nothing_left, callback, run


@pytest.fixture
def practice() -> Practice:
    """Return a market that has been pulled apart."""
    made = Practice()
    made.unbalance()
    return made


def test_only_the_owner_may_run(practice: Practice) -> None:
    for sender in (STRANGER, OPERATOR, practice.executor):
        with pytest.raises(Reverted):
            practice.transact(run(practice), sender)


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_strangers_callback_is_refused(practice: Practice, name: str) -> None:
    theft = encode_calls((practice.transfer("WETH", STRANGER, 1),))
    practice.transact(practice.transfer("WETH", practice.executor, 1))
    for payload in (theft, b""):
        with pytest.raises(Reverted, match=b"stranger".hex()):
            practice.transact(Call(to=practice.executor, data=callback(name, payload)), STRANGER)


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_promised_callback_is_answered_under_every_name(practice: Practice, name: str) -> None:
    packer = CallPacker()
    practice.transact(practice.transfer("WETH", practice.executor, 5))
    payload = packer.pack((practice.transfer("WETH", STRANGER, 5),))
    pool = puppet(practice, (practice.executor, callback(name, payload)))
    practice.transact(practice.transfer("WETH", practice.executor, 5))
    call = Call(to=pool, data=payload)
    with pytest.raises(Reverted):  # it loses what it pays, so the gain is negative
        practice.transact(run(practice, call, packer=packer), OWNER)
    practice.transact(run(practice, call, packer=packer, gained="DAI"), OWNER)
    assert practice.balance("WETH", STRANGER) == 5


def test_an_unlock_is_answered_with_bytes_and_a_strangers_money_is_not_taken(practice: Practice) -> None:
    """The manager of Uniswap V4 decodes the answer, even an empty one."""
    packer = CallPacker()
    payload = packer.pack((practice.transfer("WETH", OWNER, 0),))
    asker = practice.backend.deploy(hostile.asker())
    unlock = selector("unlock(bytes)") + encode(["bytes"], [payload])
    practice.transact(run(practice, Call(to=asker, data=unlock), packer=packer), OWNER)
    assert practice.backend.call(Call(to=asker, data=selector("answered()"))) == (1).to_bytes(32)
    for data in (b"", b"1234"):
        with pytest.raises(Reverted, match=b"stranger".hex()):
            practice.transact(Call(to=practice.executor, data=data, value_wei=Wei(5)))


def test_native_currency_that_comes_during_a_run_goes_to_the_owner(practice: Practice) -> None:
    evm = practice.backend.evm
    weth = practice.token("WETH")
    practice.transact(practice.transfer("WETH", practice.executor, 7))
    withdraw = selector("withdraw(uint256)") + (7).to_bytes(32)
    before = evm.get_balance(hex_text(OWNER))
    practice.transact(run(practice, Call(to=weth, data=withdraw), gained="DAI"), OWNER)
    assert evm.get_balance(hex_text(OWNER)) == before + 7
    assert_nothing_left(practice)


def test_a_call_of_no_function_reverts_even_during_a_run(practice: Practice) -> None:
    theft = Theft(practice)
    pool = puppet(practice, (practice.executor, b"1234"))
    assert_refused(practice, theft, Call(to=pool, data=theft.promised), b"function")


def puppet(practice: Practice, *script: tuple[Address, bytes]) -> Address:
    """Deploy a contract that makes the calls of `script` whenever it is called."""
    made = practice.backend.deploy(hostile.puppet())
    teach = selector("learn((address,bytes)[])") + encode(("(address,bytes)[]",), (script,))
    practice.transact(Call(to=made, data=teach))
    return made


class Theft:
    """A promised list that is harmless, and another that steals."""

    def __init__(self, practice: Practice, name: str = "uniswapV2Call") -> None:
        practice.transact(practice.transfer("WETH", practice.executor, 9))
        self.packer = CallPacker()
        self.promised = self.packer.pack((practice.transfer("WETH", OWNER, 0),))
        self.stealing = encode_calls((practice.transfer("WETH", STRANGER, 9),))
        self.answer = callback(name, self.promised)
        self.steal = callback(name, self.stealing)


def assert_refused(practice: Practice, theft: Theft, call: Call, reason: bytes) -> None:
    with pytest.raises(Reverted, match=reason.hex()):
        practice.transact(run(practice, call, packer=theft.packer, gained="DAI"), OWNER)
    assert practice.balance("WETH", STRANGER) == 0


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_pool_that_calls_back_with_other_data_is_refused(practice: Practice, name: str) -> None:
    theft = Theft(practice, name)
    pool = puppet(practice, (practice.executor, theft.steal))
    assert_refused(practice, theft, Call(to=pool, data=theft.promised), b"payload")


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_pool_that_calls_back_twice_is_refused(practice: Practice, name: str) -> None:
    theft = Theft(practice, name)
    pool = puppet(practice, (practice.executor, theft.answer), (practice.executor, theft.answer))
    assert_refused(practice, theft, Call(to=pool, data=theft.promised), b"stranger")


def test_a_pool_that_does_not_call_back_is_refused(practice: Practice) -> None:
    theft = Theft(practice)
    assert_refused(practice, theft, Call(to=puppet(practice), data=theft.promised), b"promise")


def test_a_contract_without_a_promise_cannot_call_back(practice: Practice) -> None:
    """For example a token whose transfer calls back."""
    theft = Theft(practice)
    token = puppet(practice, (practice.executor, theft.steal))
    assert_refused(practice, theft, Call(to=token, data=b"transfer"), b"stranger")


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_friend_of_the_pool_cannot_call_back_for_it(practice: Practice, name: str) -> None:
    theft = Theft(practice, name)
    friend = puppet(practice, (practice.executor, theft.answer))
    pool = puppet(practice, (friend, b""), (practice.executor, theft.answer))
    assert_refused(practice, theft, Call(to=pool, data=theft.promised), b"stranger")


def test_a_list_is_told_by_its_content_alone_not_by_what_a_lender_says_besides(practice: Practice) -> None:
    """Amounts and fees of a callback are not read, so lies in them change nothing."""
    packer = CallPacker()
    practice.transact(practice.transfer("WETH", practice.executor, 5))
    payload = packer.pack((practice.transfer("WETH", OWNER, 5),))
    lies = selector("executeOperation(address,uint256,uint256,address,bytes)") + encode(
        ["address", "uint256", "uint256", "address", "bytes"],
        (STRANGER, 2**256 - 1, 2**256 - 1, STRANGER, payload),
    )
    lender = puppet(practice, (practice.executor, lies))
    practice.transact(run(practice, Call(to=lender, data=payload), packer=packer, gained="DAI"), OWNER)
    assert practice.balance("WETH", OWNER) == 5


def test_a_loan_within_a_loan_is_answered_once_each(practice: Practice) -> None:
    """The inner lender's callback does not use up the outer one's, and neither can answer for the other."""
    packer = CallPacker()
    inside = packer.pack((practice.transfer("WETH", OWNER, 0),))
    inner = puppet(practice, (practice.executor, callback("onMorphoFlashLoan", inside)))
    outside = packer.pack((Call(to=inner, data=inside),))
    outer = puppet(practice, (practice.executor, callback("executeOperation", outside)))
    practice.transact(run(practice, Call(to=outer, data=outside), packer=packer), OWNER)
    again = puppet(practice, (practice.executor, callback("onMorphoFlashLoan", inside)), (inner, b""))
    outside = packer.pack((Call(to=again, data=inside),))
    outer = puppet(practice, (practice.executor, callback("executeOperation", outside)))
    with pytest.raises(Reverted, match=b"stranger".hex()):
        practice.transact(run(practice, Call(to=outer, data=outside), packer=packer), OWNER)


def test_a_pool_cannot_start_a_run_of_its_own(practice: Practice) -> None:
    theft = Theft(practice)
    pool = puppet(practice, (practice.executor, run(practice).data))
    assert_refused(practice, theft, Call(to=pool, data=theft.promised), b"owner")


def test_a_garbled_list_reverts(practice: Practice) -> None:
    call = run(practice, practice.transfer("WETH", OWNER, 0))
    packed = encode_calls((practice.transfer("WETH", OWNER, 0),))
    too_many = packed * (MAX_CALLS + 1)
    for garbled in (packed[:-1], packed + b"\0", packed[:63] + b"\xff" + packed[64:], too_many):
        data = encode_run(
            garbled,
            token=practice.token("WETH"),
            min_profit=0,
            tip_wei=Wei(0),
            deadline_block=FOREVER,
            sweep=(),
        )
        with pytest.raises(Reverted):
            practice.transact(Call(to=practice.executor, data=data), OWNER)
    practice.transact(call, OWNER)
