// SPDX-License-Identifier: MIT
pragma solidity ^0.8.10;

interface IFeed {
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

interface IVault {
    function convertToAssets(uint256 shares) external view returns (uint256);
}

/// An oracle for Morpho's markets in the lab, with the views and the formula that Morpho publishes for its own
/// one (MorphoChainlinkOracleV2): collateral feeds over loan feeds, times a scale factor; address 0 is "1".
contract FeedOracle {
    IVault public immutable BASE_VAULT;
    uint256 public immutable BASE_VAULT_CONVERSION_SAMPLE;
    IVault public constant QUOTE_VAULT = IVault(address(0));
    uint256 public constant QUOTE_VAULT_CONVERSION_SAMPLE = 1;
    IFeed public immutable BASE_FEED_1;
    IFeed public immutable BASE_FEED_2;
    IFeed public immutable QUOTE_FEED_1;
    IFeed public immutable QUOTE_FEED_2;
    uint256 public immutable SCALE_FACTOR;

    constructor(IVault vault, uint256 sample, IFeed[4] memory feeds, uint256 scale) {
        BASE_VAULT = vault;
        BASE_VAULT_CONVERSION_SAMPLE = sample;
        BASE_FEED_1 = feeds[0];
        BASE_FEED_2 = feeds[1];
        QUOTE_FEED_1 = feeds[2];
        QUOTE_FEED_2 = feeds[3];
        SCALE_FACTOR = scale;
    }

    function price() external view returns (uint256) {
        uint256 assets = address(BASE_VAULT) == address(0)
            ? 1
            : BASE_VAULT.convertToAssets(BASE_VAULT_CONVERSION_SAMPLE);
        return SCALE_FACTOR * assets * answer(BASE_FEED_1) * answer(BASE_FEED_2)
            / (answer(QUOTE_FEED_1) * answer(QUOTE_FEED_2));
    }

    function answer(IFeed feed) private view returns (uint256) {
        if (address(feed) == address(0)) return 1;
        (, int256 said,,,) = feed.latestRoundData();
        require(said >= 0, "negative answer");
        return uint256(said);
    }
}
