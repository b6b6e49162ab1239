"""Published and on-chain V3 cases, where the folder of shared data lies beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_uniswap_v3 import hot

from tallyio.market.concentrated import amounts, changes, reference
from tallyio.market.concentrated import reference_math as maths
from tallyio.market.concentrated.reference import MAX_AMOUNT, Pool, Tick
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.native.memory import Region

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "01_uniswap_v3"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


@contextmanager
def compiled(pool: Pool) -> Iterator[int]:
    """Yield the address of the pool's row."""
    raw = pool.row()
    with Region(len(raw)) as memory:
        memory.view("u1", len(raw))[:] = bytearray(raw)
        assert changes.rebuild(memory.address)
        yield memory.address


def specified_pool(raw: dict[str, Any]) -> Pool:
    tick = raw["cases"][0]["expected"]["tickBefore"]
    pool = Pool((raw["fee"],) * 2, raw["tick_spacing"], int(raw["starting_sqrt_price_x96"]), tick)
    for position in raw["positions"]:
        pool.modify_liquidity(position["tick_lower"], position["tick_upper"], int(position["liquidity"]))
    return pool


def test_swaps_of_the_contracts_own_specification_are_met() -> None:
    """`UniswapV3Pool.swaps.spec.ts`: exact input, exact output, and swaps to a price."""
    seen = refused = 0
    for raw in read("v3_core_swaps.json")["pools"]:
        pool = specified_pool(raw)
        with compiled(pool) as row:
            for case in raw["cases"]:
                if "swapError" in case["expected"]:
                    refused += 1
                    check_refused(pool, row, case["input"])
                else:
                    seen += 1
                    check_swap(pool, row, case["input"], case["expected"])
    assert (seen, refused) == (72, 14)


def check_swap(pool: Pool, row: int, given: dict[str, Any], expected: dict[str, Any]) -> None:
    zero_for_one = given["zero_for_one"]
    is_exact_out = given["exact_out"]
    amount = int(given["amount"] or MAX_AMOUNT) * (-1 if is_exact_out else 1)
    limit = int(given["sqrt_price_limit_x96"]) if given["sqrt_price_limit_x96"] else None
    outcome = reference.swap(pool, amount, zero_for_one=zero_for_one, limit_x96=limit)
    deltas = (int(expected["amount0Delta"]), int(expected["amount1Delta"]))
    taken, paid = deltas if zero_for_one else deltas[::-1]
    assert (outcome.amount_in, outcome.amount_out) == (taken, -paid)
    if limit is None:
        # A compiled quote knows no limit but the furthest, and is 0 where the pool leaves some over.
        i = 0 if zero_for_one else 1
        quote, answer = (hot.quote_exact_out, taken) if is_exact_out else (hot.quote, -paid)
        assert quote(row, i, 1 - i, abs(amount)) == (0 if outcome.amount_remaining else answer)


def check_refused(pool: Pool, row: int, given: dict[str, Any]) -> None:
    zero_for_one = given["zero_for_one"]
    if given["sqrt_price_limit_x96"] is None:
        for quote in (hot.quote, hot.quote_exact_out):
            assert quote(row, *((0, 1) if zero_for_one else (1, 0)), int(given["amount"])) == 0
        return
    with pytest.raises(ValueError, match="already passed"):
        reference.swap(
            pool, MAX_AMOUNT, zero_for_one=zero_for_one, limit_x96=int(given["sqrt_price_limit_x96"])
        )


def test_ratios_of_ticks_are_met() -> None:
    cases = read("v3_core_math.json")["tick_math"]["get_sqrt_ratio_at_tick"]
    for case in cases:
        if "error" in case:
            with pytest.raises(ValueError, match="is not within"):
                maths.get_sqrt_ratio_at_tick(case["tick"])
        else:
            ratio = int(case["sqrt_ratio_x96"])
            assert maths.get_sqrt_ratio_at_tick(case["tick"]) == ratio
            clamped = min(max(ratio, LOWEST_LIMIT), HIGHEST_LIMIT)
            assert amounts.sqrt_ratio_at_tick(case["tick"]) == clamped
    assert len(cases) == 34


def test_amounts_between_prices_are_met() -> None:
    sections = read("v3_core_math.json")["sqrt_price_math"]
    functions = {
        ("get_amount0_delta", True): amounts.amount0_up,
        ("get_amount0_delta", False): amounts.amount0_down,
        ("get_amount1_delta", True): amounts.amount1_up,
        ("get_amount1_delta", False): amounts.amount1_down,
    }
    for (name, round_up), function in functions.items():
        for case in sections[name]:
            if case["round_up"] is round_up:
                a, b, liquidity = (int(case[key]) for key in ("sqrt_a", "sqrt_b", "liquidity"))
                wanted = int(case["amount"])
                assert getattr(maths, name)(a, b, liquidity, round_up=round_up) == wanted
                assert function(min(a, b), max(a, b), liquidity) == wanted


