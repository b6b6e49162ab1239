"""A Morpho contract on an EVM in this process, whose markets' and positions' states are ours to choose.

What is written goes straight into storage, so that cases come in thousands. The slots are those of
`Morpho` (@morpho-org/morpho-blue) and of `AdaptiveCurveIrm`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tallyio_protocol_morpho_blue.layout import OWN_ROW, Irm, Market, pack_row

from tallyio.hooks.lending import BookRows
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.morpho import (
    DOMAINS,
    Morpho,
    MorphoMarket,
    create_market,
    deploy_morpho,
    deploy_set_oracle,
)
from tallyio.lab.revm import RevmBackend
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import BLOCK_SECONDS, GENESIS_TIMESTAMP, Reverted
from tallyio.lab.world import OPERATOR
from tallyio.lending.positions import Positions
from tallyio.lending.rows import RowMemory
from tallyio.model.hashing import event_topic, keccak256
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text
from tallyio.model.words import address_word, unsigned, word
from tallyio.native.memory import Region

PROBE: Final = "plugins/protocols/morpho_blue/tests/contracts/Probe.sol"
LIQUIDATE: Final = event_topic("Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)")
LLTVS: Final = (385 * 10**15, 86 * 10**16, 945 * 10**15, 98 * 10**16, 0)
BORROWER: Final = Address(b"borrower".rjust(20, b"\1"))
RICH: Final = 2**250
_POSITIONS, _MARKETS, _RATES, _COIN_BALANCES = 2, 3, 0, 1


class Paid(NamedTuple):
    """What the event of a liquidation says."""

    repaid: int
    shares: int
    seized: int
    bad_debt: int
    bad_shares: int


@cache
def probe_artifacts() -> dict[str, Artifact]:
    """Return "Probe", "Desk" and "FixedRate"."""
    text = (Path(__file__).parents[1] / PROBE).read_text()
    root = f"{DOMAINS}morpho/contracts/"
    fetched = package_sources("sphere-mezo-solidity-files")
    sources = {
        path.replace(root, "morpho/"): source for path, source in fetched.items() if path.startswith(root)
    }
    made = compile_solidity({**sources, "Probe.sol": text}, ["Probe.sol"])
    return {name.partition(":")[2]: each for name, each in made.items()}


def mapped(key: bytes, slot: int) -> int:
    """Return where Solidity keeps the value of `key` in the mapping at `slot`."""
    return int.from_bytes(keccak256(key.rjust(32, b"\0") + word(slot)))


class MorphoDesk:
    """The contract, a market for each loan-to-value and `Irm`, and memory for compiled functions."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        self.coin, self.loan = self._coin("C"), self._coin("L")
        self.morpho: Morpho = self.backend.run(deploy_morpho(LLTVS))
        self.contract = self.morpho.contract
        made = probe_artifacts()
        self.probe = self._deploy(made["Probe"])
        self.fixed = self._deploy(made["FixedRate"])
        self.oracle = self.backend.run(deploy_set_oracle(10**36))
        self.backend.transact(self.contract.call("enableIrm", self.fixed.address))
        self.irms = {
            Irm.NONE: ZERO_ADDRESS,
            Irm.ADAPTIVE: self.morpho.rate.address,
            Irm.FIXED: self.fixed.address,
        }
        self.markets = {(irm, lltv): self._market(irm, lltv) for irm in Irm for lltv in LLTVS}
        for token, owner in ((self.loan, OPERATOR), (self.coin, self.contract.address)):
            slot = int.from_bytes(keccak256(word(_COIN_BALANCES) + address_word(owner)))
            self.write(token.address, slot, RICH)
        self.backend.transact(self.loan.call("approve", self.contract.address, 2**256 - 1))
        self.out = Region(4096)

    @property
    def time(self) -> int:
        """The time of the next block."""
        return GENESIS_TIMESTAMP + BLOCK_SECONDS * (self.backend.number + 1)

    def write(self, contract: Address, slot: int, value: int) -> None:
        """Write a storage slot."""
        self.backend.evm.insert_account_storage(hex_text(contract), slot, value)

    def put(self, market: Market, collateral: int, shares: int) -> MorphoMarket:
        """Give a market and the borrower's position this state; return the market."""
        there = self.markets[market.irm, market.lltv]
        at = mapped(there.id, _MARKETS)
        contract = self.contract.address
        self.write(contract, at, market.supply_assets | market.supply_assets << 128)
        self.write(contract, at + 1, market.borrow_assets | market.borrow_shares << 128)
        self.write(contract, at + 2, market.last_update)
        position = int.from_bytes(
            keccak256(address_word(BORROWER) + mapped(there.id, _POSITIONS).to_bytes(32))
        )
        self.write(contract, position + 1, shares | collateral << 128)
        self.write(self.oracle.address, 0, market.price or 0)
        if market.irm == Irm.ADAPTIVE:
            self.write(self.morpho.rate.address, mapped(there.id, _RATES), market.rate)
        if market.irm == Irm.FIXED:
            self.write(self.fixed.address, 0, market.rate)
        return there

    def health(self, there: MorphoMarket) -> tuple[int, int]:
        """Return what Morpho's libraries say in the next block: the limit, and what is owed."""
        with self.backend.undone():
            self.backend.block(())
            arguments = (self.contract.address, there.parameters, BORROWER)
            limit, owed = self.backend.read(self.probe, "healthOf", *arguments)
        return int(limit), int(owed)

    def liquidate(self, there: MorphoMarket, seize: int, shares: int = 0) -> Paid | None:
        """Return what a liquidation does in the next block, leaving no trace; None where it reverts."""
        call = self.contract.call("liquidate", there.parameters, BORROWER, seize, shares, b"")
        with self.backend.undone():
            try:
                self.backend.transact(call)
            except Reverted:
                return None
            (data,) = [log.data[1] for log in self.backend.logs if bytes(log.data[0][0]) == LIQUIDATE]
        return Paid(*(unsigned(bytes(data), k) for k in range(5)))

    def _coin(self, symbol: str) -> Contract:
        return self._deploy(artifact("Token"), symbol, symbol, 18)

    def _deploy(self, made: Artifact, *arguments: Any) -> Contract:
        return Contract(made, self.backend.deploy(made.encode_constructor(*arguments)))

    def _market(self, irm: Irm, lltv: int) -> MorphoMarket:
        market = MorphoMarket(self.loan.address, self.coin.address, self.oracle.address, self.irms[irm], lltv)
        return self.backend.run(create_market(self.morpho, market))


class Memory:
    """One market and one position, where compiled functions look for them."""

    def __init__(self) -> None:
        self.out = Region(4096)
        self.positions = Positions()
        self.rows: RowMemory | None = None
        self.book = self.position = 0

    def put(self, market: Market, collateral: int, shares: int) -> None:
        """Take this state."""
        row = pack_row(market)
        if self.rows is None:
            self.rows = RowMemory(BookRows(own=OWN_ROW, reserves=(row,)), 0)
            self.book = self.rows.address
        self.rows.set_reserve(0, row)
        balance = Balance(reserve=0, collateral=collateral, debt=shares)
        number = self.positions.write(Position(key=PositionKey(BORROWER), balances=(balance,)))
        self.position = self.positions.address(number)

    def numbers(self, count: int) -> list[int]:
        """Return the first numbers of what a compiled function wrote."""
        raw = self.out.view("u1", 32 * count).tobytes()
        return [int.from_bytes(raw[at : at + 32], "little") for at in range(0, 32 * count, 32)]
