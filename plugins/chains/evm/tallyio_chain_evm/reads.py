"""Calls and log queries, in as few round trips as the node allows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.model.chain import Log, LogFilter
from tallyio.model.execution import Call
from tallyio.model.units import Address, Hash
from tallyio_chain_evm import requests
from tallyio_chain_evm.errors import BatchRefused, CallTimeout, MalformedReply, MessageTooLarge, RpcError
from tallyio_chain_evm.link import Answer, Link
from tallyio_chain_evm.rpc import Request

REVERTED = 3
"""The error code of a reverted call, where a node has one."""
LIMIT_EXCEEDED = -32_005
"""The error code of EIP-1474 for who asks too often, and some nodes' for who asks for too much."""
_FAILED_IN_EVM = re.compile(
    r"revert|invalid opcode|out of gas|stack (under|over)flow|stack limit reached|invalid jump|evm error"
    r"|vm execution|write protection|static state change|not activated|call depth|return data out of bounds"
    r"|gas uint64 overflow|invalid code: |max (init)?code size|address collision",
    re.IGNORECASE,
)
"""How nodes say that the call itself failed; they share no code for it."""
_TOO_MANY = re.compile(
    r"too many (results|logs|blocks)|more than \d+ (results|logs)|exceed|too (large|big|wide)"
    r"|block range|limited to|response size|timed? ?out",
    re.IGNORECASE,
)
"""How nodes say that a log query selects too much; they share no code for that either."""
_TOO_FAST = re.compile(
    r"\brate\b|per second|too many requests|request count|capacity|compute units", re.IGNORECASE
)
"""How nodes say that we ask too often: asking for less at a time would ask more often still."""


class Slices:
    """Asks much in several messages, each within a deadline of its own and halved where it is too much."""

    def __init__(self, link: Link, size: int) -> None:
        """`size`: most requests in one message, at first."""
        self._link = link
        self._size = size

    async def ask_all[T](self, asked: Sequence[Request[T]]) -> list[Answer[T] | RpcError]:
        """Return the answers to `asked`, in order.

        Raises: ChainError. After a CallTimeout what is asked next goes out in smaller messages; it is
        raised all the same, since the connection is still busy with the answer.
        """
        answers: list[Answer[T] | RpcError] = []
        while len(answers) < len(asked):
            part = asked[len(answers) : len(answers) + self._size]
            try:
                told = await self._link.ask_all(part)
            except (BatchRefused, CallTimeout, MessageTooLarge) as fault:
                if len(part) == 1:
                    raise
                self._size = len(part) // 2
                if isinstance(fault, CallTimeout):
                    raise
                continue
            if len(part) > 1 and any(isinstance(each, RpcError) and _splits(each) for each in told):
                self._size = len(part) // 2
            else:
                answers += told
        return answers


async def call(
    link: Link,
    calls: Sequence[Call],
    *,
    block: Hash | None,
    sender: Address | None,
    pretend: Pretended = NOTHING,
) -> list[bytes | None]:
    """Return what each call returns, None where it reverted. Raises: ChainError: anything else failed."""
    asked = [requests.call(each, sender=sender, block=block, pretend=pretend) for each in calls]
    answers = await link.ask_all(asked)
    return [_returned(answer) for answer in answers]


async def logs(link: Link, query: LogFilter, *, log_range: int) -> list[Log]:
    """Return the logs that `query` selects, in chain order.

    At most `log_range` blocks at a time, halved wherever the node finds that too many.
    """
    found: list[Log] = []
    for first in range(query.from_block, query.to_block + 1, log_range):
        found += await _logs(link, query, first, min(first + log_range - 1, query.to_block))
    return sorted(found, key=lambda log: (log.block_number, log.log_index))


async def _logs(link: Link, query: LogFilter, first: int, last: int) -> list[Log]:
    try:
        found = (await link.ask(requests.logs_of_range(query, first, last))).value
    except (RpcError, MessageTooLarge) as fault:
        if first == last or not _splits(fault):
            raise
    else:
        return _inside(link, found, first, last)
    middle = (first + last) // 2
    return await _logs(link, query, first, middle) + await _logs(link, query, middle + 1, last)


def too_fast(fault: RpcError) -> bool:
    """Return whether the node says that we ask too often: it will answer later."""
    return fault.rpc_code == LIMIT_EXCEEDED or _TOO_FAST.search(fault.reason) is not None


def _splits(fault: RpcError | MessageTooLarge) -> bool:
    if isinstance(fault, MessageTooLarge):
        return True
    return _TOO_MANY.search(fault.reason) is not None and _TOO_FAST.search(fault.reason) is None


def _inside(link: Link, found: tuple[Log, ...], first: int, last: int) -> list[Log]:
    for log in found:
        if not first <= log.block_number <= last:
            raise MalformedReply(
                f"{link.endpoint} answered a query for blocks {first} to {last}"
                f" with a log of block {log.block_number}"
            )
    return list(found)


def _returned(answer: Answer[bytes] | RpcError) -> bytes | None:
    if not isinstance(answer, RpcError):
        return answer.value
    if answer.rpc_code == REVERTED or _FAILED_IN_EVM.search(answer.reason):
        return None
    raise answer
