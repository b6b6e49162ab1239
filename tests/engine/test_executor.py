"""The executor contract, on a real EVM among real pools."""

from __future__ import annotations

import re
import sys

import msgspec
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from tallyio.engine.executor import (
    MAX_BYTES,
    MAX_CALLS,
    MAX_SWEEP,
    OWNER_SELECTOR,
    RUN_SELECTOR,
    CallPacker,
    deployment,
    encode_calls,
    encode_run,
)
from tallyio.engine.executor.artifact import SOURCE, artifact
from tallyio.engine.executor.build import build
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.errors import MissingExtraError, UnsafeRefused
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256, selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, hex_text
from tests.engine import hostile
from tests.engine.practice import CYCLES, FOREVER, OWNER, Cycle, Practice
from tests.engine.runs import assert_nothing_left, run


@pytest.fixture
def practice() -> Practice:
    """Return a market that has been pulled apart."""
    made = Practice()
    made.unbalance()
    return made


# --- the artifact ----------------------------------------------------------------------------


def test_the_committed_artifact_is_what_the_compiler_makes_of_the_source() -> None:
    assert build() == artifact()


def test_without_the_compiler_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vyper", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tallyio\[contracts\]'"):
        build()


def test_the_encoder_knows_the_limits_and_the_selector_of_the_contract() -> None:
    source = SOURCE.read_text()
    limits = {
        name: int(value.replace("_", ""))
        for name, value in re.findall(r"(MAX_\w+): constant\(uint256\) = ([\d_]+)", source)
    }
    assert limits == {"MAX_CALLS": MAX_CALLS, "MAX_BYTES": MAX_BYTES, "MAX_SWEEP": MAX_SWEEP}
    (made,) = [item for item in artifact().abi if item.get("name") == "run"]
    assert selector(f"run({','.join(item['type'] for item in made['inputs'])})") == RUN_SELECTOR


def test_a_deployment_names_its_owner(practice: Practice) -> None:
    owner = practice.backend.call(Call(to=practice.executor, data=OWNER_SELECTOR))
    assert owner == OWNER.rjust(32, b"\0")
    with pytest.raises(Reverted):
        practice.backend.deploy(deployment(ZERO_ADDRESS))
    with pytest.raises(ValueError, match="owner is 3 bytes"):
        deployment(Address(b"abc"))


# --- encoding --------------------------------------------------------------------------------

addresses = st.binary(min_size=20, max_size=20).map(Address)
words = st.integers(0, 2**256 - 1)


@given(st.binary(max_size=100), addresses, words, words, words, st.lists(addresses, max_size=MAX_SWEEP))
def test_run_is_encoded_as_eth_abi_does(
    calls: bytes, token: Address, min_profit: int, tip: int, deadline: int, sweep: list[Address]
) -> None:
    ours = encode_run(
        calls,
        token=token,
        min_profit=min_profit,
        tip_wei=Wei(tip),
        deadline_block=deadline,
        sweep=tuple(sweep),
    )
    types = ("bytes", "address", "uint256", "uint256", "uint256", "address[]")
    assert ours == RUN_SELECTOR + encode(types, (calls, token, min_profit, tip, deadline, sweep))


def test_the_packer_promises_the_outermost_list_that_a_call_carries() -> None:
    packer, pool = CallPacker(), Address(b"\1" * 20)
    inner = packer.pack((Call(to=pool, data=b"pay"),))
    outer = packer.pack((Call(to=pool, data=b"swap" + inner),))
    calls = packer.pack((Call(to=pool, data=b"flash" + outer), Call(to=pool, data=b"other")))
    assert outer[32:60] == keccak256(inner)[:28]
    assert calls[32:60] == keccak256(outer)[:28]
    assert calls[60:64] == len(b"flash" + outer).to_bytes(4, "big")
    assert calls[-64 - 5 :] == pool + bytes(12) + bytes(28) + (5).to_bytes(4, "big") + b"other"


