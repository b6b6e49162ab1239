"""The world in this process is what the recipe promises."""

from __future__ import annotations

from math import isclose

import pytest

from tallyio.lab import Contract, Pool, Reverted, RevmWorld, build_revm_world
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import USD_PRICES
from tallyio.lab.trading import depths, observe
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.units import Address, address


def pool_contract(pool: Pool) -> Contract:
    return Contract(artifact("UniswapV2Pair" if pool.kind == "v2" else "UniswapV3Pool"), pool.address)


def value_usd(revm: RevmWorld, symbol: str, amount: int) -> float:
    price, decimals = USD_PRICES[symbol], revm.world.tokens[symbol].decimals
    return amount * price * float(f"1e-{decimals}")


def test_tokens_have_six_eight_and_eighteen_decimals(revm: RevmWorld) -> None:
    tokens = revm.world.tokens.values()
    assert len(tokens) == 6
    assert {token.decimals for token in tokens} == {6, 8, 18}
    for token in tokens:
        contract = Contract(artifact("Token"), token.address)
        assert revm.backend.read(contract, "decimals") == (token.decimals,)
        assert revm.backend.read(contract, "symbol") == (token.symbol,)


def test_two_factories_hold_eight_pools(revm: RevmWorld) -> None:
    pools = [pool for pool in revm.world.pools if pool.kind == "v2"]
    assert len(pools) == 8
    for name, venue in revm.world.v2.items():
        factory = Contract(artifact("UniswapV2Factory"), venue.factory)
        (count,) = revm.backend.read(factory, "allPairsLength")
        listed = [revm.backend.read(factory, "allPairs", i)[0] for i in range(count)]
        assert listed == [pool.address for pool in pools if pool.venue == name]


def test_four_concentrated_pools_have_three_fee_tiers_and_four_ranges(revm: RevmWorld) -> None:
    pools = [pool for pool in revm.world.pools if pool.kind == "v3"]
    assert len(pools) == 4
    assert {pool.fee_pips for pool in pools} == {500, 3_000, 10_000}
    positions = Contract(artifact("NonfungiblePositionManager"), revm.world.v3.positions)
    made = [revm.backend.read(positions, "positions", token_id) for token_id in range(1, 17)]
    assert len({(row[2], row[3], row[4], row[5], row[6]) for row in made}) == 16
    assert all(row[7] > 0 for row in made)
    with pytest.raises(Reverted):
        revm.backend.read(positions, "positions", 17)


def test_a_pool_knows_the_tokens_and_fee_that_the_record_says(revm: RevmWorld) -> None:
    for pool in revm.world.pools:
        contract = pool_contract(pool)
        tokens = [revm.backend.read(contract, f"token{i}")[0] for i in (0, 1)]
        assert tokens == [revm.world.tokens[symbol].address for symbol in pool.tokens]
        if pool.kind == "v3":
            assert revm.backend.read(contract, "fee") == (pool.fee_pips,)


def test_weth_stands_on_either_side_of_pools_of_both_kinds(revm: RevmWorld) -> None:
    sides = {(pool.kind, pool.tokens.index("WETH")) for pool in revm.world.pools if "WETH" in pool.tokens}
    assert sides == {("v2", 0), ("v2", 1), ("v3", 0), ("v3", 1)}


def test_prices_start_at_their_references_with_realistic_depth(revm: RevmWorld) -> None:
    for pool, state in zip(revm.world.pools, revm.backend.run(observe(revm.world)), strict=True):
        assert abs(state.premium_bps) <= 1
        values = [
            value_usd(revm, symbol, depth)
            for symbol, depth in zip(pool.tokens, (state.depth0, state.depth1), strict=True)
        ]
        assert isclose(*values, rel_tol=1e-3)
        assert 500_000 < values[0] < 20_000_000


def test_the_quoter_equals_the_router(revm: RevmWorld) -> None:
    quoter = Contract(artifact("QuoterV2"), revm.world.v3.quoter)
    router = Contract(artifact("SwapRouter"), revm.world.v3.router)
    trader = revm.world.traders[0]
    for pool in revm.world.pools:
        if pool.kind == "v3":
            path = [revm.world.tokens[symbol].address for symbol in pool.tokens]
            amount = revm.backend.run(depths(pool))[0] // 20
            (quoted, _, crossed, _) = revm.backend.read(
                quoter, "quoteExactInputSingle", (*path, amount, pool.fee_pips, 0)
            )
            swap = router.call("exactInputSingle", (*path, pool.fee_pips, trader, 2**64, amount, 0, 0))
            assert int.from_bytes(revm.backend.transact(swap, sender=trader)) == quoted
            assert crossed >= 1, "5 % of the depth leaves the narrowest range"


def test_a_read_leaves_no_trace(revm: RevmWorld) -> None:
    token = Contract(artifact("Token"), revm.world.tokens["DAI"].address)
    before = revm.backend.read(token, "balanceOf", OPERATOR)
    revm.backend.call(token.call("mint", OPERATOR, 1))
    assert revm.backend.read(token, "balanceOf", OPERATOR) == before


def test_a_reverted_transaction_changes_nothing_and_says_where(revm: RevmWorld) -> None:
    token = Contract(artifact("Token"), revm.world.tokens["DAI"].address)
    stranger = Address(b"\x77" * 20)
    with pytest.raises(Reverted, match=f"call of 0x{token.address.hex()} reverted"):
        revm.backend.transact(token.call("transfer", OPERATOR, 1), sender=stranger)
    assert revm.backend.read(token, "balanceOf", stranger) == (0,)


def test_the_gas_burner_burns_all_it_is_given(revm: RevmWorld) -> None:
    with pytest.raises(Reverted):
        revm.backend.transact(Call(to=revm.world.gas_burner, data=b""))


def test_a_transfer_from_uses_up_its_allowance(revm: RevmWorld) -> None:
    token = Contract(artifact("Token"), revm.world.tokens["USDC"].address)
    owner, spender = revm.world.traders[:2]
    revm.backend.transact(token.call("approve", spender, 5), sender=owner)
    revm.backend.transact(token.call("transferFrom", owner, spender, 3), sender=spender)
    assert revm.backend.read(token, "allowance", owner, spender) == (2,)
    with pytest.raises(Reverted):
        revm.backend.transact(token.call("transferFrom", owner, spender, 3), sender=spender)


def test_two_fresh_worlds_are_equal_and_do_not_touch(revm: RevmWorld) -> None:
    other = build_revm_world()
    assert other.world == revm.world
    other.step(seed=1)
    assert revm.backend.run(observe(revm.world)) != other.backend.run(observe(other.world))


def test_variables_are_flat_texts_with_checksummed_addresses(revm: RevmWorld) -> None:
    variables = revm.world.variables
    assert variables["chain_id"] == "31337"
    assert address(variables["weth"]) == revm.world.weth
    assert address(variables["v2a_factory"]) == revm.world.v2["v2a"].factory
    assert address(variables["v3_quoter"]) == revm.world.v3.quoter
    assert {"url", "usdc", "usdt", "dai", "wbtc", "link", "v2b_router", "v3_router"} <= set(variables)
