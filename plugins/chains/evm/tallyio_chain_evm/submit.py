"""Sending a signed transaction, whose hash is known before the node says a word.

A transaction that the node already has is a success: it may have come by an earlier send whose
answer was lost. So an answer that does not say whether it was taken (late, broken, "nonce too
low") is settled by asking for the hash.
"""

from __future__ import annotations

import re

from tallyio.model.errors import ChainError
from tallyio.model.execution import SignedTransaction
from tallyio.model.units import Hash, hex_text
from tallyio_chain_evm import requests
from tallyio_chain_evm.errors import RpcError
from tallyio_chain_evm.link import Link

_KNOWN = re.compile(r"already known|known transaction|already imported|already in mempool", re.IGNORECASE)


async def submit(link: Link, transaction: SignedTransaction) -> Hash:
    """Send `transaction` and return its hash.

    Raises: RpcError: refused, with the node's reason. ChainError: the node may or may not have it.
    """
    try:
        answered = (await link.ask(requests.send(transaction.raw))).value
    except ChainError as fault:
        if _is_known(fault) or await _has(link, transaction.hash):
            return transaction.hash
        raise
    if answered != transaction.hash:
        raise ChainError(
            f"{link.endpoint} took transaction {hex_text(transaction.hash)} as {hex_text(answered)}",
            way_out="do not trust this endpoint with transactions",
        )
    return answered


def _is_known(fault: ChainError) -> bool:
    return isinstance(fault, RpcError) and _KNOWN.search(fault.reason) is not None


async def _has(link: Link, transaction: Hash) -> bool:
    try:
        return (await link.ask(requests.known(transaction))).value
    except ChainError:
        # The first error says more than this one.
        return False
