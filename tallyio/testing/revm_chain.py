"""A chain for the tests of plugins: real contracts on an EVM in this process, and no node.

Layer: testing. A fresh chain takes some tens of milliseconds, and two fresh ones are equal, so each
test can have its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.lab.revm import RevmBackend, RevmWorld, build_revm_world
from tallyio.lab.steps import BLOCK_GAS_LIMIT, BLOCK_SECONDS, GENESIS_TIMESTAMP, Reverted, Transaction
from tallyio.lab.world import OPERATOR, World
from tallyio.model.chain import Block, Head, Log, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import ZERO_ADDRESS, Address, Hash, Wei, hex_text


class RevmChain:
    """A `tallyio.hooks.interfaces.ChainReader` over the lab's world.

    It is a view: whatever happens on the world's EVM, by whatever way, is what the chain says. So a
    test deploys its own contracts with `backend`, beside the lab's tokens and pools in `world`, and
    every event is there for an adapter to find. Reads see the latest block only, and the logs of one
    block share one transaction hash.

    A protocol's rows must follow the events of a block to where a fresh read of the chain is:

    ```python
    async def test_rows_follow_the_events() -> None:
        chain = RevmChain()
        adapter = MyProtocol(my_settings(chain.world))
        pools = await adapter.discover(chain, block=chain.latest)
        rows = await adapter.load(chain, pools, block=chain.latest)
        block = chain.step(seed=1)  # the lab's traders swap
        followed = apply_logs(rows, block.logs)
        assert followed == await adapter.load(chain, pools, block=chain.latest)
    ```

    `block_of` shows what calls that an adapter wrote really do; a call that fails raises `Reverted`:

    ```python
    block = chain.block_of(*adapter.swap(pool, token_in=0, token_out=1, **amounts))
    ```

    A chain that lies is a subclass whose `call` or `logs` answers something else.
    """

    def __init__(self, lab: RevmWorld | None = None) -> None:
        """Stand on `lab`, or on a fresh world. Raises: MissingExtraError: pyrevm is not installed."""
        self.lab = lab or build_revm_world()
        self.asked_at: list[Hash | None] = []
        """The block of every `call`: an adapter asks at the one it was given, so that all it reads agrees."""

    @property
    def world(self) -> World:
        """What the lab's recipe made: tokens, pools, venues, accounts."""
        return self.lab.world

    @property
    def backend(self) -> RevmBackend:
        """The EVM: deploy, transact, read, and undo on it."""
        return self.lab.backend

    @property
    def latest(self) -> Head:
        """The latest head."""
        return head_at(self.backend.number)

    def block(self, number: int) -> Block:
        """Return block `number` as a chain plugin publishes it. Raises: LookupError: there is none."""
        return Block(
            head=head_at(number), logs=tuple(_logs(self.backend, number)), bytes_in_ns=0, decoded_ns=0
        )

    def blocks_after(self, head: Head) -> list[Block]:
        """Return every block since `head`, oldest first: what the world did meanwhile."""
        return [self.block(number) for number in range(head.number + 1, self.backend.number + 1)]

    def block_of(self, *calls: Call, sender: Address = OPERATOR) -> Block:
        """Let `sender` make `calls` in a new block, each a transaction; return the block.

        No calls are an empty block. Raises: Reverted: one of them did; those before it stay.
        """
        self.backend.block(tuple(Transaction(sender=sender, call=call) for call in calls))
        return self.block(self.backend.number)

    def step(self, *, seed: int) -> Block:
        """Let the lab's traders of `seed` make the next block; return it."""
        self.lab.step(seed=seed)
        return self.block(self.backend.number)

    # --- ChainReader ---------------------------------------------------------------------------

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return self.world.chain_id

    async def head(self) -> Head:
        """Return the latest head."""
        return self.latest

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """Return each call's return data in order, or None where it reverted.

        Code can be pretended, no slots.

        Raises: ChainError: `block` is not the latest; older state is gone, as on a node that prunes.
        """
        self.asked_at.append(block)
        latest = self.latest
        if block not in {None, latest.hash}:
            raise ChainError(
                f"block {hex_text(block or b'')} is not the latest, which is {latest.number}",
                way_out="read at the block that the test just took from the chain",
            )
        code = {account: told for account, told in pretend.items() if isinstance(told, bytes)}
        if len(code) < len(pretend):
            raise ChainError("this chain in memory pretends code only")
        with self.backend.pretending(code):
            return [self._output(call, sender or ZERO_ADDRESS) for call in calls]

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the logs that `query` selects, in chain order."""
        numbers = range(max(query.from_block, 0), min(query.to_block, self.backend.number) + 1)
        return [log for number in numbers for log in _logs(self.backend, number) if _selects(query, log)]

    def _output(self, call: Call, sender: Address) -> bytes | None:
        try:
            return self.backend.call(call, sender=sender)
        except Reverted:
            return None


def head_at(number: int, *, parent: Hash | None = None, fork: str = "") -> Head:
    """Return the header that block `number` has in every `RevmChain`: they differ in their logs only.

    With a `fork` it is a sibling of that block, with another hash. It stands on `parent`, or else on
    the block before it.
    """
    return Head(
        number=number,
        hash=_hash(f"block {number}{fork}"),
        parent_hash=parent or _hash(f"block {number - 1}"),
        timestamp=GENESIS_TIMESTAMP + BLOCK_SECONDS * number,
        base_fee_wei=Wei(0),
        gas_used=0,
        gas_limit=BLOCK_GAS_LIMIT,
        logs_bloom=b"",
    )


def _hash(text: str) -> Hash:
    return Hash(keccak256(text.encode()))


def _logs(backend: RevmBackend, number: int) -> Iterator[Log]:
    block, transaction = head_at(number).hash, _hash(f"transaction of block {number}")
    for index, raw in enumerate(backend.logs_of(number)):
        topics, data = raw.data
        yield Log(
            address=Address(bytes.fromhex(raw.address[2:])),
            topics=tuple(bytes(topic) for topic in topics),
            data=bytes(data),
            block_hash=block,
            block_number=number,
            log_index=index,
            transaction_hash=transaction,
        )


def _selects(query: LogFilter, log: Log) -> bool:
    # As eth_getLogs has it: a position that accepts anything still wants a topic to be there.
    return (
        (not query.addresses or log.address in query.addresses)
        and len(query.topics) <= len(log.topics)
        and all(
            not accepted or topic in accepted
            for accepted, topic in zip(query.topics, log.topics, strict=False)
        )
    )