def test_prices_after_an_input_are_met() -> None:
    seen = 0
    for case in read("v3_core_math.json")["sqrt_price_math"]["get_next_sqrt_price_from_input"]:
        if not case.get("reverts"):
            price, liquidity, amount = (int(case[key]) for key in ("sqrt_p", "liquidity", "amount_in"))
            zero_for_one = case["zero_for_one"]
            wanted = int(case["sqrt_q"])
            given = (price, liquidity, amount)
            assert maths.get_next_sqrt_price_from_input(*given, zero_for_one=zero_for_one) == wanted
            after = amounts.price_after_amount0 if zero_for_one else amounts.price_after_amount1
            assert after(*given) == wanted
            seen += 1
    assert seen == 9


def test_prices_after_an_output_are_met() -> None:
    seen = refused = 0
    for case in read("v3_core_math.json")["sqrt_price_math"]["get_next_sqrt_price_from_output"]:
        price, liquidity, amount = (int(case[key]) for key in ("sqrt_p", "liquidity", "amount_out"))
        given, zero_for_one = (price, liquidity, amount), case["zero_for_one"]
        if case.get("reverts"):
            refused += 1
            if price and liquidity:
                with pytest.raises(ValueError, match=r"there is no|does not exist"):
                    maths.get_next_sqrt_price_from_output(*given, zero_for_one=zero_for_one)
            continue
        seen += 1
        after = amounts.price_less_amount1 if zero_for_one else amounts.price_less_amount0
        wanted = int(case["sqrt_q"])
        assert maths.get_next_sqrt_price_from_output(*given, zero_for_one=zero_for_one) == wanted
        assert after(*given) == wanted
    assert (seen, refused) == (5, 8)


def test_steps_of_swaps_are_met() -> None:
    cases = read("v3_core_math.json")["swap_math"]["compute_swap_step"]
    for case in cases:
        reached, taken, paid, fee = maths.compute_swap_step(*(int(value) for value in case["input"].values()))
        found = {"amount_in": taken, "fee_amount": fee, "amount_out": paid, "sqrt_q": reached}
        assert {key: str(found[key]) for key in case["expected"]} == case["expected"]
    assert len(cases) == 9


def on_chain_pool(state: dict[str, Any]) -> Pool:
    return Pool(
        (int(state["fee"]),) * 2,
        int(state["tick_spacing"]),
        int(state["sqrt_price_x96"]),
        int(state["tick"]),
        int(state["liquidity"]),
    )


def close_ends(pool: Pool) -> None:
    """Stand in for the ticks that a partial snapshot leaves out on either side, at the very ends."""
    below = sum(tick.liquidity_net for at, tick in pool.ticks.items() if at <= pool.tick)
    beyond = sum(tick.liquidity_net for tick in pool.ticks.values()) - below
    missing = pool.liquidity - below
    pool.ticks[maths.MIN_TICK] = Tick(abs(missing), missing)
    pool.ticks[maths.MAX_TICK] = Tick(pool.liquidity, -pool.liquidity - beyond)


def test_quotes_of_a_real_pool_are_met() -> None:
    """cbETH/WETH on Base at block 46875151: 116 ticks, spacing 1, quotes of the deployed quoter."""
    raw = read("degenbot/aerodrome_cl_cbeth_weth_46875151.state.json")
    pool = on_chain_pool(raw["scalars"])
    pool.ticks = {int(at): Tick(gross, net) for at, (gross, net, _) in raw["tick_data"].items()}
    close_ends(pool)
    seen = 0
    with compiled(pool) as row:
        entries = read("degenbot/aerodrome_cl_cbeth_weth_46875151.quotes.json")["entries"]
        for key, answer in entries.items():
            if "value" in answer:  # one of them is a timeout of the node that was asked
                _, _, route, amount = key.split("|")
                i = ["cbETH", "WETH"].index(route.split("->")[0])
                assert hot.quote(row, i, 1 - i, int(amount)) == answer["value"]
                seen += 1
    assert seen == 25


def test_the_hops_of_a_real_arbitrage_are_met() -> None:
    """Mainnet block 25706469: the two V3 hops of a path, pools of 660 and 420 ticks."""
    raw = read("degenbot_paths/path73385_v4_block25706469.json")
    outputs = {
        "v3_0": (1, int(raw["recorded_solve"]["optimal_input"]), 85_060_245),
        "v3_2": (1, int(raw["recorded_solve"]["hop_outputs"][1]), None),
    }
    for name, (i, amount, paid) in outputs.items():
        state = {**raw["pools"][name], "fee": raw["pools"][name]["fee_token0"]}
        pool = on_chain_pool(state)
        pool.ticks = {
            int(at): Tick(int(tick["liquidity_gross"]), int(tick["liquidity_net"]))
            for at, tick in state["tick_data"].items()
        }
        with compiled(pool) as row:
            quoted = hot.quote(row, i, 1 - i, amount)
            assert quoted == reference.quote(pool, amount, zero_for_one=i == 0) > 0
            assert paid is None or quoted == paid
