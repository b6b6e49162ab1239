"""The conformance cards, on an old and a new kind of pool."""

from __future__ import annotations

import pytest

from tallyio.testing import ProtocolCards, RevmChain
from tests.curve_stable_lab import CodeOf, Lab


class TestConformance(ProtocolCards):
    """Three coins by the first factories, two by the next generation."""

    plugin = "curve_stable"
    code_of: CodeOf

    @pytest.fixture(autouse=True)
    def _take_code(self, code_of: CodeOf) -> None:
        self.code_of = code_of

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Deploy the pools and name them."""
        labs = [Lab(self.code_of, kind, coins, chain=chain) for kind, coins in (("plain", 3), ("ng", 2))]
        return {"pools": [lab.settings for lab in labs], "max_rate_age_seconds": 12}
