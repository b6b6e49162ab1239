"""What can go wrong between us and a node; each is a `ChainError`.

The split says who may repeat a question: `ConnectionLost` and `CallTimeout` may be asked again,
`RpcError` is the node's own answer, `WrongChain` and `GaveUp` end the client.
"""

from __future__ import annotations

import re
from typing import Final

from tallyio.model.errors import ChainError

METHOD_NOT_FOUND: Final = -32_601
_UNSUPPORTED: Final = re.compile(
    r"method .*(not found|does not exist|not available|not supported|not allowed|disabled)"
    r"|unsupported method|did not match any variant",
    re.IGNORECASE,
)
"""How nodes say that they lack a method, where they do not use the code for it."""


class ConnectionLost(ChainError):
    """The connection broke before the answer came."""


class CallTimeout(ChainError):
    """No whole answer within the deadline."""


class NoPendingTransactions(ChainError):
    """The node does not tell what waits in its mempool."""


class MalformedReply(ChainError):
    """The answer breaks JSON, JSON-RPC or the method's own format."""


class BatchRefused(MalformedReply):
    """The node answered a message of several calls with one error for all of them."""


class MessageTooLarge(ChainError):
    """A message is larger than `max_bytes`; the connection was closed."""


class IncompleteBlock(ChainError):
    """The logs of a block do not add up to its header."""


class NoAncestor(ChainError):
    """A head stands on no block that is still kept: it is old, or of a reorg deeper than is undone."""


class WrongChain(ChainError):
    """The endpoint serves another chain than the configured one."""


class GaveUp(ChainError):
    """The endpoint was unreachable for longer than `patience_s`."""


class NoDebugMethods(ChainError):
    """The node has no `debug_trace*` methods; ask it in another way.

    Its `code` is what a caller that knows no plugin tells it by.
    """

    code = "chain_unsupported"


class RpcError(ChainError):
    """The node's own error: it understood the request and refused it."""

    def __init__(self, message: str, *, rpc_code: int = 0, reason: str = "", data: bytes = b"") -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        """The code of JSON-RPC or of the node's own making."""
        self.reason = reason
        """The node's words, cleaned for display."""
        self.data = data
        """The error's `data` as JSON text; revert data where a call reverted."""

    @property
    def unsupported(self) -> bool:
        """Whether the node lacks what was asked for, and will lack it next time."""
        return self.rpc_code == METHOD_NOT_FOUND or _UNSUPPORTED.search(self.reason) is not None
