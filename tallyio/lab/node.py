"""Run recipes on a node, over JSON-RPC, as its operator.

Layer: lab. The node has to let the operator use any account and say when a block is mined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tallyio.lab.rpc import Rpc
from tallyio.lab.steps import (
    BLOCK_SECONDS,
    DEPLOY_GAS,
    GENESIS_TIMESTAMP,
    Deploy,
    Read,
    Recipe,
    Reverted,
    Send,
    Step,
    T,
    Transaction,
)
from tallyio.lab.world import ACCOUNTS, DEPLOYER, OPERATOR, RICH_WEI
from tallyio.model.execution import Call
from tallyio.model.units import Address, hex_text

SUCCESS = "0x1"
"""The status of a transaction that did not revert."""


class NodeBackend:
    """Runs recipes through `rpc`."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    async def prepare(self) -> None:
        """Give the lab's accounts native currency, and keep the node from logging every request."""
        await self.rpc.call("anvil_setLoggingEnabled", False)
        for account in ACCOUNTS:
            await self.fund(account, RICH_WEI)

    async def run(self, recipe: Recipe[T]) -> T:
        """Run `recipe` to its end and return its result. Raises: Reverted; NodeGone."""
        try:
            step = next(recipe)
            while True:
                step = recipe.send(await self._do(step))
        except StopIteration as end:
            result: T = end.value
            return result

    async def fund(self, account: Address, wei: int) -> None:
        """Set the native balance of `account`."""
        await self.rpc.call("anvil_setBalance", hex_text(account), hex(wei))

    async def call(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Return what `call` returns on the head's state. Raises: EnvironmentFault: it reverts."""
        text: str = await self.rpc.call("eth_call", {"from": hex_text(sender), **_call(call)}, "latest")
        return bytes.fromhex(text[2:])

    async def block(self, transactions: tuple[Transaction, ...]) -> list[dict[str, Any]]:
        """Send the transactions, mine one block, and return its receipts as the node gives them.

        What does not fit into the block is dropped. Raises: Reverted: one failed that may not.
        """
        sent = await self.send(transactions)
        return await self.confirm(sent, await self.mine_quietly())

    async def send(self, transactions: tuple[Transaction, ...]) -> dict[str, Transaction]:
        """Send the transactions, to wait for a block; return them by hash."""
        base_fee_wei = await self._next_base_fee()
        return {await self._send(transaction, base_fee_wei): transaction for transaction in transactions}

    async def confirm(self, sent: Mapping[str, Transaction], number: int) -> list[dict[str, Any]]:
        """Return the receipts of block `number`, which was to hold `sent`, and drop what it left out.

        Raises: Reverted: a transaction failed that may not.
        """
        receipts = await self._receipts(number)
        status = {receipt["transactionHash"]: receipt["status"] for receipt in receipts}
        for hash_, transaction in sent.items():
            if hash_ not in status:
                await self.rpc.call("anvil_dropTransaction", hash_)
            if status.get(hash_) != SUCCESS and not transaction.may_fail:
                why = "reverted" if hash_ in status else "did not fit into its block"
                raise Reverted(f"transaction {hash_} to {hex_text(transaction.call.to)} {why}")
        return receipts

    async def mine(self) -> list[dict[str, Any]]:
        """Mine one block of what was sent so far, and return its receipts."""
        return await self._receipts(await self.mine_quietly())

    async def mine_quietly(self) -> int:
        """Mine one block of what was sent so far; return its number and ask nothing more of the node."""
        number = int(await self.rpc.call("eth_blockNumber"), 16) + 1
        await self.rpc.call("evm_mine", hex(GENESIS_TIMESTAMP + BLOCK_SECONDS * number))
        return number

    async def _receipts(self, number: int) -> list[dict[str, Any]]:
        receipts: list[dict[str, Any]] = await self.rpc.call("eth_getBlockReceipts", hex(number))
        return receipts

    async def settle(self, base_fee_wei: int) -> None:
        """Mine an empty block with that base fee, from which the fees of all later blocks follow."""
        await self.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        await self.mine()

    async def deploy(self, init_code: bytes) -> Address:
        """Create a contract from `init_code` in a block of its own."""
        fees = _fees(DEPLOY_GAS, await self._next_base_fee(), 0)
        sent = {"from": hex_text(DEPLOYER), "data": hex_text(init_code), **fees}
        transaction: str = await self.rpc.call("eth_sendTransaction", sent)
        for receipt in await self.mine():
            if receipt["transactionHash"] == transaction and receipt["status"] == SUCCESS:
                return Address(bytes.fromhex(receipt["contractAddress"][2:]))
        raise Reverted(f"deployment {transaction} reverted")

    async def _do(self, step: Step) -> object:
        match step:
            case Deploy(init_code):
                return await self.deploy(init_code)
            case Send(transactions):
                return await self.block(transactions)
            case Read(calls):
                return tuple([await self.call(call) for call in calls])

    async def _next_base_fee(self) -> int:
        history = await self.rpc.call("eth_feeHistory", "0x1", "latest", [])
        return int(history["baseFeePerGas"][-1], 16)

    async def _send(self, transaction: Transaction, base_fee_wei: int) -> str:
        fees = _fees(transaction.gas_limit, base_fee_wei, transaction.priority_fee_wei)
        sent = {"from": hex_text(transaction.sender), **_call(transaction.call), **fees}
        text: str = await self.rpc.call("eth_sendTransaction", sent)
        return text


def _call(call: Call) -> dict[str, str]:
    return {"to": hex_text(call.to), "data": hex_text(call.data), "value": hex(call.value_wei)}


def _fees(gas_limit: int, base_fee_wei: int, priority_fee_wei: int) -> dict[str, str]:
    # The node orders a block by the most that a transaction would pay, so we never offer more than we mean.
    return {
        "gas": hex(gas_limit),
        "maxFeePerGas": hex(base_fee_wei + priority_fee_wei),
        "maxPriorityFeePerGas": hex(priority_fee_wei),
    }
