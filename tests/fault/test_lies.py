"""Nodes that lie: one message that names the lie and the way out, exit code 4, nothing traded on it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from tallyio.lab import Lab, open_lab
from tallyio.lab.faults import (
    Answer,
    Lie,
    after,
    malformed,
    null_result,
    serve_lies,
    truncated_logs,
    wrong_chain_id,
)
from tests.e2e.harness import PATIENCE_S, Bot, Ended, make_bot, running

pytestmark = pytest.mark.node


class Case(NamedTuple):
    """A lie, and what is said of it."""

    lie: Lie
    message: str
    way_out: str


def html(method: str, answer: Answer) -> Answer:
    """Answer block numbers with words."""
    return {**answer, "result": "<html>502</html>"} if method == "eth_getBlockByNumber" else answer


AT_START = {
    "another chain": Case(wrong_chain_id, "answers with chain id 1, configured is 31337", "`chain_id`"),
    "null for the head": Case(null_result("eth_getBlockByNumber"), "no complete block in 2 attempts", "try"),
    "half a message": Case(malformed("eth_getBlockByNumber"), "127.0.0.1", "try another endpoint"),
    "words for the head": Case(html, "answered eth_getBlockByNumber wrongly", "try another endpoint"),
}
LATER = {
    "logs cut short": Case(after(2, truncated_logs, method="eth_getLogs"), "do not add up", "try"),
    "null for logs": Case(after(2, null_result("eth_getLogs"), method="eth_getLogs"), "eth_getLogs", "try"),
}


async def believe(lab: Lab, bot: Bot, lie: Lie) -> Ended:
    """Run live on what a liar says of `lab`, until the run ends."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_lies, lab.url, lie)
        text = bot.text(url=url).replace("patience_s = 5.0", "patience_s = 0.5\nattempts = 2")
        bot.write(text)
        async with running(*bot.live()) as run:
            with trio.fail_after(PATIENCE_S):
                while not run.ended:
                    if "live: 12 pools" in run.said:
                        await lab.step()
                    await trio.sleep(0.1)
            ended = await run.wait()
        nursery.cancel_scope.cancel()
    return ended


@pytest.mark.parametrize("name", [*AT_START, *LATER])
async def test_a_lying_node_is_named_and_not_believed(name: str, tmp_path: Path) -> None:
    case = {**AT_START, **LATER}[name]
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        ended = await believe(lab, bot, case.lie)
        assert ended.code == 4, ended.err
        message, way_out = ended.complaint.split("\n  way out: ")
        assert case.message in message
        assert case.way_out in way_out
        assert ended.err.count("tallyio: ") == 1
        assert "Traceback" not in ended.err
        if name in AT_START:
            assert not bot.has_ledger
            assert await bot.mined() == []
        else:
            bot.check_signatures()
