"""What a vault pays and takes, in Python integers: the specification of `hot`.

Sources: `ERC4626` of OpenZeppelin 5.4.0 (virtual shares) and 4.8.3, and of solmate 6.8.0 (none). All of them
round in favour of the vault. They differ in what an empty vault starts with, which is data here: with
virtual shares there is always one unit of assets more, and so many shares more, than the vault has; without,
the first deposit is one to one.
"""

from __future__ import annotations

from typing import Final

import msgspec

MOST: Final = (1 << 128) - 1
"""The largest amount, and the largest total: products then fit into 256 bits, as solmate's want."""


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """What a vault's quotes depend on. Limits are those of single calls; `MOST` means there is none."""

    total_assets: int
    supply: int
    virtual_shares: int
    """10 ** (decimals offset); 0 where the kind has none."""
    max_deposit: int = MOST
    max_mint: int = MOST
    max_redeem: int = MOST
    max_withdraw: int = MOST

    @property
    def sides(self) -> tuple[int, int]:
        """Assets and shares whose ratio is the price."""
        if self.virtual_shares:
            return self.total_assets + 1, self.supply + self.virtual_shares
        return (self.total_assets, self.supply) if self.supply else (1, 1)

    def preview_deposit(self, assets: int) -> int:
        """Return the shares for `assets`, rounded down."""
        total, shares = self.sides
        return assets * shares // total if total else 0

    def preview_mint(self, shares: int) -> int:
        """Return the assets that `shares` cost, rounded up."""
        total, supply = self.sides
        return -(-shares * total // supply)

    def preview_withdraw(self, assets: int) -> int:
        """Return the shares that `assets` cost, rounded up."""
        total, shares = self.sides
        return -(-assets * shares // total) if total else 0

    def preview_redeem(self, shares: int) -> int:
        """Return the assets for `shares`, rounded down."""
        total, supply = self.sides
        return shares * total // supply


def quote(vault: Vault, i: int, amount_in: int) -> int:
    """Return what depositing (`i` = 0) or redeeming (1) pays; 0 where it would revert or pay nothing."""
    if amount_in > MOST:
        return 0
    if i == 0:
        return vault.preview_deposit(amount_in) if amount_in <= vault.max_deposit else 0
    if amount_in > vault.max_redeem:
        return 0
    assets = vault.preview_redeem(amount_in)
    return assets if assets <= vault.max_withdraw else 0


def quote_exact_out(vault: Vault, i: int, amount_out: int) -> int:
    """Return what minting (`i` = 0) or withdrawing (1) takes; 0 where it would revert, or takes nothing."""
    if amount_out > MOST:
        return 0
    if i == 0:
        assets = vault.preview_mint(amount_out) if amount_out <= vault.max_mint else 0
        return assets if assets <= MOST else 0
    shares = vault.preview_withdraw(amount_out) if amount_out <= vault.max_withdraw else 0
    return shares if shares <= vault.max_redeem else 0
