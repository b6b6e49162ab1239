"""On-chain V4 cases, where the folder of shared data lies beside the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_uniswap_v4 import reference, storage
from tallyio_protocol_uniswap_v4.abi import PoolKey
from tallyio_protocol_uniswap_v4.reference import Pool, new_pool

from tallyio.market.concentrated.reference import Tick
from tallyio.model.units import ZERO_ADDRESS, address
from tests.v4_pools import Row

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "01_uniswap_v3"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def test_storage_slots_are_those_of_the_published_vectors() -> None:
    raw = read("degenbot/v4_slot_vectors.json")
    base = storage.base_slot(bytes.fromhex(raw["pool_id"][2:]))
    assert base == int(raw["state_base"], 16)
    ticks = [case for case in raw["cases"] if case["kind"] == "tick"]
    assert storage.tick_slots(base, [case["tick"] for case in ticks]) == [
        int(case["slot"], 16) for case in ticks
    ]
    words = storage.head_slots(base, 1)[2:]
    bitmaps = [case for case in raw["cases"] if case["kind"] == "bitmap"]
    for case in bitmaps:
        assert words[storage.bitmap_words(1).index(case["word"])] == int(case["slot"], 16)
    assert len(ticks) + len(bitmaps) == 13


def test_a_real_pools_key_has_its_id() -> None:
    raw = read("degenbot/v4_eth_usdc_25706703.state.json")
    usdc = address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
    assert PoolKey(ZERO_ADDRESS, usdc, raw["fee"], 10, ZERO_ADDRESS).id.hex() == raw["pool_id"]


def test_a_real_path_pays_what_the_chain_paid() -> None:
    """The V4 hop of a mainnet path that a peer's program predicted wrong by three units."""
    raw = read("degenbot_paths/path73385_v4_block25706469.json")
    solve, state = raw["recorded_solve"], raw["pools"]["v4"]
    pool, row = pool_of(state), Row()
    row.set(pool)
    assert pool.fees_pips == (12, 12)  # both take part: 10 and 2 pips
    zero_for_one, amount_in = solve["v4_zero_for_one"], int(solve["v4_input"])
    exact = int(solve["v4_onchain"])
    assert reference.quote(pool, amount_in, zero_for_one=zero_for_one) == exact
    assert row.quote(amount_in, 0 if zero_for_one else 1) == exact


def pool_of(state: dict[str, Any]) -> Pool:
    pool = new_pool(
        lp_fee=state["lp_fee"], tick_spacing=state["tick_spacing"], protocol_fee=state["protocol_fee"]
    )
    pool.sqrt_price_x96, pool.tick = int(state["sqrt_price_x96"]), state["tick"]
    pool.liquidity = int(state["liquidity"])
    for tick, facts in state["tick_data"].items():
        pool.ticks[int(tick)] = Tick(int(facts["liquidity_gross"]), int(facts["liquidity_net"]))
    return pool
