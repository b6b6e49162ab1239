"""Which token wraps the native currency, from configuration.

```toml
[protocols.wrapped_native]
token = "0x…"               # the same as `native` of the run
gas_wrap = 34000            # estimates, optional
gas_unwrap = 20000
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address
from tallyio.model.errors import ConfigError
from tallyio.model.units import ZERO_ADDRESS, Address

WHERE: Final = "protocols.wrapped_native"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.wrapped_native]` table."""

    token: str
    """Address of the wrapped native token, such as WETH."""
    gas_wrap: int = 34_000
    """Estimate for `deposit` by an account that has none: 22,100 for its balance, 9,000 for the value."""
    gas_unwrap: int = 20_000
    """Estimate for `withdraw`: 9,000 for the value, 5,000 for the balance; refunds are not counted on."""


def token_of(settings: Settings) -> Address:
    """Return the token. Raises: ConfigError: it is no address, or a gas is negative."""
    token = parse_address(settings.token, where=f"{WHERE}.token")
    if token == ZERO_ADDRESS:
        raise ConfigError(f"[{WHERE}.token] is the zero address, which means native currency itself")
    if min(settings.gas_wrap, settings.gas_unwrap) < 0:
        raise ConfigError(f"[{WHERE}] has a negative gas")
    return token
