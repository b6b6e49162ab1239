"""What a receipt moved, and whether the chain's balances confirm it."""

from __future__ import annotations

from tallyio.engine.settlement import TRANSFER, contradiction, realised
from tallyio.model.chain import Log, Receipt
from tallyio.model.erc20 import balance_of
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Hash, Wei
from tests.engine.trading import ACCOUNT, POOL, TOKEN, FakeChain, chain_of

OTHER = Address(bytes([0x55]) * 20)
PARENT, HEAD = chain_of(10, 2)


def moved(token: Address, source: Address, target: Address, amount: int, *extra: bytes) -> Log:
    """Return a transfer event."""
    return Log(
        address=token,
        topics=(TRANSFER, source.rjust(32, b"\0"), target.rjust(32, b"\0"), *extra),
        data=amount.to_bytes(32),
        block_hash=HEAD.hash,
        block_number=HEAD.number,
        log_index=0,
        transaction_hash=Hash(bytes(32)),
    )


def receipt(*logs: Log) -> Receipt:
    """Return a receipt with these events."""
    return Receipt(
        transaction_hash=Hash(bytes(32)),
        block_hash=HEAD.hash,
        block_number=HEAD.number,
        transaction_index=0,
        status=True,
        gas_used=1,
        effective_gas_price_wei=Wei(1),
        logs=logs,
    )


def test_what_came_less_what_went_is_realised() -> None:
    """Other tokens, other accounts, other events and a payment to oneself count nothing."""
    logs = (
        moved(TOKEN, POOL, ACCOUNT, 700),
        moved(TOKEN, ACCOUNT, POOL, 150),
        moved(TOKEN, ACCOUNT, ACCOUNT, 40),
        moved(TOKEN, POOL, OTHER, 9),
        moved(OTHER, POOL, ACCOUNT, 9),
        moved(TOKEN, POOL, ACCOUNT, 9, bytes(32)),  # four topics: an NFT's transfer
    )
    assert realised(receipt(*logs), token=TOKEN, account=ACCOUNT) == 550


def test_a_balance_is_asked_of_the_token() -> None:
    call = balance_of(TOKEN, ACCOUNT)
    assert (call.to, call.data) == (TOKEN, selector("balanceOf(address)") + bytes(12) + ACCOUNT)


async def test_the_sum_over_a_block_is_what_must_agree() -> None:
    """Two trades of one token in one block cannot be told apart by balances."""
    chain = FakeChain()
    chain.balances = {PARENT.hash: 1_000, HEAD.hash: 1_700}
    gains = [(TOKEN, 300), (TOKEN, 400)]
    assert await contradiction(chain.client, HEAD, gains, account=ACCOUNT) is None
    said = await contradiction(chain.client, HEAD, gains[:1], account=ACCOUNT)
    assert said == (
        f"in block {HEAD.number} the balance of token 0x{TOKEN.hex()} changed by 700, our receipts say 300"
    )


async def test_a_loss_is_a_contradiction_too() -> None:
    chain = FakeChain()
    chain.balances = {PARENT.hash: 1_000, HEAD.hash: 0}
    assert "changed by -1000" in str(await contradiction(chain.client, HEAD, [(TOKEN, 0)], account=ACCOUNT))


async def test_a_balance_that_a_later_block_left_is_read_once_more() -> None:
    """A node that is asked while the next block comes has answered with the state of that one."""
    chain = FakeChain()
    chain.balances = {PARENT.hash: 1_000, HEAD.hash: 1_700}
    chain.early = [1_000, 2_100]
    assert await contradiction(chain.client, HEAD, [(TOKEN, 700)], account=ACCOUNT) is None
    assert not chain.early
