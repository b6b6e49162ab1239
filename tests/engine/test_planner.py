"""From an opportunity to a call of the executor."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tallyio.engine.executor import RUN_SELECTOR, encode_calls
from tallyio.engine.planner import plan
from tallyio.model.erc20 import approve
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.hashing import selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Hash, Wei

A, B, C = (Address(bytes([letter]) * 20) for letter in b"abc")
EXECUTOR, SENDER = (Address(bytes([digit]) * 20) for digit in (1, 2))


class Recorder:
    """A protocol that writes its facts instead of call data, so that the nesting can be read."""

    def swap(self, pool: PoolSpec, **facts: Any) -> tuple[Call, ...]:
        """See `ExchangeProtocol.swap`."""
        self.recipient = facts["recipient"]
        nested = facts["encode"](facts["inner"]) if facts["inner"] else b""
        text = f"swap {facts['amount_in']} {facts['amount_out']} ".encode()
        return (Call(to=pool.address, data=text + nested),)


class Approver(Recorder):
    """A protocol that pays by allowance."""

    def swap(self, pool: PoolSpec, **facts: Any) -> tuple[Call, ...]:
        """See `ExchangeProtocol.swap`."""
        approve = Call(to=pool.tokens[0], data=selector("approve(address,uint256)") + bytes(64))
        return (approve, *super().swap(pool, **facts))


def pool(index: int, *tokens: Address, can_flash: bool = True) -> PoolSpec:
    return PoolSpec(
        address=Address(bytes([0x70 + index]) * 20),
        tokens=tokens,
        venue="v",
        fee_pips=3_000,
        can_flash=can_flash,
    )


POOLS = [pool(0, A, B), pool(1, B, C), pool(2, C, A)]
LEGS = (
    Leg(pool=0, token_in=0, token_out=1, amount_in=100, amount_out=200),
    Leg(pool=1, token_in=0, token_out=1, amount_in=200, amount_out=300),
    Leg(pool=2, token_in=0, token_out=1, amount_in=300, amount_out=110),
)
OPPORTUNITY = Opportunity(
    id=5,
    strategy="loop",
    block_hash=Hash(bytes(32)),
    block_number=7,
    token=A,
    legs=LEGS,
    amount_in=100,
    amount_out=110,
    gas=1,
    net_wei=1.0,
)


def make(opportunity: Opportunity = OPPORTUNITY, **changes: Any) -> Any:
    facts: dict[str, Any] = {
        "pools": POOLS,
        "adapters": [Recorder()] * 3,
        "executor": EXECUTOR,
        "sender": SENDER,
        "deadline_block": 9,
    }
    return plan(opportunity, **(facts | changes))


def changed(**fields: Any) -> Opportunity:
    return msgspec.structs.replace(OPPORTUNITY, **fields)


def test_the_later_legs_travel_inside_the_first() -> None:
    made = make()
    inner = encode_calls(
        (
            Call(to=POOLS[1].address, data=b"swap 200 300 "),
            Call(to=POOLS[2].address, data=b"swap 300 110 "),
        )
    )
    assert made.call.data.startswith(RUN_SELECTOR)
    assert b"swap 100 200 " + inner in made.call.data
    assert made.call.data.count(b"swap ") == 3


def test_a_plan_says_what_it_promises() -> None:
    made = make(tip_wei=Wei(4))
    assert (made.token, made.min_profit, made.deadline_block, made.sender) == (A, 10, 9, SENDER)
    assert (made.call.to, made.call.value_wei) == (EXECUTOR, 4)
    words = [made.call.data[4 + 32 * i : 36 + 32 * i] for i in range(6)]
    assert words[1] == A.rjust(32, b"\0")
    assert [int.from_bytes(word) for word in words[2:5]] == [10, 4, 9]


def test_the_middle_tokens_are_swept() -> None:
    assert make().call.data[-96:] == b"".join(((2).to_bytes(32), B.rjust(32, b"\0"), C.rjust(32, b"\0")))


def test_native_currency_in_the_middle_needs_no_sweep() -> None:
    native = [pool(0, A, ZERO_ADDRESS), pool(1, ZERO_ADDRESS, C), POOLS[2]]
    assert make(pools=native).call.data[-64:] == (1).to_bytes(32) + C.rjust(32, b"\0")


def test_a_cycle_that_gains_native_currency_is_refused() -> None:
    native = [pool(0, ZERO_ADDRESS, B), POOLS[1], pool(2, C, ZERO_ADDRESS)]
    with pytest.raises(UnsafeRefused, match="gains native currency"):
        make(changed(token=ZERO_ADDRESS), pools=native)


def test_every_leg_pays_the_executor() -> None:
    recorder = Recorder()
    make(adapters=[recorder] * 3)
    assert recorder.recipient == EXECUTOR


def test_the_same_opportunity_gives_the_same_bytes() -> None:
    assert make() == make()


@pytest.mark.parametrize(
    ("opportunity", "fault"),
    [
        (changed(legs=()), "gains 10 over 0 legs"),
        (changed(amount_out=100), "gains 0"),
        (changed(amount_in=99), "amounts that do not join"),
        (changed(amount_out=111), "amounts that do not join"),
        (changed(token=B), "tokens that do not join"),
        (changed(legs=LEGS[:2], amount_out=300), "tokens that do not join"),
        (
            changed(
                legs=(LEGS[0], Leg(pool=0, token_in=1, token_out=0, amount_in=200, amount_out=110)),
            ),
            "a pool twice",
        ),
    ],
)
def test_what_is_no_paying_cycle_is_refused(opportunity: Opportunity, fault: str) -> None:
    with pytest.raises(UnsafeRefused, match=fault) as caught:
        make(opportunity)
    assert "opportunity 5 of strategy 'loop'" in str(caught.value)


def test_a_first_pool_that_cannot_flash_is_named() -> None:
    pools = [pool(0, A, B, can_flash=False), *POOLS[1:]]
    with pytest.raises(UnsafeRefused, match="starts at pool 0x7070707070707070707070707070707070707070"):
        make(pools=pools)


def test_later_pools_need_not_flash() -> None:
    pools = [POOLS[0], pool(1, B, C, can_flash=False), pool(2, C, A, can_flash=False)]
    assert make(pools=pools) == make()


@pytest.mark.parametrize("position", range(3))
def test_an_allowance_is_refused_at_any_depth(position: int) -> None:
    adapters: list[Recorder] = [Recorder()] * 3
    adapters[position] = Approver()
    with pytest.raises(UnsafeRefused, match="would give an allowance on 0x"):
        make(adapters=adapters)


class Puller(Recorder):
    """A protocol whose pool takes its payment: `allowances` around its call, in smallest units."""

    def __init__(self, before: int, after: int | None = 0, *, stray: bool = False) -> None:
        super().__init__()
        self.before, self.after, self.stray = before, after, stray

    def swap(self, pool: PoolSpec, **facts: Any) -> tuple[Call, ...]:
        """Approve, call, take back."""
        token = pool.tokens[facts["token_in"]]
        spender = B if self.stray else pool.address
        given = approve(token, spender, self.before)
        taken = () if self.after is None else (approve(token, spender, self.after),)
        return (given, Call(to=pool.address, data=b"swap"), *taken)


def test_an_allowance_for_what_the_leg_sells_that_is_used_and_taken_back_is_planned() -> None:
    sold = OPPORTUNITY.legs[1].amount_in
    made = make(adapters=[Recorder(), Puller(sold), Recorder()])
    assert approve(B, POOLS[1].address, sold).data in made.call.data
    assert approve(B, POOLS[1].address, 0).data in made.call.data


@pytest.mark.parametrize(
    "puller",
    [
        Puller(2**256 - 1),
        Puller(OPPORTUNITY.legs[1].amount_in, after=1),
        Puller(OPPORTUNITY.legs[1].amount_in, after=None),
        Puller(OPPORTUNITY.legs[1].amount_in, stray=True),
    ],
    ids=["more than it sells", "not taken back", "left", "to somebody else"],
)
def test_any_other_allowance_is_refused(puller: Puller) -> None:
    with pytest.raises(UnsafeRefused, match="would give an allowance on 0x"):
        make(adapters=[Recorder(), puller, Recorder()])
