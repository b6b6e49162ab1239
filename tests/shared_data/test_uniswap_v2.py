"""Published and on-chain V2 cases, where the folder of shared data lies beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_uniswap_v2 import hot, reference
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, pack_row

from tallyio.native.memory import Region

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "02_amm"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def compiled_quote(reserves: tuple[int, int], i: int, amount_in: int, fee: tuple[int, int]) -> int:
    with Region(ROW_BYTES) as memory:
        row = pack_row(reserves, fee_numerators=(fee[0], fee[0]), fee_denominator=fee[1], gas=0)
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        out: int = hot.quote(memory.address, i, 1 - i, amount_in)
        return out


def test_the_pairs_own_specification_holds() -> None:
    """`UniswapV2Pair.spec.ts`: these outputs pass the K check, and one unit more does not."""
    fees = {"fee_numerator": 997, "fee_denominator": 1000}
    cases = read("uniswap_v2_core.json")["get_amount_out"]
    for case in cases:
        amount, r_in, r_out, out = (
            int(case[key]) for key in ("amount_in", "reserve_in", "reserve_out", "amount_out")
        )
        assert compiled_quote((r_in, r_out), 0, amount, (997, 1000)) == out
        assert reference.pair_accepts(amount, out, r_in, r_out, **fees)
        assert not reference.pair_accepts(amount, out + 1, r_in, r_out, **fees)
    assert len(cases) == 7


def test_pancakeswap_quotes_of_a_real_router_are_met() -> None:
    """Base, block 46875151: fee 25 of 10,000."""
    state = read("degenbot/pancakeswap_v2_weth_usdbc_block_46875151.state.json")
    entries = read("degenbot/test_pancakeswap_v2_router_get_amounts_out.quotes.json")["entries"]
    reserves = (state["reserves_token0"], state["reserves_token1"])
    fee = (state["fee_denom"] - state["fee_numer"], state["fee_denom"])
    for key, answer in entries.items():
        _, _, route, amount = key.split("|")
        i = [state["token0"]["symbol"], state["token1"]["symbol"]].index(route.split("->")[0])
        assert compiled_quote(reserves, i, int(amount), fee) == answer["value"]
    assert len(entries) == 24
