"""The conformance cards, on a scripted node."""

from __future__ import annotations

from tallyio.testing import ChainCards


class TestConformance(ChainCards):
    """A connection with little patience."""

    plugin = "evm"

    def settings(self, url: str, chain_id: int) -> dict[str, object]:
        """Return the table of an endpoint."""
        patience = {"deadline_s": 0.5, "patience_s": 1.0, "max_silence_s": 0.3}
        return {"url": url, "chain_id": chain_id, **patience}
