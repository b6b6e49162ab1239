"""What plugins build: the objects behind the five hooks.

Layer: hooks. These are structural types: a plugin imports them for its type checker and need not
inherit. Everything asynchronous lives here, in objects, and runs in the framework's nursery;
the hooks themselves are plain functions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

import msgspec

from tallyio.model.chain import (
    AccountState,
    Block,
    BlockEvent,
    Fees,
    Head,
    Log,
    LogFilter,
    Moment,
    Receipt,
    StateSlice,
)
from tallyio.model.errors import SignerError, SignerRefused
from tallyio.model.execution import Call, SignedTransaction, UnsignedTransaction
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei

Settings = Mapping[str, object]
"""A plugin's own table of the configuration file, as TOML gave it. Parse it with
`tallyio.hooks.settings.parse_settings`, which names table and key in its errors;
say `where="protocols.PLUGIN"`: TallyIO puts the file and the table's own name there."""


Pretended = Mapping[Address, bytes | AccountState]
"""What to take for that of an account, whatever the chain has there: code, or code and slots as far as they
are told. Balances and nonces stay the chain's own."""

NOTHING: Final[Pretended] = MappingProxyType({})

# --- chain -----------------------------------------------------------------------------------


class ChainReader(Protocol):
    """Read access to one chain; what protocol plugins get.

    Every method raises `ChainError` when the node fails, lies or is late; the deadline covers the
    whole call. `block` is a block hash; None means the latest block.
    """

    @property
    def chain_id(self) -> int:
        """The id that the node confirmed."""

    async def head(self) -> Head:
        """Return the latest head."""

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """Return each call's return data in order, or None where it reverted; few round trips.

        `pretend` gives accounts code or slots that they do not have on the chain.
        """

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the logs that `query` selects, in chain order; wide ranges are split."""


class ChainClient(ChainReader, Protocol):
    """A live connection to one chain. Concurrent use by several tasks is fine."""

    def blocks(self) -> AsyncIterator[BlockEvent]:
        """Yield every block from the current head on, complete, each on its parent.

        A reorg yields a `Rollback` first. Gaps are back-filled, duplicates dropped. A lost
        connection is reopened and the sequence goes on where it was; once the chain's patience is
        over it raises `ChainError`.
        """

    async def prestate(
        self,
        call: Call,
        *,
        sender: Address,
        block: Hash,
        pretend: Pretended = NOTHING,
        moment: Moment | None = None,
    ) -> StateSlice:
        """Return everything that `call` reads at `block`: accounts, code and slots before the call.

        It runs as in a block of `moment` where the node can do that, else in one like `block`. What
        depends on time, such as interest, reads other slots, or reverts early, in the wrong one.

        `pretend` gives accounts code or slots that they do not have on the chain.
        """

    async def state_after(self, block: Block, known: Mapping[Address, Collection[int]]) -> StateSlice:
        """Return, as of `block`, the slots named in `known` of every account that may have changed.

        Accounts that emitted no event in `block` may be left out, and more may be told than was
        asked. So the answer keeps a copy of the state fresh enough to check a prediction that was
        made without it, and never enough to replace one.
        """

    def watch(self, known: Mapping[Address, Collection[int]]) -> None:
        """Say whose slots `state_after` will be asked for, so that new blocks may bring them along.

        `known` is looked at when a block comes; only the last one given counts.
        """

    async def nonce(self, account: Address) -> int:
        """Return the number of mined transactions of `account`."""

    async def balance(self, account: Address) -> Wei:
        """Return the native balance of `account`."""

    def fees(self, head: Head) -> Fees:
        """Return what a transaction in the block after `head` pays; exact, without asking the node."""

    async def submit(self, transaction: SignedTransaction) -> Hash:
        """Send `transaction`; "already known" is success. Raises: ChainError: with the node's reason."""

    async def receipt(self, transaction: Hash) -> Receipt | None:
        """Return the receipt, or None while no block includes the transaction."""


@runtime_checkable
class Foresight(Protocol):
    """A chain whose new blocks can bring answers along. `ChainClient` need not have it."""

    def foresee(self, calls: Sequence[Call]) -> None:
        """Say what `ChainReader.call` will be asked for each new block, sender and pretence aside.

        Then the question is under way while the block's logs are. Only the last ones given count.
        """


class Chain(Protocol):
    """What `tallyio_chain` builds: a chain, not yet connected."""

    def open(self) -> AbstractAsyncContextManager[ChainClient]:
        """Connect, check the chain id, and serve until the block ends."""


# --- protocol --------------------------------------------------------------------------------


class CompiledProtocol(msgspec.Struct, frozen=True, kw_only=True):
    """Where a protocol's compiled functions are; `tallyio.market.abi` states their signatures."""

    module: str
    """Importable module that defines `quote`, `curve`, `gas` and `apply_log`."""
    event_bytes: tuple[int, ...] = ()
    """Per event how many bytes from the row's start `apply_log` may change; 0 or absent means all.
    Before a block first changes a row that much of it is saved, to be put back on a reorg."""


