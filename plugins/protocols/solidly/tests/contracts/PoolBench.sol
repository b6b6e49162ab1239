// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Pool} from "aerodrome/Pool.sol";
import {Coin, FactoryBench} from "FactoryBench.sol";

/// A pool that a test can put into any state; all it does is the pool's own code.
contract PoolBench is Pool {
    struct State {
        uint256 reserve0;
        uint256 reserve1;
        uint256 unit0;
        uint256 unit1;
        bool isStable;
        uint256 fee;
    }

    address constant BUYER = address(0xB0B);

    /// How far a swap of what `getAmountOut` says gets: 0 paid, 1 getAmountOut reverts, 2 swap reverts,
    /// 3 no token can have that much.
    function trial(State calldata state, uint256 i, uint256 amountIn) external returns (uint256, uint256 out) {
        _set(state);
        (address sold, address bought) = i == 0 ? (token0, token1) : (token1, token0);
        try this.getAmountOut(amountIn, sold) returns (uint256 amount) {
            out = amount;
        } catch {
            return (1, 0);
        }
        uint256 reserve = i == 0 ? reserve0 : reserve1;
        if (amountIn > type(uint256).max - reserve) return (3, 0);
        Coin(sold).set(address(this), reserve + amountIn);
        try this.swap(i == 0 ? 0 : out, i == 0 ? out : 0, BUYER, "") {
            return (0, Coin(bought).balanceOf(BUYER));
        } catch {
            return (2, 0);
        }
    }

    function share(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _set(State calldata state) private {
        (reserve0, reserve1, stable) = (state.reserve0, state.reserve1, state.isStable);
        (decimals0, decimals1) = (state.unit0, state.unit1);
        Coin(token0).set(address(this), reserve0);
        Coin(token1).set(address(this), reserve1);
        FactoryBench(factory).setAnyFee(state.fee);
    }
}
