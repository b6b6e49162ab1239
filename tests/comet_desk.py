"""A Comet on an EVM in this process, whose state and users are ours to choose, and rows of it in memory.

The contract is the plugin's test contract, of ours; see its README.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from tallyio_protocol_compound_v3.layout import STORE_FRONT, Comet, Reserve, pack_own, pack_reserve

from tallyio.hooks.lending import BookRows
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.feeds import feed_artifacts
from tallyio.lab.revm import RevmBackend
from tallyio.lab.solidity import compile_solidity
from tallyio.lab.steps import BLOCK_SECONDS, GENESIS_TIMESTAMP, Reverted, Transaction
from tallyio.lab.world import OPERATOR
from tallyio.lending.abi import own_at
from tallyio.lending.positions import Positions
from tallyio.lending.rows import RowMemory
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, keccak256
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import Address, hex_text
from tallyio.model.words import address_word, unsigned, word
from tallyio.native.memory import Region

SOURCE: Final = Path(__file__).parents[1] / "plugins/protocols/compound_v3/tests/contracts/Comet.sol"
BORROWER: Final = Address(b"borrower".rjust(20, b"\1"))
ABSORB_DEBT: Final = event_topic("AbsorbDebt(address,address,uint256,uint256)")
BUY_COLLATERAL: Final = event_topic("BuyCollateral(address,address,uint256,uint256)")
RICH: Final = 2**250
_COIN_BALANCES: Final = 1
_ANSWER: Final = 0


class State(NamedTuple):
    """A Comet and an account in it."""

    comet: Comet
    reserves: Sequence[Reserve]
    principal: int
    """Of the debt."""
    held: Mapping[int, int]
    """Collateral by reserve number."""

    @property
    def assets_in(self) -> int:
        """The bits of the collateral reserves that the account is in."""
        return sum(1 << (number - 1) for number in self.held)


class Bought(NamedTuple):
    """What the events of an absorption and of a purchase say."""

    paid_out: int
    paid: int
    seized: int


@cache
def comet_artifact() -> Artifact:
    """Return the contract. Compiles on first use."""
    made = compile_solidity({SOURCE.name: SOURCE.read_text()}, [SOURCE.name])
    return made[f"{SOURCE.name}:Comet"]


class CometDesk:
    """A Comet with a base token of so many decimals, and collateral assets of these scales."""

    def __init__(self, base_scale: int, scales: Sequence[int]) -> None:
        self.backend = RevmBackend()
        self.tokens = [self._coin() for _ in range(len(scales) + 1)]
        self.feeds = [self._deploy(feed_artifacts()["Feed"], 1) for _ in self.tokens]
        infos = [
            (k, token.address, feed.address, scale, 0, 0, 0, 2**127)
            for k, (token, feed, scale) in enumerate(
                zip(self.tokens[1:], self.feeds[1:], scales, strict=True)
            )
        ]
        none = (0, 0, 0, 0)
        base, feed = self.tokens[0].address, self.feeds[0].address
        self.comet = self._deploy(comet_artifact(), base, feed, base_scale, 0, 0, none, none, infos)
        self.backend.transact(self.tokens[0].call("approve", self.comet.address, 2**256 - 1))
        self._give(self.tokens[0], OPERATOR, RICH)

    @property
    def time(self) -> int:
        """The time of the next block."""
        return GENESIS_TIMESTAMP + BLOCK_SECONDS * (self.backend.number + 1)

    def put(self, state: State) -> None:
        """Give the Comet and the borrower this state."""
        comet, call = state.comet, self.comet.call
        totals = (comet.supply_index, comet.borrow_index, 0, 0, comet.total_supply, comet.total_borrow)
        curves = [msgspec.structs.astuple(curve) for curve in (comet.supply, comet.borrow)]
        basic = (*totals, comet.last_accrual, comet.pauses)
        user = (-state.principal, 0, 0, state.assets_in & 0xFFFF, state.assets_in >> 16)
        balances = [state.held.get(number, 0) for number in range(1, len(self.tokens))]
        calls = [
            call("put", basic, comet.target, comet.store_front_factor, curves),
            call("putUser", BORROWER, user, balances),
        ]
        self._give(self.tokens[0], self.comet.address, comet.base_held)
        self.write(self.feeds[0].address, _ANSWER, state.reserves[0].price)
        for number, amount in state.held.items():
            reserve = state.reserves[number]
            factors = (reserve.liquidate_factor, reserve.liquidation_factor)
            calls.append(call("putAsset", number - 1, *factors, amount))
            self._give(self.tokens[number], self.comet.address, amount + reserve.reserves)
            self.write(self.feeds[number].address, _ANSWER, reserve.price)
        for each in calls:
            self.backend.evm.message_call(hex_text(OPERATOR), hex_text(each.to), calldata=each.data)

    def write(self, contract: Address, slot: int, value: int) -> None:
        """Write a storage slot."""
        self.backend.evm.insert_account_storage(hex_text(contract), slot, value)

    def judge(self) -> tuple[bool, int] | None:
        """Return whether the borrower is liquidatable in the next block, and his debt; None: it reverts."""
        with self.backend.undone():
            try:
                self.backend.transact(self.comet.call("accrueAccount", BORROWER))
                (status,) = self.backend.read(self.comet, "isLiquidatable", BORROWER)
            except Reverted:
                return None
            (debt,) = self.backend.read(self.comet, "borrowBalanceOf", BORROWER)
        return bool(status), int(debt)

    def liquidate(self, asset: int, pay: int, *, least: int = 0, absorb: bool = True) -> Bought | None:
        """Return what absorbing and buying do in the next block, leaving no trace; None: one reverts."""
        buy = ("buyCollateral", self.tokens[asset].address, least, pay, OPERATOR)
        calls: list[Call] = [self.comet.call("absorb", OPERATOR, [BORROWER])] if absorb else []
        calls.append(self.comet.call(*buy))
        with self.backend.undone():
            try:
                self.backend.block(tuple(Transaction(sender=OPERATOR, call=call) for call in calls))
            except Reverted:
                return None
            data = {bytes(log.data[0][0]): bytes(log.data[1]) for log in self.backend.logs}
        paid_out = unsigned(data[ABSORB_DEBT], 0) if absorb else 0
        return Bought(paid_out, unsigned(data[BUY_COLLATERAL], 0), unsigned(data[BUY_COLLATERAL], 1))

    def _give(self, token: Contract, owner: Address, amount: int) -> None:
        slot = int.from_bytes(keccak256(word(_COIN_BALANCES) + address_word(owner)))
        self.write(token.address, slot, amount)

    def _coin(self) -> Contract:
        return self._deploy(artifact("Token"), "Coin", "C", 18)

    def _deploy(self, made: Artifact, *arguments: Any) -> Contract:
        return Contract(made, self.backend.deploy(made.encode_constructor(*arguments)))


class Memory:
    """One Comet and one position, where compiled functions look for them."""

    def __init__(self) -> None:
        self.out = Region(4096)
        self.positions = Positions()
        self.rows: dict[int, RowMemory] = {}
        self.book = self.own = self.position = 0

    def put(self, state: State, *, store_front: bool = False) -> None:
        """Take this state; the position is the account, or the store front with the same collateral."""
        rows = BookRows(own=pack_own(state.comet), reserves=tuple(map(pack_reserve, state.reserves)))
        if len(state.reserves) not in self.rows:
            self.rows[len(state.reserves)] = RowMemory(rows, 0)
        there = self.rows[len(state.reserves)]
        there.set_own(rows.own)
        for number, row in enumerate(rows.reserves):
            there.set_reserve(number, row)
        self.book = there.address
        self.own = own_at(self.book)
        debt = 1 if store_front else state.principal
        held = [Balance(reserve=number, collateral=state.held[number]) for number in sorted(state.held)]
        position = Position(
            key=PositionKey(BORROWER),
            balances=(Balance(reserve=0, debt=debt), *held),
            flags=STORE_FRONT if store_front else state.assets_in,
        )
        self.position = self.positions.address(self.positions.write(position))

    def numbers(self, count: int) -> list[int]:
        """Return the first numbers of what a compiled function wrote."""
        raw = self.out.view("u1", 32 * count).tobytes()
        return [int.from_bytes(raw[at : at + 32], "little") for at in range(0, 32 * count, 32)]
