"""Who trades: checked against the chain when it is configured, made up on paper when it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tallyio.engine.config import Config, parse_config
from tallyio.engine.parties import PAPER_ACCOUNT, PAPER_EXECUTOR, find_parties
from tallyio.hooks.interfaces import ChainReader
from tallyio.model.errors import ConfigError, UnsafeRefused
from tallyio.model.units import Address, checksum
from tallyio.testing.revm_chain import head_at

OURS, THEIRS, EXECUTOR = (Address(bytes([n]) * 20) for n in (1, 2, 3))


class Owned:
    """A chain whose executor answers with an owner, or not at all."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer

    async def call(self, calls: list[Any], **_: object) -> list[bytes | None]:
        """Return the one answer to each call."""
        return [self.answer for _ in calls]


def reader(answer: bytes | None) -> ChainReader:
    return cast("ChainReader", Owned(answer))


def config(account: Address | None, executor: Address | None) -> Config:
    text = f"""
        [chains.a]
        [protocols.b]
        [strategies.c]
        [execution]
        native_token = "{checksum(OURS)}"
    """
    parsed = parse_config(text, source="bot.toml", folder=Path("/"))
    return msgspec.structs.replace(parsed, account=account, executor=executor)


@pytest.mark.parametrize("live", [False, True])
async def test_a_configured_executor_must_be_ours(*, live: bool) -> None:
    ours = config(OURS, EXECUTOR)
    parties = await find_parties(reader(OURS.rjust(32, b"\0")), ours, head_at(1), live=live)
    assert (parties.account, parties.executor, parties.on_paper) == (OURS, EXECUTOR, False)
    with pytest.raises(UnsafeRefused, match=f"the executor belongs to {checksum(THEIRS)}"):
        await find_parties(reader(THEIRS.rjust(32, b"\0")), ours, head_at(1), live=live)


@pytest.mark.parametrize("answer", [None, b""])
async def test_what_is_no_executor_is_refused_with_the_way_to_one(answer: bytes | None) -> None:
    with pytest.raises(ConfigError, match=rf"is no executor contract; `tallyio executor {checksum(OURS)}`"):
        await find_parties(reader(answer), config(OURS, EXECUTOR), head_at(1), live=False)


async def test_on_paper_what_is_missing_is_made_up() -> None:
    parties = await find_parties(reader(None), config(None, None), head_at(1), live=False)
    assert (parties.account, parties.executor) == (PAPER_ACCOUNT, PAPER_EXECUTOR)
    assert parties.on_paper
    code = parties.pretend[PAPER_EXECUTOR]
    assert isinstance(code, bytes)
    assert PAPER_ACCOUNT.rjust(32, b"\0") in code, "its code names its owner"
    kept = await find_parties(reader(None), config(OURS, None), head_at(1), live=False)
    assert kept.account == OURS


@pytest.mark.parametrize(("account", "executor"), [(None, None), (OURS, None), (None, EXECUTOR)])
async def test_live_nothing_is_made_up(account: Address | None, executor: Address | None) -> None:
    with pytest.raises(ConfigError, match=r"bot.toml: --live needs account and executor in \[execution\]"):
        await find_parties(reader(None), config(account, executor), head_at(1), live=True)
