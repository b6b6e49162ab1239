"""Thousands of states and amounts against the bytecode of three libraries' vaults, successes and reverts.

The state of real vaults is overwritten for each case: what they hold, and how many shares there are. So the
contracts see totals that no history would reach, up to the last that a row can hold.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from tallyio_protocol_erc4626 import hot
from tallyio_protocol_erc4626.layout import ROW_BYTES, Upkeep, pack_row
from tallyio_protocol_erc4626.reference import MOST, Vault

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmBackend
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, hex_text
from tallyio.model.words import WORD, address_word, unsigned, word
from tallyio.native.memory import Region

CASES = 10_000
SOURCE = Path(__file__).parent / "contracts" / "Vaults.sol"
COIN_BALANCES = 1
"""Slot of the lab's token, a Vyper contract: the key of a mapping comes after its slot."""
SUPPLY = 2
"""Slot of the supply in all three libraries."""
RICH = 2**250
DOES = ("deposit", "redeem", "mint", "withdraw")
UPKEEP = Upkeep(follows=True)


class Kind(NamedTuple):
    """A vault to deploy."""

    contract: str
    arguments: tuple[int, ...]
    virtual_shares: int
    balances: int
    """Slot of the shares' owners, whose key comes before it."""


KINDS = (
    Kind("Virtual", (0,), 1, 0),
    Kind("Virtual", (6,), 10**6, 0),
    Kind("Virtual", (18,), 10**18, 0),
    Kind("Old", (), 0, 0),
    Kind("Solmate", (), 0, 3),
)


@cache
def contracts() -> dict[str, Artifact]:
    """Return the vaults by name."""
    fetched = package_sources("@openzeppelin/contracts", "openzeppelin-4.8", "solmate")
    made = compile_solidity({**fetched, SOURCE.name: SOURCE.read_text()}, [SOURCE.name], optimised=False)
    return {name.partition(":")[2]: each for name, each in made.items()}


