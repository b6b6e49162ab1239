"""On-chain quotes of a Solidly-family pool, where the folder of shared data lies beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_solidly import hot, reference
from tallyio_protocol_solidly.layout import ROW_BYTES, VOLATILE, pack_row

from tallyio.native.memory import Region

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "02_amm" / "degenbot"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def test_a_volatile_pool_of_aerodrome_quotes_as_it_did_on_chain() -> None:
    """Base, block 46875151: `getAmountOut` of a pool of tBTC and WETH, in both directions."""
    state = read("aerodrome_v2_tbtc_weth_volatile_block_46875151.state.json")
    entries = read("test_aerodrome_v2_volatile_get_amount_out.quotes.json")["entries"]
    tokens = [state[key] for key in ("token0", "token1")]
    reserves = (state["reserves_token0"], state["reserves_token1"])
    units = (10 ** tokens[0]["decimals"], 10 ** tokens[1]["decimals"])
    pool = reference.Pool(reserves, units, VOLATILE, state["fee_raw"])
    with Region(ROW_BYTES) as memory:
        row = pack_row(
            reserves, units=units, kind=VOLATILE, fee_numerator=state["fee_raw"], fee_denominator=10_000
        )
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        for key, answer in entries.items():
            _, _, route, amount = key.split("|")
            i = [token["symbol"] for token in tokens].index(route.split("->")[0])
            assert hot.quote(memory.address, i, 1 - i, int(amount)) == answer["value"]
            assert reference.quote(pool, i, int(amount)) == answer["value"]
    assert len(entries) == 26
