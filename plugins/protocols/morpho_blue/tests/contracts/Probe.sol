// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {IMorpho, Id, Market, MarketParams, Position} from "morpho/interfaces/IMorpho.sol";
import {IOracle} from "morpho/interfaces/IOracle.sol";
import {IERC20} from "morpho/interfaces/IERC20.sol";
import {ORACLE_PRICE_SCALE} from "morpho/libraries/ConstantsLib.sol";
import {MathLib} from "morpho/libraries/MathLib.sol";
import {SharesMathLib} from "morpho/libraries/SharesMathLib.sol";
import {MarketParamsLib} from "morpho/libraries/MarketParamsLib.sol";
import {MorphoBalancesLib} from "morpho/libraries/periphery/MorphoBalancesLib.sol";

interface IToken {
    function approve(address spender, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
}

/// Looks at positions with Morpho's own libraries, and liquidates with nothing in hand.
contract Probe {
    using MathLib for uint256;
    using SharesMathLib for uint256;
    using MarketParamsLib for MarketParams;
    using MorphoBalancesLib for IMorpho;

    struct Step {
        address to;
        bytes data;
    }

    /// What Morpho._isHealthy compares, at this block's time.
    function healthOf(IMorpho morpho, MarketParams memory market, address borrower)
        external
        view
        returns (uint256 limit, uint256 owed)
    {
        Position memory held = morpho.position(market.id(), borrower);
        (,, uint256 assets, uint256 shares) = morpho.expectedMarketBalances(market);
        owed = uint256(held.borrowShares).toAssetsUp(assets, shares);
        uint256 price = IOracle(market.oracle).price();
        limit = uint256(held.collateral).mulDivDown(price, ORACLE_PRICE_SCALE).wMulDown(market.lltv);
    }

    function run(Step[] memory steps) public {
        for (uint256 k = 0; k < steps.length; k++) {
            (bool done,) = steps[k].to.call(steps[k].data);
            require(done, "a step failed");
        }
    }

    function onMorphoLiquidate(uint256, bytes calldata data) external {
        run(abi.decode(data, (Step[])));
    }

    function onMorphoFlashLoan(uint256, bytes calldata data) external {
        run(abi.decode(data, (Step[])));
    }
}

/// Pays loan tokens for collateral at any price, as a market would.
contract Desk {
    function give(IToken token, uint256 amount) external {
        token.transfer(msg.sender, amount);
    }
}

/// An interest rate model that knows nothing.
contract FixedRate {
    uint256 public rate;

    function set(uint256 rate_) external {
        rate = rate_;
    }

    function borrowRate(MarketParams memory, Market memory) external view returns (uint256) {
        return rate;
    }

    function borrowRateView(MarketParams memory, Market memory) external view returns (uint256) {
        return rate;
    }
}
