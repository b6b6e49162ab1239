"""Why a plan reverts that was right by every formula: a token that does not do what it is told.

Layer: engine. A token that keeps a part of whatever is sent, or sends nothing, makes the next call of a plan
fail, and that call says nothing of it. So each token that a reverted plan moves is tried by itself: a pool
that has it sends some to the executor, in a call that leaves no trace, and what arrives is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, unsigned, word

KEEPS: Final = "{name} keeps a part of what is sent: of {sent} smallest units {arrives} arrive"

# Stands in the place of a pool's code. For (token, receiver, amount) it asks the token for the receiver's
# balance, lets it transfer, asks again, and returns the difference; where a call reverts it does too.
_BALANCE: Final = "6370a0823160e01b5f52" + "602035600452"
_ASK: Final = _BALANCE + "602060{into}60245f5f355afa"
_SEND: Final = "63a9059cbb60e01b5f52" + "602035600452" + "604035602452" + "5f5f60445f5f5f355af1"
_ANSWER: Final = "161615606957" + "60805160a05103" + "5f5260205ff3" + "5b5f5ffd"
_TRY: Final = bytes.fromhex(_ASK.format(into="80") + _SEND + _ASK.format(into="a0") + _ANSWER)


class Blame:
    """Tries tokens on the state of a block. `pools` are by id; `name` says what people call a token."""

    def __init__(
        self,
        chain: ChainReader,
        *,
        executor: Address,
        pools: Sequence[PoolSpec],
        name: Callable[[Address], str],
    ) -> None:
        self._chain = chain
        self._executor = executor
        self._pools = pools
        self._name = name

    async def explain(self, opportunity: Opportunity, head: Head) -> str:
        """Return which token of `opportunity` is to blame; empty where none is, or nobody can say."""
        for token, holder, amount in self._moves(opportunity):
            try:
                arrives = await self._arrives(token, holder, amount, head)
            except ChainError:
                return ""
            if arrives is not None and arrives < amount:
                return KEEPS.format(name=self._name(token), sent=amount, arrives=arrives)
        return ""

    def _moves(self, opportunity: Opportunity) -> Iterator[tuple[Address, Address, int]]:
        """Yield each token once, with a pool that has it and an amount that moves."""
        known: set[Address] = set()
        for leg in opportunity.legs:
            if not isinstance(leg, Leg):
                continue
            pool = self._pools[leg.pool]
            for side, amount in ((leg.token_in, leg.amount_in), (leg.token_out, leg.amount_out)):
                token = pool.tokens[side]
                if token not in known:
                    known.add(token)
                    yield token, pool.address, amount

    async def _arrives(self, token: Address, holder: Address, amount: int, head: Head) -> int | None:
        """Return how much of `amount` arrives; None: the holder cannot send that much."""
        call = Call(to=holder, data=address_word(token) + address_word(self._executor) + word(amount))
        [answer] = await self._chain.call([call], block=head.hash, pretend={holder: _TRY})
        return unsigned(answer, 0) if answer is not None and len(answer) >= WORD else None
