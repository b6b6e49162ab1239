"""A Uniswap V4 manager on an EVM in this process, and a contract that makes it do things.

The desk tries swaps without leaving a trace, many in one call, and makes real swaps and positions,
paying from what it holds. States can be made by such calls, or written into the manager's storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import pyrevm
import vyper
from eth_abi.abi import decode, encode

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmBackend
from tallyio.lab.world import DEPLOYER
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, hex_text

SOURCE = """
# pragma evm-version cancun
from ethereum.ercs import IERC20

struct Key:
    currency0: address
    currency1: address
    fee: uint24
    spacing: int24
    hooks: address

struct Swap:
    zero_for_one: bool
    amount: int256
    limit: uint160

struct Position:
    lower: int24
    upper: int24
    delta: int256
    salt: bytes32

struct Order:
    is_trial: bool
    is_swap: bool
    key: Key
    swap: Swap
    position: Position

interface Manager:
    def unlock(data: Bytes[1024]) -> Bytes[64]: nonpayable
    def swap(key: Key, swap: Swap, hook_data: Bytes[32]) -> int256: nonpayable
    def modifyLiquidity(key: Key, position: Position, hook_data: Bytes[32]) -> (int256, int256): nonpayable
    def donate(key: Key, amount0: uint256, amount1: uint256, hook_data: Bytes[32]) -> int256: nonpayable
    def take(currency: address, to: address, amount: uint256): nonpayable
    def sync(currency: address): nonpayable
    def settle() -> uint256: payable

MANAGER: immutable(Manager)

@deploy
def __init__(manager: address):
    MANAGER = Manager(manager)

@external
@payable
def __default__():
    pass

@external
def trials(key: Key, swaps: DynArray[Swap, 64]) -> (DynArray[bool, 64], DynArray[int256, 64]):
    works: DynArray[bool, 64] = []
    deltas: DynArray[int256, 64] = []
    for swap: Swap in swaps:
        order: Order = Order(
            is_trial=True, is_swap=True, key=key, swap=swap, position=empty(Position)
        )
        answer: Bytes[96] = b""
        done: bool = True
        done, answer = raw_call(
            self,
            abi_encode(order, method_id=method_id("order((bool,bool,(address,address,uint24,int24,address),\
(bool,int256,uint160),(int24,int24,int256,bytes32)))")),
            max_outsize=96,
            revert_on_failure=False,
        )
        assert not done
        works.append(len(answer) == 96)
        deltas.append(extract32(answer, 0, output_type=int256) if len(answer) == 96 else 0)
    return works, deltas

@external
def order(order: Order) -> int256:
    return abi_decode(extcall MANAGER.unlock(abi_encode(order)), int256)

@external
def unlockCallback(data: Bytes[1024]) -> Bytes[32]:
    assert msg.sender == MANAGER.address
    order: Order = abi_decode(data, Order)
    delta: int256 = 0
    if order.is_swap:
        delta = extcall MANAGER.swap(order.key, order.swap, b"")
    else:
        fees: int256 = 0
        delta, fees = extcall MANAGER.modifyLiquidity(order.key, order.position, b"")
    if order.is_trial:
        raw_revert(abi_encode(delta, delta, delta))
    self._settle(order.key.currency0, delta >> 128)
    self._settle(order.key.currency1, convert(convert(delta << 128, bytes32), int256) >> 128)
    return abi_encode(delta)

@internal
def _settle(currency: address, delta: int256):
    if delta > 0:
        extcall MANAGER.take(currency, self, convert(delta, uint256))
    if delta < 0:
        amount: uint256 = convert(-delta, uint256)
        extcall MANAGER.sync(currency)
        if currency == empty(address):
            extcall MANAGER.settle(value=amount)
        else:
            extcall IERC20(currency).transfer(MANAGER.address, amount)
            extcall MANAGER.settle()
