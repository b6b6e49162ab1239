// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Vault} from "@balancer-labs/v3-vault/contracts/Vault.sol";
import {VaultAdmin} from "@balancer-labs/v3-vault/contracts/VaultAdmin.sol";
import {VaultExtension} from "@balancer-labs/v3-vault/contracts/VaultExtension.sol";
import {IVault} from "@balancer-labs/v3-interfaces/contracts/vault/IVault.sol";
import {IVaultAdmin} from "@balancer-labs/v3-interfaces/contracts/vault/IVaultAdmin.sol";
import {IVaultExtension} from "@balancer-labs/v3-interfaces/contracts/vault/IVaultExtension.sol";
import {IAuthorizer} from "@balancer-labs/v3-interfaces/contracts/vault/IAuthorizer.sol";
import {IProtocolFeeController} from "@balancer-labs/v3-interfaces/contracts/vault/IProtocolFeeController.sol";
import "@balancer-labs/v3-interfaces/contracts/vault/VaultTypes.sol";
import {WeightedPool} from "@balancer-labs/v3-pool-weighted/contracts/WeightedPool.sol";
import {StablePool} from "@balancer-labs/v3-pool-stable/contracts/StablePool.sol";

/// The Vault and its pools as they are, under names of our own, so that one file asks for all of them.

contract BenchVault is Vault {
    constructor(IVaultExtension extension, IAuthorizer authorizer, IProtocolFeeController controller)
        Vault(extension, authorizer, controller)
    {}
}

contract BenchAdmin is VaultAdmin {
    constructor(IVault vault, uint256 leastTrade) VaultAdmin(vault, 360 days, 90 days, leastTrade, 1_000) {}
}

contract BenchExtension is VaultExtension {
    constructor(IVault vault, IVaultAdmin admin) VaultExtension(vault, admin) {}
}

contract BenchWeighted is WeightedPool {
    constructor(NewPoolParams memory params, IVault vault) WeightedPool(params, vault) {}
}

contract BenchStable is StablePool {
    constructor(NewPoolParams memory params, IVault vault) StablePool(params, vault) {}
}

/// Stands in for the fee controller, and takes what it was told of every swap.
contract BenchController {
    IVault public vault;
    uint256 private immutable SHARE;

    constructor(IVault vault_, uint256 share) {
        vault = vault_;
        SHARE = share;
    }

    function registerPool(address, address, bool) external view returns (uint256, uint256) {
        return (SHARE, 0);
    }
}

/// A hook that wants one thing of its pools: the flag at this place.
contract BenchHook {
    uint256 private immutable FLAG;

    constructor(uint256 flag) {
        FLAG = flag;
    }

    function onRegister(address, address, TokenConfig[] memory, LiquidityManagement calldata)
        external
        pure
        returns (bool)
    {
        return true;
    }

    function getHookFlags() external view returns (HookFlags memory flags) {
        flags.shouldCallBeforeInitialize = FLAG == 1;
        flags.shouldCallComputeDynamicSwapFee = FLAG == 3;
        flags.shouldCallBeforeSwap = FLAG == 4;
        flags.shouldCallAfterSwap = FLAG == 5;
        flags.shouldCallAfterAddLiquidity = FLAG == 7;
    }
}

/// Asks the Vault as its router does, with the same function for an exact input; and funds pools.
contract BenchRouter {
    IVault private immutable VAULT;

    constructor(IVault vault) {
        VAULT = vault;
    }

    function querySwapSingleTokenExactIn(
        address pool,
        IERC20 tokenIn,
        IERC20 tokenOut,
        uint256 exactAmountIn,
        address,
        bytes calldata
    ) external returns (uint256) {
        (, , uint256 amountOut) = _ask(VaultSwapParams(SwapKind.EXACT_IN, pool, tokenIn, tokenOut, exactAmountIn, 0, ""));
        return amountOut;
    }

    function querySwapSingleTokenExactOut(
        address pool,
        IERC20 tokenIn,
        IERC20 tokenOut,
        uint256 exactAmountOut,
        address,
        bytes calldata
    ) external returns (uint256) {
        uint256 most = type(uint256).max;
        (, uint256 amountIn, ) = _ask(VaultSwapParams(SwapKind.EXACT_OUT, pool, tokenIn, tokenOut, exactAmountOut, most, ""));
        return amountIn;
    }

    function swapHook(VaultSwapParams calldata params) external returns (uint256, uint256, uint256) {
        return VAULT.swap(params);
    }

    function fund(address pool, IERC20[] memory tokens, uint256[] memory amounts) external {
        for (uint256 k = 0; k < tokens.length; ++k) {
            tokens[k].transferFrom(msg.sender, address(this), amounts[k]);
        }
        VAULT.unlock(abi.encodeCall(this.fundHook, (pool, tokens, amounts)));
    }

    function fundHook(address pool, IERC20[] memory tokens, uint256[] memory amounts) external {
        VAULT.initialize(pool, address(this), tokens, amounts, 0, "");
        for (uint256 k = 0; k < tokens.length; ++k) {
            tokens[k].transfer(address(VAULT), amounts[k]);
            VAULT.settle(tokens[k], amounts[k]);
        }
    }

    function _ask(VaultSwapParams memory params) private returns (uint256, uint256, uint256) {
        bytes memory answer = VAULT.quote(abi.encodeCall(this.swapHook, (params)));
        return abi.decode(answer, (uint256, uint256, uint256));
    }
}
