// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ERC20 as OldERC20} from "openzeppelin-4.8/token/ERC20/ERC20.sol";
import {ERC4626 as OldERC4626, IERC20Metadata} from "openzeppelin-4.8/token/ERC20/extensions/ERC4626.sol";
import {ERC20 as SolmateERC20} from "solmate/src/tokens/ERC20.sol";
import {ERC4626 as SolmateERC4626} from "solmate/src/tokens/ERC4626.sol";

/// The vaults of three libraries as they are, each completed by what it leaves open.

contract Virtual is ERC4626 {
    uint8 private immutable OFFSET;

    constructor(IERC20 asset_, uint8 offset) ERC20("Virtual", "V") ERC4626(asset_) {
        OFFSET = offset;
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return OFFSET;
    }
}

contract Old is OldERC4626 {
    constructor(IERC20Metadata asset_) OldERC20("Old", "O") OldERC4626(asset_) {}
}

contract Solmate is SolmateERC4626 {
    constructor(SolmateERC20 asset_) SolmateERC4626(asset_, "Solmate", "S") {}

    function totalAssets() public view override returns (uint256) {
        return asset.balanceOf(address(this));
    }
}

/// What real vaults add: limits, a fee on deposits, and assets that grow with time.

contract Capped is Virtual {
    uint256 public immutable CAP;

    constructor(IERC20 asset_, uint256 cap) Virtual(asset_, 0) {
        CAP = cap;
    }

    function maxDeposit(address) public view override returns (uint256) {
        return totalAssets() < CAP ? CAP - totalAssets() : 0;
    }

    function maxMint(address account) public view override returns (uint256) {
        return convertToShares(maxDeposit(account));
    }

    /// Half of what it has is lent.
    function maxRedeem(address owner) public view override returns (uint256) {
        uint256 most = convertToShares(totalAssets() / 2);
        return balanceOf(owner) < most ? balanceOf(owner) : most;
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return convertToAssets(maxRedeem(owner));
    }
}

contract Taxed is Virtual {
    constructor(IERC20 asset_) Virtual(asset_, 0) {}

    function previewDeposit(uint256 assets) public view override returns (uint256) {
        return super.previewDeposit(assets - assets / 1_000);
    }
}

contract Earning is Virtual {
    uint256 private immutable START = block.timestamp;

    constructor(IERC20 asset_) Virtual(asset_, 0) {}

    function totalAssets() public view override returns (uint256) {
        return super.totalAssets() + (block.timestamp - START);
    }
}