"""

POOLS_SLOT = 6
"""`StateLibrary.POOLS_SLOT`; the offsets below are those of `Pool.State`."""
LIQUIDITY_OFFSET, TICKS_OFFSET, BITMAP_OFFSET = 3, 4, 5


class Key(NamedTuple):
    """What identifies a pool of the manager."""

    currency0: Address
    currency1: Address
    fee: int
    spacing: int
    hooks: Address = ZERO_ADDRESS

    @property
    def id(self) -> bytes:
        """Its hash, by which the manager knows the pool."""
        return keccak256(encode(("address", "address", "uint24", "int24", "address"), self))


class Delta(NamedTuple):
    """What the caller gets (positive) or owes (negative)."""

    amount0: int
    amount1: int


@cache
def desk_artifact() -> Artifact:
    """Return the compiled desk."""
    made = vyper.compile_code(SOURCE, output_formats=["abi", "bytecode"])
    return Artifact("Desk", tuple(made["abi"]), bytes.fromhex(made["bytecode"][2:]))


class Desk:
    """A manager and a desk at it."""

    def __init__(self, backend: RevmBackend, manager: Address) -> None:
        self.backend = backend
        self.manager = Contract(artifact("PoolManager"), manager)
        made = desk_artifact()
        self.contract = Contract(made, backend.deploy(made.encode_constructor(manager)))

    def trials(self, key: Key, swaps: Sequence[tuple[bool, int, int]]) -> list[Delta | None]:
        """Try swaps (zero for one, amount specified, price limit); None where the manager reverts."""
        output = self.backend.call(self.contract.call("trials", key, list(swaps)))
        works, deltas = decode(("bool[]", "int256[]"), output)
        return [split(delta) if fine else None for fine, delta in zip(works, deltas, strict=True)]

    def swap(self, key: Key, *, zero_for_one: bool, amount: int, limit: int) -> Delta:
        """Make a real swap. Raises: Reverted."""
        return self._order((False, True, key, (zero_for_one, amount, limit), (0, 0, 0, bytes(32))))

    def modify(self, key: Key, lower: int, upper: int, delta: int, *, salt: int = 0) -> Delta:
        """Change the desk's position between two ticks. Raises: Reverted."""
        return self._order((False, False, key, (False, 0, 0), (lower, upper, delta, salt.to_bytes(32))))

    def initialize(self, key: Key, price: int) -> None:
        """Open a pool at a price. Raises: Reverted."""
        self.backend.transact(self.manager.call("initialize", key, price))

    def set_protocol_fee(self, key: Key, packed: int) -> None:
        """Let the protocol take its share, as the controller of its fees."""
        self.backend.transact(self.manager.call("setProtocolFeeController", DEPLOYER), sender=DEPLOYER)
        self.backend.transact(self.manager.call("setProtocolFee", key, packed), sender=DEPLOYER)

    def write(self, slots: Mapping[int, int]) -> None:
        """Write slots into the storage of the manager, which must not have touched them before."""
        for slot, value in slots.items():
            self.backend.evm.insert_account_storage(hex_text(self.manager.address), slot, value)

    def _order(self, order: tuple[object, ...]) -> Delta:
        output = self.backend.transact(self.contract.call("order", order))
        return split(int.from_bytes(output, signed=True))


def deploy_manager(backend: RevmBackend) -> Address:
    """Deploy the manager; its owner is the deployer."""
    return backend.deploy(artifact("PoolManager").encode_constructor(DEPLOYER))


def blank_desk() -> Desk:
    """Return a desk whose manager takes states by `write`: its account is older than this EVM."""
    made = RevmBackend()
    made.deploy(b"")  # its address is the desk's below
    manager = deploy_manager(made)
    code = made.evm.get_code(hex_text(manager))
    backend = RevmBackend()
    info = pyrevm.AccountInfo(nonce=1, code=code)
    backend.evm.insert_account_info(hex_text(manager), info)
    return Desk(backend, manager)


def split(delta: int) -> Delta:
    """Return both halves of a packed `BalanceDelta`."""
    return Delta(delta >> 128, ((delta & (2**128 - 1)) ^ 2**127) - 2**127)


def send(to: Address, wei: int) -> Call:
    """Return the call that does nothing but pay."""
    return Call(to=to, data=b"", value_wei=Wei(wei))


def state_slots(  # noqa: PLR0913 - a pool has this many facts
    pool: bytes,
    *,
    spacing: int,
    price: int,
    tick: int,
    protocol_fee: int,
    lp_fee: int,
    liquidity: int,
    ticks: Mapping[int, tuple[int, int]],
) -> dict[int, int]:
    """Return the storage of a pool; `ticks` holds gross and net liquidity."""
    base = _slot(int.from_bytes(pool), POOLS_SLOT)
    slots = {
        base: price | (tick % 2**24) << 160 | protocol_fee << 184 | lp_fee << 208,
        base + LIQUIDITY_OFFSET: liquidity,
    }
    for at, (gross, net) in ticks.items():
        slots[_slot(at, base + TICKS_OFFSET)] = gross | (net % 2**128) << 128
        word, bit = divmod(at // spacing, 256)
        place = _slot(word, base + BITMAP_OFFSET)
        slots[place] = slots.get(place, 0) | 1 << bit
    return slots


def _slot(key: int, mapping: int) -> int:
    return int.from_bytes(keccak256((key % 2**256).to_bytes(32) + mapping.to_bytes(32)))
