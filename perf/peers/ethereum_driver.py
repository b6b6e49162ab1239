"""eth-account, eth-abi and web3.py on request: run by `session.py` in an environment that has one of them.

Runs under that environment's interpreter, and imports nothing of ours; `serving.py` says how it is asked.
"""

# mypy: disable-error-code="no-untyped-call,import-not-found,attr-defined"
from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from serving import serve  # beside this script

SIGNATURES = 50
CODED = 500
ASKED = 30


def each_ns(work: Callable[[], object], count: int) -> float:
    """Return the nanoseconds of one call of `work`."""
    start = time.process_time_ns()
    for _ in range(count):
        work()
    return (time.process_time_ns() - start) / count


class Driver:
    """What was prepared, and how it is measured."""

    def sign(self, key: str, transaction: dict[str, Any]) -> str:
        """Prepare a transaction and a key; return the signed bytes in hex."""
        from eth_account import Account  # noqa: PLC0415 - only this environment has it

        account = Account.from_key(key)
        self._sign = lambda: account.sign_transaction(transaction)
        return str(self._sign().raw_transaction.hex()).removeprefix("0x")

    def sign_ns(self) -> float:
        """Sign it."""
        return each_ns(self._sign, SIGNATURES)

    def code(self, encoded: list[str], values: list[Any], decoded: list[str], data: str) -> list[Any]:
        """Prepare types and values to encode, and types and data to decode; return both results."""
        from eth_abi import decode, encode  # noqa: PLC0415 - only this environment has it

        raw = bytes.fromhex(data)
        self._encode = lambda: encode(encoded, values)
        self._decode = lambda: decode(decoded, raw)
        return [self._encode().hex(), list(self._decode())]

    def encode_ns(self) -> float:
        """Encode them."""
        return each_ns(self._encode, CODED)

    def decode_ns(self) -> float:
        """Decode it."""
        return each_ns(self._decode, CODED)

    def ask(self, url: str, to: str, data: str) -> str:
        """Prepare a call of a contract through HTTP; return the answer in hex."""
        from web3 import Web3  # noqa: PLC0415, TID251 - the peer, in its environment

        self._node = Web3(Web3.HTTPProvider(url))
        self._call = lambda: self._node.eth.call({"to": Web3.to_checksum_address(to), "data": data})
        return str(self._call().hex()).removeprefix("0x")

    def ask_ns(self) -> float:
        """Make the call."""
        taken = []
        for _ in range(ASKED):
            start = time.perf_counter_ns()
            self._call()
            taken.append(time.perf_counter_ns() - start)
        return statistics.median(taken)

    def ask_over_websocket(self, url: str, to: str, data: str) -> str:
        """Prepare the same over one WebSocket that stays open; return the answer in hex."""
        import asyncio  # noqa: PLC0415, TID251 - the peer's own event loop

        from web3 import AsyncWeb3, WebSocketProvider  # noqa: PLC0415, TID251 - the same

        self._loop = asyncio.new_event_loop()
        self._socket = AsyncWeb3(WebSocketProvider(url))
        self._loop.run_until_complete(self._socket.provider.connect())
        self._order = {"to": AsyncWeb3.to_checksum_address(to), "data": data}
        answer = self._loop.run_until_complete(self._socket.eth.call(self._order))
        return str(answer.hex()).removeprefix("0x")

    def ask_over_websocket_ns(self) -> float:
        """Make the call, over and over within one run of the loop."""

        async def calls() -> float:
            taken = []
            for _ in range(ASKED):
                start = time.perf_counter_ns()
                await self._socket.eth.call(self._order)
                taken.append(time.perf_counter_ns() - start)
            return statistics.median(taken)

        return float(self._loop.run_until_complete(calls()))


if __name__ == "__main__":
    serve(Driver())