class ExchangeProtocol(Protocol):
    """What `tallyio_protocol` builds: a family of pools that quote and trade alike."""

    @property
    def compiled(self) -> CompiledProtocol:
        """The functions that are fused into detection."""

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Topic 0 of each event that changes a pool; the index is the `event` of `apply_log`."""

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools that this plugin's settings select, as of `block`."""

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the row of each pool, as of `block`.

        A row is self-contained, so it may be copied as bytes, and its size is a multiple of 64: each
        row has its own. A pool that asked for a reload may get a larger row than it had.
        """

    def swap(  # noqa: PLR0913 - one swap has this many facts
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,
        amount_in: int,
        amount_out: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the calls that the executor makes to swap exactly these amounts.

        `inner` are calls to run after `recipient` has the output and before the pool checks its
        payment; `encode` packs calls into callback data that the executor understands. The calls
        returned must pay the pool. With `inner`, the pool must be able to flash.
        """


# --- strategy --------------------------------------------------------------------------------


class CompiledStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """Where a strategy's compiled function is; `tallyio.market.abi` states its signature."""

    module: str
    """Importable module that defines `detect`."""


class StrategyIndex(Protocol):
    """What a strategy prepared over a set of pools, in memory that compiled code reads."""

    @property
    def address(self) -> int:
        """Address handed to `detect`; the object that answers owns the memory."""


class MarketShape(Protocol):
    """The pools and tokens of a market, as dense ids; what a strategy builds its index from."""

    @property
    def pool_tokens(self) -> Sequence[tuple[int, ...]]:
        """Per pool id the token ids, in the pool's own order."""

    @property
    def pool_can_flash(self) -> Sequence[bool]:
        """Per pool id whether a cycle may start there."""

    @property
    def token_ids(self) -> Mapping[Address, int]:
        """Token id by address."""


class Strategy(Protocol):
    """What `tallyio_strategy` builds."""

    @property
    def compiled(self) -> CompiledStrategy:
        """The function that runs in the lane."""

    def index(self, shape: MarketShape) -> StrategyIndex:
        """Build what `detect` needs for these pools; called again when pools are added."""


# --- signer ----------------------------------------------------------------------------------


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What live trading may do at most; the signer enforces its part in its own process."""

    chain_id: int
    executor: Address
    selectors: tuple[bytes, ...]
    """Function selectors that a transaction may call."""
    max_value_wei: Wei
    """Native currency that one transaction may carry."""
    max_fee_wei: Wei
    """Highest max-fee per gas."""
    max_gas: int


class SignerClient(Protocol):
    """A running signer. One request at a time; callers queue."""

    @property
    def account(self) -> Address:
        """Whose key it holds."""

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign within the policy.

        Raises: SignerRefused: against the policy (wrong chain, target, selector, fee, a nonce
        already used for something else). SignerError: the process is gone or late.
        """


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of transactions that were to be signed in order."""

    signed: tuple[SignedTransaction, ...]
    """The first of them."""
    fault: SignerError | SignerRefused | None = None
    """What stopped the next one; None if all were signed."""
    doubtful: int = 0
    """How many of those that follow may have been signed all the same, though nobody has the signatures."""


@runtime_checkable
class BatchSignerClient(SignerClient, Protocol):
    """A running signer that takes several transactions in one message. Optional."""

    async def sign_all(self, transactions: Sequence[UnsignedTransaction]) -> Signatures:
        """Sign in order, within the policy, up to the first that cannot be signed."""


class Signer(Protocol):
    """What `tallyio_signer` builds: a signer, not yet started."""

    async def create(self) -> Address:
        """Make a new key where the settings point, outside this process; return its account.

        Raises: UnsafeRefused: there is a key already, or this kind of signer makes none. EnvironmentFault:
        it cannot be kept.
        """

    def open(self, limits: Limits) -> AbstractAsyncContextManager[SignerClient]:
        """Start the signer process with its policy and serve until the block ends."""


# --- notifier --------------------------------------------------------------------------------


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to people. `key` identifies repeats of the same fact."""

    level: str
    """"info", "warning" or "error"."""
    title: str
    body: str
    key: str


class Notifier(Protocol):
    """What `tallyio_notifier` builds. It never raises into the engine."""

    async def notify(self, notice: Notice) -> None:
        """Deliver, deduplicate or drop `notice`; slow work happens in a thread."""


__all__ = [
    "NOTHING",
    "AccountState",
    "BatchSignerClient",
    "Chain",
    "ChainClient",
    "ChainReader",
    "CompiledProtocol",
    "CompiledStrategy",
    "ExchangeProtocol",
    "Limits",
    "MarketShape",
    "Notice",
    "Notifier",
    "Pretended",
    "Settings",
    "Signatures",
    "Signer",
    "SignerClient",
    "Strategy",
    "StrategyIndex",
]
