"""Who trades: the account and its executor contract, checked against the chain, or made up on paper.

Layer: engine.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.engine.config import Config
from tallyio.engine.executor import OWNER_SELECTOR, deployment
from tallyio.engine.mirror import code_after
from tallyio.hooks.interfaces import NOTHING, ChainReader, Pretended
from tallyio.model.chain import Head
from tallyio.model.errors import ConfigError, UnsafeRefused
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, checksum

PAPER_ACCOUNT: Final = Address(keccak256(b"tallyio: paper account")[-20:])
PAPER_EXECUTOR: Final = Address(keccak256(b"tallyio: paper executor")[-20:])
"""Addresses that nobody has a key for and nobody can deploy to."""


class Parties(msgspec.Struct, frozen=True, kw_only=True):
    """The account that owns the executor, and what is pretended so that simulation works."""

    account: Address
    executor: Address
    pretend: Pretended = NOTHING

    @property
    def on_paper(self) -> bool:
        """Whether the executor exists only in simulation."""
        return bool(self.pretend)


async def find_parties(chain: ChainReader, config: Config, head: Head, *, live: bool) -> Parties:
    """Return who trades under `config`.

    On paper whatever the configuration leaves out is made up: an account without a key, and an
    executor that exists in simulation only.

    Raises: ConfigError: live, and account or executor is missing or no executor contract.
    UnsafeRefused: the executor belongs to somebody else, who would receive all profit.
    """
    if config.account is None or config.executor is None:
        if live:
            raise ConfigError(
                f"{config.source}: --live needs account and executor in [execution]",
                way_out="`tallyio keys new` makes an account, `tallyio executor` what deploys an executor",
            )
        account = config.account or PAPER_ACCOUNT
        code = code_after(deployment(account), account)
        return Parties(account=account, executor=PAPER_EXECUTOR, pretend={PAPER_EXECUTOR: code})
    await _check_owner(chain, config.source, head, executor=config.executor, account=config.account)
    return Parties(account=config.account, executor=config.executor)


async def _check_owner(
    chain: ChainReader, source: str, head: Head, *, executor: Address, account: Address
) -> None:
    (answer,) = await chain.call([Call(to=executor, data=OWNER_SELECTOR)], block=head.hash)
    if not answer:
        raise ConfigError(
            f"{source}: [execution.executor] {checksum(executor)} is no executor contract",
            way_out=f"`tallyio executor {checksum(account)}` prints what deploys one; paper runs without",
        )
    owner = Address(answer[-20:])
    if owner != account:
        raise UnsafeRefused(
            f"{source}: the executor belongs to {checksum(owner)}, not to [execution.account]"
            f" {checksum(account)}",
            way_out="its owner receives all profit: use your own",
        )
