"""What `tallyio positions` shows of what was read."""

from __future__ import annotations

import pytest

from tallyio.cli.positions import _print
from tallyio.engine.survey import Near, Survey


def near(auction: str | None) -> Near:
    """Return a position."""
    return Near(
        venue="aave",
        account="0x" + "11" * 20,
        part=0,
        health=0.99,
        liquidatable=True,
        asset="WETH",
        dies_at=1.01,
        profit="1000000000000000000",
        reason=None,
        auction=auction,
    )


@pytest.mark.parametrize("auctions", [(None, None), (None, "svr")])
def test_by_whom_a_price_is_sold_is_shown_where_one_is(
    auctions: tuple[str | None, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    _print(Survey(chain=1, block=7, positions=9, near=tuple(map(near, auctions))))
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title == "block 7: 9 positions"
    assert ("price sold by" in head) is any(auctions)
    assert [row.rstrip().endswith("svr") for row in rows] == [bool(each) for each in auctions]
