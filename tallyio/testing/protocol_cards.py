"""The cards of a protocol whose pools quote and trade.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.testing.cards import Cards
from tallyio.testing.revm_chain import RevmChain


class ProtocolCards(Cards):
    """The cards of a plugin that builds an `ExchangeProtocol`.

    The author deploys his protocol's real contracts on an EVM in this process; the cards then let the
    plugin find them, quote them and trade with them, and believe the contracts in all they do.

    ```python
    class TestConformance(ProtocolCards):
        plugin = "constant_sum"

        def settings(self, chain):
            return {"pools": [deploy(chain)]}

        def reference(self, row, i, j, amount_in):
            return reference.quote(unpack(row), i, amount_in)
    ```
    """

    kind: ClassVar[Kind] = "protocol"

    quotes: ClassVar[int] = 200
    """How many random amounts are compared with the contract, over all pools and directions."""
    seed: ClassVar[int] = 1
    """Of the amounts: two runs try the same."""

    def chain(self) -> RevmChain:
        """Return a fresh chain; by default the lab's world. Called once for all cards."""
        return RevmChain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy what the plugin is to find, unless it is there, and return the plugin's settings table.

        Called once, after `chain`. A few pools of every shape that the plugin claims are enough.
        """
        raise NotImplementedError

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Give `account` so much of `token` more.

        By default as the lab's token has it, `mint(address,uint256)`, and the chain's wrapped native
        token by a deposit.
        """
        raise NotImplementedError

    def changes(self, chain: RevmChain, pools: Sequence[PoolSpec]) -> Sequence[Call]:
        """Return calls, made by `tallyio.lab.world.OPERATOR`, that change the pools besides swaps.

        Deposits, withdrawals, new fees: each is made in a block of its own, between swaps, and the rows
        must follow. By default none.
        """
        return ()

    def pays(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_in: int) -> int | None:
        """Return what the contract says that `amount_in` of token `i` buys of token `j`; 0: it reverts.

        By default None: the plugin's own calls are then executed, and what arrives is believed. Override
        it where the contract has a view for it, and more is compared in less time.
        """
        return None

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int | None:
        """Return what the contract takes of token `i` for exactly `amount_out` of `j`; 0: it reverts.

        By default None: then the plugin's calls must bring the output for the quoted input.
        """
        return None

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Return the quote from the plugin's reference in Python integers, which is its specification."""
        raise NotImplementedError

    def meaning(self, row: bytes) -> object:
        """Return what of a row must be equal after logs and after a fresh load; by default every byte."""
        return row

    def known_exception(self, pool: PoolSpec, i: int, j: int, amount: int) -> str:
        """Return the name of the documented exception because of which this quote may differ; "": none."""
        return ""
