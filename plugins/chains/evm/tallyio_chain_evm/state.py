"""State from the node: what a call reads, and what a block changed.

Both come from the prestate tracer where the node has debug methods. Its omissions mean something:
in a prestate an absent nonce is 0 and an absent code is empty; in a diff an absent field did not
change, a slot that is in `pre` but not in `post` became 0, and an account that is in `pre` but not
in `post` was deleted. A diff does not tell when a code was emptied (EIP-7702 takes a delegation
back so): such a code is "not told".

Without debug methods a prestate is put together from an access list; a diff cannot be, and slots are
read one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.model.chain import AccountState, Block, Head, Moment, StateSlice
from tallyio.model.execution import Call
from tallyio.model.units import Address, Hash, Wei, hex_text
from tallyio_chain_evm import decode, requests, slots
from tallyio_chain_evm.ahead import Ahead
from tallyio_chain_evm.errors import NoDebugMethods, RpcError
from tallyio_chain_evm.foreseen import Foreseen
from tallyio_chain_evm.link import Link
from tallyio_chain_evm.rpc import Request
from tallyio_chain_evm.slots import Slot
from tallyio_chain_evm.wire import WireAccessList, WireAccount, WireDiff, WireTrace

_prestates = msgspec.json.Decoder(dict[str, WireAccount])
_block_traces = msgspec.json.Decoder(list[WireTrace])
_access_lists = msgspec.json.Decoder(WireAccessList)

type AccessList = dict[Address, list[int]]
"""Slots by account."""


class StateReader:
    """Asks one node for state; remembers what it lacks for as long as the connection lasts."""

    def __init__(self, link: Link) -> None:
        self._link = link
        # By the number of the connection that lacked them: the next may lead to another node.
        self._no_debug: int | None = None
        self._no_storage_values: int | None = None
        self._watched: Mapping[Address, Collection[int]] = {}
        self._ahead: Ahead | None = None
        self._questions: Sequence[Call] = ()
        self._foreseen: Foreseen | None = None

    @property
    def _has_debug(self) -> bool:
        return self._no_debug != self._link.reconnects

    @property
    def _has_storage_values(self) -> bool:
        return self._no_storage_values != self._link.reconnects

    def watch(self, known: Mapping[Address, Collection[int]]) -> None:
        """Ask for the slots in `known`, as it stands then, as soon as a block is announced."""
        self._watched = known

    def foresee(self, calls: Sequence[Call]) -> None:
        """Ask `calls` as soon as a block is announced."""
        self._questions = calls

    def foreseen(self, calls: Sequence[Call], block: Hash | None) -> Foreseen | None:
        """Return what has the answers to `calls` as of `block`, if they were foreseen."""
        foreseen = self._foreseen
        return foreseen if foreseen and foreseen.block == block and foreseen.has(calls) else None

    def announced(self, head: Head) -> None:
        """Begin to ask for what `after` will be asked for this block, and what is asked with every one."""
        if self._questions:
            self._foreseen = Foreseen(self._link, head, self._questions)
            self._link.start_soon(self._foreseen.run)
        if self._watched and self._has_storage_values:
            self._ahead = Ahead(self._link, head, self._watched)
            self._link.start_soon(self._ahead.run)

    async def prestate(
        self,
        call: Call,
        *,
        sender: Address,
        block: Hash,
        pretend: Pretended = NOTHING,
        moment: Moment | None = None,
    ) -> StateSlice:
        """Return everything that `call` reads at `block`: balance, nonce, code and slots, all known.

        An access list is made at the time of `block`: no node overrides that there.
        """
        if self._has_debug:
            try:
                return (await self._link.ask(_trace_call(call, sender, block, pretend, moment))).value
            except RpcError as fault:
                if not fault.unsupported:
                    raise
                self._no_debug = self._link.reconnects
        return await self._by_access_list(call, sender, block, pretend)

    async def after(self, block: Block, known: Mapping[Address, Collection[int]]) -> StateSlice:
        """Return the `known` slots of every account with an event in `block`, as of `block`.

        One quick question where the node has `eth_getStorageValues`, which was asked when the block
        was announced if the slots are watched; elsewhere what the block changed, which takes the node
        milliseconds; and where it cannot tell that, slot by slot.
        """
        logged = {log.address for log in block.logs}
        wanted = [(a, slot) for a, keys in known.items() if a in logged for slot in keys]
        if wanted and self._has_storage_values:
            try:
                return await self._storage(wanted, block.head.hash)
            except RpcError as fault:
                if not fault.unsupported:
                    raise
                self._no_storage_values = self._link.reconnects
        try:
            return await self.diff(block.head.hash) if wanted else {}
        except NoDebugMethods:
            each = [requests.slot(account, slot, block.head.hash) for account, slot in wanted]
            return slots.state(wanted, await self._values(each))

    async def diff(self, block: Hash) -> StateSlice:
        """Return what the transactions of `block` changed, as values after it.

        Raises: NoDebugMethods: this node cannot say.
        """
        try:
            if self._has_debug:
                return (await self._link.ask(_trace_block(block))).value
        except RpcError as fault:
            if not fault.unsupported:
                raise
            self._no_debug = self._link.reconnects
        raise NoDebugMethods(
            f"{self._link.endpoint} has no debug_traceBlockByHash, so it cannot tell what a block changed",
            way_out="use a node with the debug API, or read the state of each call anew",
        )

    async def _by_access_list(
        self, call: Call, sender: Address, block: Hash, pretend: Pretended
    ) -> StateSlice:
        touched = (await self._link.ask(_access_list(call, sender, block, pretend))).value
        # An access list leaves out whoever is warm anyway.
        for account in (sender, call.to):
            touched.setdefault(account, [])
        words = await self._values([r for a, slots in touched.items() for r in _words(a, slots, block)])
        codes = await self._values([requests.code(account, block) for account in touched])
        found: StateSlice = {}
        numbers = iter(words)
        for (account, keys), code in zip(touched.items(), codes, strict=True):
            own = AccountState(
                balance_wei=Wei(next(numbers)),
                nonce=next(numbers),
                code=code,
                storage={slot: next(numbers) for slot in keys},
            )
            found[account] = _pretending(own, pretend.get(account, own))
        return found

    async def _storage(self, wanted: list[Slot], block: Hash) -> StateSlice:
        if self._ahead is not None and self._ahead.block == block and self._ahead.has(wanted):
            return await self._ahead.state()
        asked = slots.questions(wanted, block)
        return slots.state(wanted, slots.flat(await self._values(asked)))

    async def _values[T](self, asked: list[Request[T]]) -> list[T]:
        values: list[T] = []
        for answer in await self._link.ask_all(asked):
            if isinstance(answer, RpcError):
                raise answer
            values.append(answer.value)
        return values


def _pretending(own: AccountState, told: bytes | AccountState) -> AccountState:
    if isinstance(told, bytes):
        return msgspec.structs.replace(own, code=told)
    code = own.code if told.code is None else told.code
    return msgspec.structs.replace(own, code=code, storage={**own.storage, **told.storage})


def _words(account: Address, slots: list[int], block: Hash) -> list[Request[int]]:
    return [
        requests.balance(account, block),
        requests.nonce(account, block),
        *[requests.slot(account, slot, block) for slot in slots],
    ]


def merge_diffs(diffs: Iterable[WireDiff]) -> StateSlice:
    """Return the joint effect of the transactions of one block, in their order."""
    merged: StateSlice = {}
    for diff in diffs:
        for text in {**diff.pre, **diff.post}:
            account = decode.account(text)
            known = merged.get(account, AccountState())
            before = diff.pre.get(text, WireAccount())
            merged[account] = _after(known, before, diff.post.get(text))
    return merged


def _after(known: AccountState, before: WireAccount, after: WireAccount | None) -> AccountState:
    cleared = dict.fromkeys(_slots(before), 0)
    if after is None:
        gone = dict.fromkeys([*known.storage, *cleared], 0)
        return AccountState(balance_wei=Wei(0), nonce=0, code=b"", storage=gone)
    told = _account(after)
    return AccountState(
        balance_wei=known.balance_wei if told.balance_wei is None else told.balance_wei,
        nonce=known.nonce if told.nonce is None else told.nonce,
        code=known.code if told.code is None else told.code,
        storage={**known.storage, **cleared, **told.storage},
    )


def _account(wire: WireAccount) -> AccountState:
    return AccountState(
        balance_wei=None if wire.balance is None else Wei(decode.quantity(wire.balance)),
        nonce=decode.quantity(wire.nonce) if isinstance(wire.nonce, str) else wire.nonce,
        code=None if wire.code is None else decode.data(wire.code),
        storage=_slots(wire),
    )


def _slots(wire: WireAccount) -> dict[int, int]:
    return {decode.quantity(slot): decode.quantity(value) for slot, value in wire.storage.items()}


def _read_prestate(raw: msgspec.Raw) -> StateSlice:
    accounts = {decode.account(text): _account(wire) for text, wire in _prestates.decode(raw).items()}
    return {
        account: AccountState(
            balance_wei=told.balance_wei or Wei(0),
            nonce=told.nonce or 0,
            code=told.code or b"",
            storage=told.storage,
        )
        for account, told in accounts.items()
    }


def _read_block_trace(raw: msgspec.Raw) -> StateSlice:
    return merge_diffs(trace.result for trace in _block_traces.decode(raw))


def _read_access_list(raw: msgspec.Raw) -> AccessList:
    return {
        decode.account(entry.address): [decode.quantity(key) for key in entry.storage_keys]
        for entry in _access_lists.decode(raw).access_list
    }


def _trace_call(
    call: Call, sender: Address, block: Hash, pretend: Pretended, moment: Moment | None
) -> Request[StateSlice]:
    options: dict[str, object] = {"tracer": "prestateTracer"}
    if moment is not None:
        options["blockOverrides"] = {"number": hex(moment.number), "time": hex(moment.timestamp)}
    for overrides in requests.overrides(pretend):
        options["stateOverrides"] = overrides
    transaction = requests.transaction_object(call, sender)
    return Request("debug_traceCall", [transaction, requests.at(block), options], _read_prestate)


def _trace_block(block: Hash) -> Request[StateSlice]:
    options = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
    return Request("debug_traceBlockByHash", [hex_text(block), options], _read_block_trace)


def _access_list(call: Call, sender: Address, block: Hash, pretend: Pretended) -> Request[AccessList]:
    params = [
        requests.transaction_object(call, sender),
        requests.at(block),
        *requests.overrides(pretend),
    ]
    return Request("eth_createAccessList", params, _read_access_list)
