"""An executor on an EVM in this process that makes a plugin's calls, with plenty of tokens.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from tallyio.engine.executor import deployment, encode_run
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted, deploy
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.units import Address, Wei
from tallyio.testing.funds import held
from tallyio.testing.revm_chain import RevmChain

RICH: Final = 1 << 140
"""What the executor holds of every token at first."""
_FOREVER: Final = 1 << 64
_NO_TIP: Final = Wei(0)

Fund = Callable[[RevmChain, Address, Address, int], None]
"""Gives an account so much of a token more. Raises: Reverted: it cannot."""


class Trader:
    """The executor, owned by `OPERATOR`; what it makes happens in the head."""

    def __init__(self, chain: RevmChain) -> None:
        """Deploy it."""
        self.address: Final = chain.backend.deploy(deployment(OPERATOR))
        self._chain = chain
        # `run` counts its gain in one token: here in one that nobody trades.
        self._idle = chain.backend.run(deploy(artifact("Token"), "idle", "IDLE", 18)).address

    def enrich(self, tokens: Iterable[Address], fund: Fund) -> None:
        """Give it `RICH` of each token; what nobody can give is done without."""
        for token in sorted(set(tokens)):
            with suppress(Reverted):
                fund(self._chain, token, self.address, RICH)

    def run_of(self, packed: bytes, token: Address | None = None) -> Call:
        """Return the call that makes packed calls, and counts its gain in `token`."""
        data = encode_run(
            packed,
            token=token or self._idle,
            min_profit=0,
            tip_wei=_NO_TIP,
            deadline_block=_FOREVER,
            sweep=(),
        )
        return Call(to=self.address, data=data)

    def make(self, packed: bytes) -> None:
        """Make packed calls in the head. Raises: Reverted."""
        self._chain.backend.append(self.run_of(packed))

    def empty(self, token: Address) -> None:
        """Let the executor give all of a token to its owner."""
        self._chain.backend.append(self.run_of(b"", token))

    def held(self, token: Address) -> int:
        """Return how much it and its owner hold: of the native currency `run` sends what is left to him."""
        return self.holds(token) + held(self._chain, token, OPERATOR)

    def holds(self, token: Address) -> int:
        """Return how much it holds itself."""
        return held(self._chain, token, self.address)
