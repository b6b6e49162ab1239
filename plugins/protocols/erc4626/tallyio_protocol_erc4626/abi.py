"""The calls and events of a vault, as bytes. Source: https://eips.ethereum.org/EIPS/eip-4626."""

from __future__ import annotations

from typing import Final

from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import address_word, require_words, word
from tallyio_protocol_erc4626.settings import WHERE

DEPOSIT_EVENT: Final = event_topic("Deposit(address,address,uint256,uint256)")
WITHDRAW_EVENT: Final = event_topic("Withdraw(address,address,address,uint256,uint256)")

ASSET: Final = selector("asset()")
DECIMALS: Final = selector("decimals()")
TOTAL_ASSETS: Final = selector("totalAssets()")
TOTAL_SUPPLY: Final = selector("totalSupply()")
MAX_DEPOSIT: Final = selector("maxDeposit(address)")
MAX_MINT: Final = selector("maxMint(address)")
MAX_REDEEM: Final = selector("maxRedeem(address)")
MAX_WITHDRAW: Final = selector("maxWithdraw(address)")

PREVIEWS: Final = {
    name: selector(f"{name}(uint256)")
    for name in ("previewDeposit", "previewMint", "previewWithdraw", "previewRedeem")
}

_DEPOSIT: Final = selector("deposit(uint256,address)")
_REDEEM: Final = selector("redeem(uint256,address,address)")


def preview(vault: Address, name: str, amount: int) -> Call:
    """Return the call of a preview."""
    return Call(to=vault, data=PREVIEWS[name] + word(amount))


def limit(vault: Address, which: bytes, account: Address) -> Call:
    """Return the call that answers an account's limit."""
    return Call(to=vault, data=which + address_word(account))


def deposit(vault: Address, assets: int, receiver: Address) -> Call:
    """Return the call that turns assets of its sender, which the vault may take, into shares."""
    return Call(to=vault, data=_DEPOSIT + word(assets) + address_word(receiver))


def redeem(vault: Address, shares: int, owner: Address) -> Call:
    """Return the call by which an owner turns shares into assets."""
    return Call(to=vault, data=_REDEEM + word(shares) + address_word(owner) + address_word(owner))


def require_word(answer: bytes | None, vault: Address) -> bytes:
    """Return an answer of one word or more. Raises: ChainError: that is no vault."""
    return require_words(
        answer,
        1,
        contract=vault,
        kind="an ERC-4626 vault",
        way_out=f"check the addresses in [{WHERE}.vaults]",
    )