def test_what_the_executor_could_not_read_is_refused_before_it_is_sent() -> None:
    call = Call(to=Address(bytes(20)), data=b"")
    with pytest.raises(UnsafeRefused, match=f"{MAX_CALLS + 1} calls"):
        encode_calls((call,) * (MAX_CALLS + 1))
    with pytest.raises(UnsafeRefused, match="bytes is more than the executor's"):
        encode_calls((Call(to=Address(bytes(20)), data=bytes(MAX_BYTES)),))
    with pytest.raises(ValueError, match=r"call\.to is 0 bytes"):
        encode_calls((Call(to=Address(b""), data=b""),))
    with pytest.raises(ValueError, match=r"call\.value_wei"):
        encode_calls((Call(to=Address(bytes(20)), data=b"", value_wei=Wei(2**96)),))
    facts = {"token": ZERO_ADDRESS, "tip_wei": Wei(0), "deadline_block": 1}
    with pytest.raises(ValueError, match="min_profit is -1"):
        encode_run(b"", min_profit=-1, sweep=(), **facts)  # type: ignore[arg-type]
    with pytest.raises(UnsafeRefused, match="tokens to sweep"):
        encode_run(b"", min_profit=0, sweep=(ZERO_ADDRESS,) * (MAX_SWEEP + 1), **facts)  # type: ignore[arg-type]


# --- trading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES)
def test_a_cycle_earns_what_was_predicted_to_the_wei(practice: Practice, cycle: Cycle) -> None:
    opportunity = practice.opportunity(cycle)
    assert opportunity.profit > 0
    assert practice.land(practice.plan(opportunity)) == opportunity.profit
    assert_nothing_left(practice)


def test_four_legs_of_the_longest_kind_fit(practice: Practice) -> None:
    """V3 pools carry their payment as a callback, so their calls are the longest."""
    pool = practice.find("v3:USDC/WETH:500")
    specs = [
        msgspec.structs.replace(practice.specs[pool], address=Address(bytes([i]) * 20)) for i in range(4)
    ]
    adapter = practice.adapters[pool]
    packer = CallPacker()

    def swap(spec: PoolSpec, inner: tuple[Call, ...] = ()) -> tuple[Call, ...]:
        return adapter.swap(
            spec,
            token_in=0,
            token_out=1,
            amount_in=2**200,
            amount_out=2**200,
            recipient=practice.executor,
            inner=inner,
            encode=packer.pack,
        )

    inner = tuple(call for spec in specs[1:] for call in swap(spec))
    assert len(packer.pack(swap(specs[0], inner))) < 2_000 < MAX_BYTES


def test_a_profit_event_says_token_and_amount(practice: Practice) -> None:
    opportunity = practice.opportunity(CYCLES["V3 to V2"])
    output = practice.transact(practice.plan(opportunity).call, OWNER)
    (event,) = [log for log in practice.backend.logs if log.address.lower() == hex_text(practice.executor)]
    topics, data = event.data
    assert bytes(topics[1])[-20:] == practice.token("WETH")
    assert int.from_bytes(data) == int.from_bytes(output) == opportunity.profit


def test_one_unit_less_than_promised_reverts(practice: Practice) -> None:
    opportunity = practice.opportunity(CYCLES["V2 to V3"])
    made = practice.plan(opportunity)
    greedy = made.call.data.replace(
        opportunity.profit.to_bytes(32, "big"), (opportunity.profit + 1).to_bytes(32, "big")
    )
    assert greedy != made.call.data
    with pytest.raises(Reverted, match=b"profit".hex()):
        practice.transact(Call(to=practice.executor, data=greedy), OWNER)
    assert practice.land(made) == opportunity.profit


def test_money_that_somebody_left_here_is_not_counted_as_profit(practice: Practice) -> None:
    practice.transact(practice.transfer("WETH", practice.executor, 1_000))
    with pytest.raises(Reverted, match=b"profit".hex()):
        practice.transact(run(practice, min_profit=1), OWNER)
    practice.transact(run(practice), OWNER)
    assert practice.balance("WETH", OWNER) == 1_000


