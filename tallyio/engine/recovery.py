"""What an earlier run left open, taken over before anything new is signed.

Layer: engine. A nonce that was reserved belongs to its transaction for ever, so each open intent is
carried to its end: signed bytes are sent again as they are; an intent without bytes is signed again,
which gives the same bytes if it was signed before. Its deadline has passed, so the worst that it can
do is to revert and cost a little gas, and the next nonce is free. One whose nonce another transaction
has can have no end: a person has to look.
"""

from __future__ import annotations

from typing import Final

import trio

from tallyio.engine.inflight import InFlight, Sent
from tallyio.hooks.interfaces import ChainClient, SignerClient
from tallyio.ledger.ledger import Ledger
from tallyio.ledger.records import Intent
from tallyio.model.chain import Receipt
from tallyio.model.errors import ChainError, UnsafeRefused
from tallyio.model.execution import SignedTransaction
from tallyio.model.units import Address, Hash, hex_text

_LOOKS: Final = 5
_PAUSE_S: Final = 1.0


async def recover(
    *, chain: ChainClient, signer: SignerClient, ledger: Ledger, inflight: InFlight, account: Address
) -> int:
    """Take over the open intents of `account`; return the next free nonce.

    Raises: UnsafeRefused: the chain counts a nonce that this ledger does not know, so another
    instance or wallet uses the account; or it has one that is open here, and no receipt of ours; or it
    lacks one that was settled. SignerRefused: the policy forbids an intent of before.
    """
    known = await ledger.next_nonce(chain.chain_id, account)
    mined = await chain.nonce(account)
    if mined > known > 0:
        raise UnsafeRefused(
            f"the chain has mined {mined} transactions of 0x{account.hex()}, this ledger knows {known}",
            way_out="another instance or wallet uses the account; stop it, then start with a fresh data_dir",
        )
    intents = await ledger.open_intents(chain.chain_id, account)
    lost = set(range(mined, known)) - {intent.unsigned.nonce for intent in intents}
    if lost:
        raise UnsafeRefused(
            f"nonce {min(lost)} of 0x{account.hex()} has settled here, but the chain has mined {mined} only",
            way_out="after a reorg, start again when the chain has it again;"
            " if the chain was reset, use a fresh key and a fresh data_dir",
        )
    for intent in intents:
        sent = take_over(intent, intent.signed or await _signed(intent, signer, ledger))
        inflight.add(sent)
        nonce, digest = intent.unsigned.nonce, sent.transaction.hash
        if await _receipt(chain, digest, looks=_LOOKS if nonce < mined else 1):
            continue
        if nonce < mined:
            raise UnsafeRefused(
                f"the chain has mined nonce {nonce} of 0x{account.hex()}, but knows no receipt of"
                f" {hex_text(digest)}, which has it here",
                way_out="if the node is only behind, start again when it has caught up; else another instance"
                " or wallet uses the account: stop it, and when nothing of the account is under way any more,"
                " start with a fresh data_dir",
            )
        await _send_again(chain, sent)
    return max(known, mined)


async def _receipt(chain: ChainClient, transaction: Hash, *, looks: int) -> Receipt | None:
    """Look for a receipt; one that should be there may come later than the nonce, from a node behind."""
    for look in range(looks):
        if look:
            await trio.sleep(_PAUSE_S)
        receipt = await chain.receipt(transaction)
        if receipt is not None:
            return receipt
    return None


def take_over(intent: Intent, transaction: SignedTransaction) -> Sent:
    """Return an intent of an earlier run as this one follows it."""
    return Sent(
        intent=intent.id,
        opportunity=intent.opportunity,
        run=intent.run,
        transaction=transaction,
        token=intent.token,
        uses=frozenset(),
        predicted=intent.predicted,
        simulated=intent.predicted,
        path="(from an earlier run)",
        found_in=0,
        deadline_block=intent.deadline_block,
        trace=None,
    )


async def _signed(intent: Intent, signer: SignerClient, ledger: Ledger) -> SignedTransaction:
    transaction = await signer.sign(intent.unsigned)
    await ledger.signed({intent.id: transaction})
    return transaction


async def _send_again(chain: ChainClient, sent: Sent) -> None:
    try:
        await chain.submit(sent.transaction)
    except ChainError:
        # Settlement sends it again at later blocks, and says so.
        return
