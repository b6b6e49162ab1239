"""Whatever strangers do, in whatever order: they take nothing out of the executor."""

from __future__ import annotations

from functools import cache

from eth_abi.abi import encode
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tallyio.engine.executor import RUN_SELECTOR, encode_calls, encode_run
from tallyio.engine.executor.artifact import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Wei, hex_text
from tests.engine.practice import CYCLES, FOREVER, OWNER, STRANGER, Practice

FUNCTIONS = [item for item in artifact().abi if item["type"] == "function"]
SIGNATURES = {item["name"]: tuple(argument["type"] for argument in item["inputs"]) for item in FUNCTIONS}
ARGUMENTS = {item["name"]: tuple(argument["name"] for argument in item["inputs"]) for item in FUNCTIONS}
SYMBOLS = ("WETH", "USDC", "DAI")
HELD = 1_000


@cache
def market() -> Practice:
    """Return the one market of all examples; each example undoes what it did."""
    made = Practice()
    made.unbalance()
    return made


def thieves() -> list[Address]:
    """Return who may try: anybody, pools that were taken over, even the executor itself."""
    return [STRANGER, OPERATOR, market().executor, *(pool.address for pool in market().pools)]


@st.composite
def thefts(draw: st.DrawFn) -> bytes:
    """Return a packed list that would move the executor's money to the stranger."""
    calls = [
        Call(
            to=market().token(draw(st.sampled_from(SYMBOLS))),
            data=selector(f"{name}(address,uint256)")
            + encode(("address", "uint256"), (STRANGER, draw(st.integers(1, HELD)))),
        )
        for name in draw(st.lists(st.sampled_from(("transfer", "approve")), max_size=3))
    ]
    return encode_calls(tuple(calls))


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Return call data: a function of the executor with hostile arguments, or any bytes."""
    name = draw(st.sampled_from((*SIGNATURES, *["run"] * 6, "")))
    if not name:
        return draw(st.one_of(st.just(b""), st.binary(max_size=200)))
    kinds = {
        "bytes": thefts(),
        "address": st.sampled_from((STRANGER, *map(market().token, SYMBOLS))),
        "uint256": st.sampled_from((0, 0, 1, 2**64)),
        "int256": st.sampled_from((0, 1, -1)),
        "address[]": st.lists(st.sampled_from([market().token(symbol) for symbol in SYMBOLS]), max_size=3),
        "uint256[]": st.lists(st.sampled_from((0, 1, 2**64)), max_size=3),
    }
    kinds["deadline_block"] = st.sampled_from((FOREVER, FOREVER, 0))
    types = SIGNATURES[name]
    values = [
        draw(kinds.get(argument, kinds[kind])) for argument, kind in zip(ARGUMENTS[name], types, strict=True)
    ]
    data = selector(f"{name}({','.join(types)})") + encode(types, values)
    cut = draw(st.sampled_from((0, 0, 0, 1, 32, 100)))
    return data[: len(data) - cut]


class Strangers(RuleBasedStateMachine):
    """The executor holds some of everything, which it never does by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.checkpoint = market().backend.evm.snapshot()
        market().backend.fund(market().executor, HELD)
        for symbol in SYMBOLS:
            market().transact(market().transfer(symbol, market().executor, HELD))
        self.held = self.holdings(market().executor)

    def teardown(self) -> None:
        """Undo the example."""
        market().backend.evm.revert(self.checkpoint)

    @staticmethod
    def holdings(owner: Address) -> list[int]:
        """Return what `owner` has of each token, and of native currency."""
        tokens = [market().balance(symbol, owner) for symbol in SYMBOLS]
        return [*tokens, market().backend.evm.get_balance(hex_text(owner))]

    @rule(
        sender=st.deferred(lambda: st.sampled_from(thieves())),
        data=messages(),
        value=st.sampled_from((0, 0, 5)),
    )
    def somebody_calls(self, sender: Address, data: bytes, value: int) -> None:
        """Anybody but the owner sends anything; pools too, as if they were taken over."""
        if sender == market().executor:
            value = 0
        try:
            market().transact(Call(to=market().executor, data=data, value_wei=Wei(value)), sender)
        except Reverted:
            return
        # Nothing but reading who the owner is succeeds for a stranger, and that takes no value.
        assert data[:4] == selector("OWNER()")
        assert value == 0

    @rule(symbol=st.sampled_from(SYMBOLS))
    def somebody_pulls(self, symbol: str) -> None:
        """No allowance means that nobody can pull."""
        data = selector("transferFrom(address,address,uint256)") + encode(
            ("address", "address", "uint256"), (market().executor, STRANGER, 1)
        )
        try:
            market().transact(Call(to=market().token(symbol), data=data), STRANGER)
        except Reverted:
            return
        raise AssertionError("an allowance was left")

    @precondition(lambda self: self.held[0] > 0)
    @rule()
    def the_owner_trades(self) -> None:
        """A trade between the attacks pays exactly, and takes the tokens that lay here along."""
        opportunity = market().opportunity(CYCLES["V3 to V2"])
        if opportunity.profit <= 0:
            return
        before = market().balance("WETH", OWNER)
        market().transact(market().plan(opportunity).call, OWNER)
        assert market().balance("WETH", OWNER) == before + opportunity.profit + self.held[0]
        self.held = [0, 0, self.held[2], 0]

    @invariant()
    def the_executor_holds_what_it_held(self) -> None:
        """Not one unit has gone."""
        assert self.holdings(market().executor) == self.held


Strangers.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
TestStrangers = Strangers.TestCase


def test_the_fuzz_knows_every_function() -> None:
    assert {"run", "OWNER", "uniswapV2Call", "uniswapV3SwapCallback", "unlockCallback"} <= set(SIGNATURES)
    assert {"receiveFlashLoan", "executeOperation", "onMorphoLiquidate"} <= set(SIGNATURES)
    assert selector(f"run({','.join(SIGNATURES['run'])})") == RUN_SELECTOR
    assert encode_run(
        b"",
        token=market().token("WETH"),
        min_profit=0,
        tip_wei=Wei(0),
        deadline_block=FOREVER,
        sweep=(),
    ).startswith(RUN_SELECTOR)