def test_the_deadline_is_the_last_block_that_takes_it(practice: Practice) -> None:
    coming = practice.backend.number + 1
    practice.transact(run(practice, deadline=coming), OWNER)
    with pytest.raises(Reverted, match=b"deadline".hex()):
        practice.transact(run(practice, deadline=coming), OWNER)


def test_leftovers_of_every_token_go_to_the_owner(practice: Practice) -> None:
    for symbol in ("USDC", "DAI", "WETH"):
        practice.transact(practice.transfer(symbol, practice.executor, 7))
    sweep = (practice.token("USDC"), practice.token("DAI"), practice.token("LINK"))
    practice.transact(run(practice, sweep=sweep), OWNER)
    assert [practice.balance(symbol, OWNER) for symbol in ("USDC", "DAI", "WETH", "LINK")] == [7, 7, 7, 0]
    assert_nothing_left(practice)


def test_the_tip_goes_to_the_builder_and_the_rest_of_the_value_back(practice: Practice) -> None:
    evm = practice.backend.evm
    practice.backend.fund(OWNER, 10**18)
    builder = evm.get_balance(hex_text(ZERO_ADDRESS))
    practice.transact(run(practice, tip=300, value=1_000), OWNER)
    assert evm.get_balance(hex_text(ZERO_ADDRESS)) == builder + 300
    assert evm.get_balance(hex_text(OWNER)) == 10**18 - 300
    assert_nothing_left(practice)


def test_a_tip_above_the_value_reverts(practice: Practice) -> None:
    practice.backend.fund(OWNER, 10**18)
    with pytest.raises(Reverted):
        practice.transact(run(practice, tip=1_001, value=1_000), OWNER)


def test_no_pool_is_left_with_an_allowance(practice: Practice) -> None:
    for cycle in CYCLES.values():
        opportunity = practice.opportunity(cycle)
        if opportunity.profit > 0:
            practice.land(practice.plan(opportunity))
    for symbol in practice.world.tokens:
        for pool in practice.pools:
            args = (practice.executor, pool.address)
            assert practice.read(practice.token(symbol), "Token", "allowance", *args) == 0


def test_a_reason_from_deep_inside_reaches_the_surface(practice: Practice) -> None:
    pair = practice.specs[0].address
    swap = selector("swap(uint256,uint256,address,bytes)") + encode(
        ("uint256", "uint256", "address", "bytes"), (1, 0, OPERATOR, b"")
    )
    with pytest.raises(Reverted, match=b"UniswapV2: INSUFFICIENT_INPUT_AMOUNT".hex()):
        practice.transact(run(practice, Call(to=pair, data=swap)), OWNER)


# --- odd tokens ------------------------------------------------------------------------------


def earn(practice: Practice, token: Address) -> Call:
    """Return a run that mints 100 of `token` to the executor and calls that its gain."""
    mint = selector("mint(address,uint256)") + encode(("address", "uint256"), (practice.executor, 100))
    data = encode_run(
        encode_calls((Call(to=token, data=mint),)),
        token=token,
        min_profit=100,
        tip_wei=Wei(0),
        deadline_block=FOREVER,
        sweep=(token,),
    )
    return Call(to=practice.executor, data=data)


def test_a_token_that_returns_nothing_is_paid_out(practice: Practice) -> None:
    token = practice.backend.deploy(hostile.mute_token())
    practice.transact(earn(practice, token), OWNER)
    assert practice.read(token, "Token", "balanceOf", OWNER) == 100


def test_a_token_that_says_false_reverts_everything(practice: Practice) -> None:
    token = practice.backend.deploy(hostile.refusing_token())
    with pytest.raises(Reverted, match=b"transfer".hex()):
        practice.transact(earn(practice, token), OWNER)