class Bench:
    """One vault of each kind, whose states are ours to choose, and a row."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        coin = artifact("Token")
        self.coin = Contract(coin, self.backend.deploy(coin.encode_constructor("Coin", "C", 18)))
        self.vaults = [self._deploy(kind) for kind in KINDS]
        self._write(self.coin.address, _vyper_slot(OPERATOR), RICH)
        self.memory = Region(4096)
        self.row = self.memory.address

    def set(self, number: int, state: Vault) -> None:
        """Give a vault and the row this state; the operator has all shares, or one if there are none."""
        vault = self.vaults[number].address
        self._write(self.coin.address, _vyper_slot(vault), state.total_assets)
        self._write(vault, SUPPLY, state.supply)
        self._write(vault, _solidity_slot(OPERATOR, KINDS[number].balances), state.supply)
        self.memory.view("u1", ROW_BYTES)[:] = bytearray(pack_row(state, UPKEEP))

    def outcome(self, number: int, does: str, amount: int) -> tuple[int, bytes] | None:
        """Return what the operator gets or pays, and the data of the event; None where the vault reverts."""
        owners = (OPERATOR,) if does in {"deposit", "mint"} else (OPERATOR, OPERATOR)
        call = self.vaults[number].call(does, amount, *owners)
        with self.backend.undone():
            try:
                answer = self.backend.transact(call)
            except Reverted:
                return None
            (event,) = [
                log
                for log in self.backend.logs
                if log.address.lower() == hex_text(call.to) and len(log.data[1]) == 2 * WORD
            ]
            return unsigned(answer, 0), bytes(event.data[1])

    def quoted(self, does: str, amount: int) -> int:
        """Return what the compiled functions say."""
        i = 0 if does in {"deposit", "mint"} else 1
        quote = hot.quote if does in {"deposit", "redeem"} else hot.quote_exact_out
        return int(quote(self.row, i, 1 - i, amount))

    def follow(self, does: str, data: bytes) -> bytes:
        """Return the row after the event."""
        self.memory.view("u1", len(data), ROW_BYTES)[:] = bytearray(data)
        event = 0 if does in {"deposit", "mint"} else 1
        assert hot.apply_log(self.row, event, 0, self.row + ROW_BYTES, len(data)) == LOG_APPLIED
        return self.memory.view("u1", ROW_BYTES).tobytes()

    def _deploy(self, kind: Kind) -> Contract:
        made = contracts()[kind.contract]
        address = self.backend.deploy(made.encode_constructor(self.coin.address, *kind.arguments))
        self.backend.transact(self.coin.call("approve", address, 2**256 - 1))
        return Contract(made, address)

    def _write(self, contract: Address, slot: int, value: int) -> None:
        self.backend.evm.insert_account_storage(hex_text(contract), slot, value)


def _vyper_slot(owner: Address) -> int:
    return int.from_bytes(keccak256(word(COIN_BALANCES) + address_word(owner)))


def _solidity_slot(owner: Address, place: int) -> int:
    return int.from_bytes(keccak256(address_word(owner) + word(place)))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.memory.close()


def draw_number(draw: random.Random) -> int:
    """Return a total of any length; sometimes none, and the largest ones."""
    kind = draw.random()
    if kind < 0.06:
        return draw.randrange(2)
    if kind < 0.1:
        return MOST - draw.getrandbits(draw.randrange(1, 128))
    return draw.getrandbits(draw.randrange(2, 128))


def draw_state(draw: random.Random, kind: Kind) -> Vault:
    """Return totals, with the limits that follow from them."""
    total, supply = draw_number(draw), draw_number(draw)
    if draw.random() < 0.3:  # shares that are worth about as much as the assets
        supply = total * kind.virtual_shares * draw.randrange(500, 1_000) // 1_000 or total
    supply = min(supply, MOST - kind.virtual_shares)
    return Vault(
        total_assets=total,
        supply=supply,
        virtual_shares=kind.virtual_shares,
        # The older library takes no deposit where shares have lost all that was behind them.
        max_deposit=0 if kind.contract == "Old" and total == 0 < supply else MOST,
        max_redeem=supply,
        max_withdraw=total,
    )


def draw_amount(draw: random.Random, state: Vault) -> int:
    """Return an amount: of any length, or near a border."""
    if draw.random() < 0.2:
        near = (0, state.total_assets, state.supply, MOST)
        return max(0, draw.choice(near) + draw.randrange(-2, 3))
    most = max(state.total_assets, state.supply, 2)
    return draw.getrandbits(draw.randrange(1, most.bit_length() + 2))


def after(state: Vault, does: str, assets: int, shares: int) -> Vault:
    """Return the state after the vault got or gave that much."""
    sign = 1 if does in {"deposit", "mint"} else -1
    total, supply = state.total_assets + sign * assets, state.supply + sign * shares
    return Vault(
        total_assets=total,
        supply=supply,
        virtual_shares=state.virtual_shares,
        max_deposit=state.max_deposit,
        max_redeem=supply,
        max_withdraw=total,
    )


def test_ten_thousand_states_equal_the_bytecode_in_all_four_ways(bench: Bench) -> None:
    """What is quoted is paid or taken to the unit; where it says 0, the vault reverts or nothing moves."""
    draw, seen = random.Random(46), Counter[str]()
    for case in range(CASES):
        number = case % len(KINDS)
        state = draw_state(draw, KINDS[number])
        amount = draw_amount(draw, state)
        bench.set(number, state)
        for does in DOES:
            outcome = bench.outcome(number, does, amount)
            quoted = bench.quoted(does, amount)
            told = (number, state, does, amount)
            if outcome is None:
                assert quoted == 0, told
                seen[f"{does} reverted"] += 1
                continue
            moved, event = outcome
            if amount > MOST or (does == "mint" and moved > MOST):
                assert quoted == 0, told
                seen["beyond the domain"] += 1
                continue
            assert quoted == moved, told
            seen[f"{does} {'done' if moved else 'for nothing'}"] += 1
            sides = (amount, moved) if does in {"deposit", "withdraw"} else (moved, amount)
            assert event == word(sides[0]) + word(sides[1]), told
    print(f"\nvaults of three libraries: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    for does in DOES:
        assert seen[f"{does} done"] > CASES // 10
    assert seen["redeem reverted"] > CASES // 10
    assert seen["deposit reverted"] > 100


def test_a_followed_row_is_what_the_vault_has_afterwards(bench: Bench) -> None:
    draw, followed = random.Random(47), Counter[str]()
    for case in range(600):
        number, does = case % len(KINDS), draw.choice(DOES)
        vault, state = bench.vaults[number], draw_state(draw, KINDS[number])
        amount = draw_amount(draw, state) % 10**30
        bench.set(number, state)
        if (outcome := bench.outcome(number, does, amount)) is None:
            continue
        moved, event = outcome
        sides = (amount, moved) if does in {"deposit", "withdraw"} else (moved, amount)
        expected = after(state, does, *sides)
        if max(expected.total_assets, expected.supply + expected.virtual_shares) > MOST:
            continue
        assert bench.follow(does, event) == pack_row(expected, UPKEEP)
        with bench.backend.undone():
            bench.backend.transact(
                vault.call(does, amount, *[OPERATOR] * (1 if does in {"deposit", "mint"} else 2))
            )
            (total,) = bench.backend.read(vault, "totalAssets")
            (supply,) = bench.backend.read(vault, "totalSupply")
        assert (total, supply) == (expected.total_assets, expected.supply)
        followed[does] += 1
    assert min(followed[does] for does in DOES) > 30, followed
