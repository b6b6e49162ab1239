"""Between records and the rows of the ledger's tables.

Layer: ledger.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tallyio.ledger.records import Finding, Intent
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import Address, Hash, hex_text


def pack(unsigned: UnsignedTransaction) -> bytes:
    """Return a transaction as its column holds it: JSON, because MessagePack integers end at 64 bits."""
    return msgspec.json.encode(unsigned)


def finding_row(run: int, finding: Finding) -> tuple[object, ...]:
    """Return all columns of an opportunity."""
    return (
        run,
        finding.id,
        finding.strategy,
        finding.block_number,
        hex_text(finding.block_hash),
        finding.path,
        hex_text(finding.token),
        str(finding.amount_in),
        str(finding.predicted),
        None if finding.simulated is None else str(finding.simulated),
        finding.net_wei,
        finding.gate.value if finding.gate else None,
        finding.reason,
    )


def intent_of(account: Address, row: tuple[Any, ...]) -> Intent:
    """Return the intent that the columns of `Journal.open_intents` hold."""
    number, run, opportunity, token, predicted, unsigned, state, deadline, raw, digest = row
    return Intent(
        id=number,
        run=run,
        opportunity=opportunity,
        account=account,
        unsigned=msgspec.json.decode(unsigned, type=UnsignedTransaction),
        state=state,
        token=Address(read_bytes(token)),
        predicted=int(predicted),
        deadline_block=deadline,
        raw=raw,
        hash=Hash(read_bytes(digest)) if digest else None,
    )


def read_bytes(text: str) -> bytes:
    """Return what `hex_text` wrote."""
    return bytes.fromhex(text[2:])
