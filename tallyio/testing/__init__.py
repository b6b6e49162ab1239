"""The kit for authors of plugins: worlds to test in, and the conformance cards that every plugin passes.

Layer: testing. It joins what lies below for tests alone; nothing but tests imports it. Each name is
imported when it is first asked for. The cards need `tallyio[testing]`:

```python
from tallyio.testing import ProtocolCards

class TestConformance(ProtocolCards):
    plugin = "constant_sum"

    def settings(self, chain):
        return {"pools": [self.deploy(chain)]}
```
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tallyio.lab.revm import BareWorld as BareWorld
    from tallyio.testing.book_cards import Judged as Judged
    from tallyio.testing.cards import Cards as Cards
    from tallyio.testing.cards import card as card
    from tallyio.testing.chain_cards import ChainCards as ChainCards
    from tallyio.testing.lending_cards import LendingCards as LendingCards
    from tallyio.testing.notifier_cards import SECRET as SECRET
    from tallyio.testing.notifier_cards import Mailbox as Mailbox
    from tallyio.testing.notifier_cards import NotifierCards as NotifierCards
    from tallyio.testing.protocol_cards import ProtocolCards as ProtocolCards
    from tallyio.testing.revm_chain import RevmChain as RevmChain
    from tallyio.testing.revm_chain import head_at as head_at
    from tallyio.testing.signer_cards import SignerCards as SignerCards
    from tallyio.testing.slow_strategy_cards import SlowStrategyCards as SlowStrategyCards
    from tallyio.testing.strategy_cards import StrategyCards as StrategyCards

_HOMES: Final = {
    "BareWorld": "tallyio.lab.revm",
    "Cards": "tallyio.testing.cards",
    "ChainCards": "tallyio.testing.chain_cards",
    "Judged": "tallyio.testing.book_cards",
    "LendingCards": "tallyio.testing.lending_cards",
    "Mailbox": "tallyio.testing.notifier_cards",
    "NotifierCards": "tallyio.testing.notifier_cards",
    "ProtocolCards": "tallyio.testing.protocol_cards",
    "RevmChain": "tallyio.testing.revm_chain",
    "SECRET": "tallyio.testing.notifier_cards",
    "SignerCards": "tallyio.testing.signer_cards",
    "SlowStrategyCards": "tallyio.testing.slow_strategy_cards",
    "StrategyCards": "tallyio.testing.strategy_cards",
    "card": "tallyio.testing.cards",
    "head_at": "tallyio.testing.revm_chain",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
