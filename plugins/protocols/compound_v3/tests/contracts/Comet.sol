// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// A Comet of our own, after the public formulas of Compound III, with the names, the order and the rounding
// of its functions and the events that it emits. No package ships the original. What has no part in a
// liquidation is left out: rewards, allowances, borrow limits.

interface IToken {
    function balanceOf(address owner) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

interface IFeed {
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

contract Comet {
    struct AssetInfo {
        uint8 offset;
        address asset;
        address priceFeed;
        uint64 scale;
        uint64 borrowCollateralFactor;
        uint64 liquidateCollateralFactor;
        uint64 liquidationFactor;
        uint128 supplyCap;
    }

    struct Curve {
        uint64 kink;
        uint64 low;
        uint64 high;
        uint64 base;
    }

    struct TotalsBasic {
        uint64 baseSupplyIndex;
        uint64 baseBorrowIndex;
        uint64 trackingSupplyIndex;
        uint64 trackingBorrowIndex;
        uint104 totalSupplyBase;
        uint104 totalBorrowBase;
        uint40 lastAccrualTime;
        uint8 pauseFlags;
    }

    struct UserBasic {
        int104 principal;
        uint64 baseTrackingIndex;
        uint64 baseTrackingAccrued;
        uint16 assetsIn;
        uint8 _reserved;
    }

    struct UserCollateral {
        uint128 balance;
        uint128 _reserved;
    }

    error Paused();
    error BadPrice();
    error BadAsset();
    error NotLiquidatable();
    error NotForSale();
    error NotCollateralized();
    error TooMuchSlippage();
    error InsufficientReserves();

    event Supply(address indexed from, address indexed dst, uint256 amount);
    event Transfer(address indexed from, address indexed to, uint256 amount);
    event Withdraw(address indexed src, address indexed to, uint256 amount);
    event SupplyCollateral(address indexed from, address indexed dst, address indexed asset, uint256 amount);
    event TransferCollateral(address indexed from, address indexed to, address indexed asset, uint256 amount);
    event WithdrawCollateral(address indexed src, address indexed to, address indexed asset, uint256 amount);
    event AbsorbDebt(address indexed absorber, address indexed borrower, uint256 basePaidOut, uint256 usdValue);
    event AbsorbCollateral(
        address indexed absorber, address indexed borrower, address indexed asset, uint256 absorbed, uint256 usdValue
    );
    event BuyCollateral(address indexed buyer, address indexed asset, uint256 baseAmount, uint256 collateralAmount);
    event PauseAction(bool supply, bool transfer, bool withdraw, bool absorb, bool buy);
    event Upgraded(address indexed implementation);

    uint64 internal constant FACTOR_SCALE = 1e18;
    uint64 internal constant BASE_INDEX_SCALE = 1e15;

    address public baseToken;
    address public baseTokenPriceFeed;
    uint256 public baseScale;
    uint256 public targetReserves;
    uint256 public storeFrontPriceFactor;
    Curve internal supplyCurve;
    Curve internal borrowCurve;
    AssetInfo[] internal assets;

    TotalsBasic internal totals;
    mapping(address => uint256) internal totalsOf;
    mapping(address => UserBasic) public userBasic;
    mapping(address => mapping(address => UserCollateral)) public userCollateral;

    constructor(
        address token, address feed, uint256 scale, uint256 target, uint256 factor,
        Curve memory supply_, Curve memory borrow_, AssetInfo[] memory assets_
    ) {
        (baseToken, baseTokenPriceFeed, baseScale) = (token, feed, scale);
        (targetReserves, storeFrontPriceFactor) = (target, factor);
        (supplyCurve, borrowCurve) = (supply_, borrow_);
        for (uint8 i = 0; i < assets_.length; i++) assets.push(assets_[i]);
        totals.lastAccrualTime = uint40(block.timestamp);
        totals.baseSupplyIndex = totals.baseBorrowIndex = BASE_INDEX_SCALE;
    }

    // --- configuration

    function numAssets() external view returns (uint8) { return uint8(assets.length); }
    function supplyKink() external view returns (uint256) { return supplyCurve.kink; }
    function supplyPerSecondInterestRateSlopeLow() external view returns (uint256) { return supplyCurve.low; }
    function supplyPerSecondInterestRateSlopeHigh() external view returns (uint256) { return supplyCurve.high; }
    function supplyPerSecondInterestRateBase() external view returns (uint256) { return supplyCurve.base; }
    function borrowKink() external view returns (uint256) { return borrowCurve.kink; }
    function borrowPerSecondInterestRateSlopeLow() external view returns (uint256) { return borrowCurve.low; }
    function borrowPerSecondInterestRateSlopeHigh() external view returns (uint256) { return borrowCurve.high; }
    function borrowPerSecondInterestRateBase() external view returns (uint256) { return borrowCurve.base; }

    function getAssetInfo(uint8 i) public view returns (AssetInfo memory) {
        if (i >= assets.length) revert BadAsset();
        return assets[i];
    }

    function totalsBasic() external view returns (TotalsBasic memory) { return totals; }

    // --- interest

    function mulFactor(uint256 n, uint256 factor) internal pure returns (uint256) {
        return n * factor / FACTOR_SCALE;
    }

    function safe64(uint256 n) internal pure returns (uint64) {
        require(n <= type(uint64).max);
        return uint64(n);
    }

    function rateOf(Curve memory curve, uint256 utilization) internal pure returns (uint64) {
        if (utilization <= curve.kink) return safe64(curve.base + mulFactor(curve.low, utilization));
        return safe64(
            curve.base + mulFactor(curve.low, curve.kink) + mulFactor(curve.high, utilization - curve.kink)
        );
    }

    function getUtilization() public view returns (uint256) {
        uint256 supplied = uint256(totals.totalSupplyBase) * totals.baseSupplyIndex / BASE_INDEX_SCALE;
        uint256 borrowed = uint256(totals.totalBorrowBase) * totals.baseBorrowIndex / BASE_INDEX_SCALE;
        return supplied == 0 ? 0 : borrowed * FACTOR_SCALE / supplied;
    }

    function accruedInterestIndices(uint256 elapsed) internal view returns (uint64 supplied, uint64 borrowed) {
        (supplied, borrowed) = (totals.baseSupplyIndex, totals.baseBorrowIndex);
        if (elapsed > 0) {
            uint256 utilization = getUtilization();
            uint256 supplyRate = rateOf(supplyCurve, utilization);
            uint256 borrowRate = rateOf(borrowCurve, utilization);
            supplied += safe64(mulFactor(supplied, supplyRate * elapsed));
            borrowed += safe64(mulFactor(borrowed, borrowRate * elapsed));
        }
    }

    function accrueInternal() internal {
        uint256 elapsed = block.timestamp - totals.lastAccrualTime;
        if (elapsed > 0) {
            (totals.baseSupplyIndex, totals.baseBorrowIndex) = accruedInterestIndices(elapsed);
            totals.lastAccrualTime = uint40(block.timestamp);
        }
    }

    function accrueAccount(address) external { accrueInternal(); }

    function presentValue(int104 principal) internal view returns (int256) {
        if (principal >= 0) return int256(uint256(uint104(principal)) * totals.baseSupplyIndex / BASE_INDEX_SCALE);
        return -int256(uint256(uint104(-principal)) * totals.baseBorrowIndex / BASE_INDEX_SCALE);
    }

    function principalValue(int256 present) internal view returns (int104) {
        uint256 index = present >= 0 ? totals.baseSupplyIndex : totals.baseBorrowIndex;
        uint256 size = uint256(present >= 0 ? present : -present) * BASE_INDEX_SCALE;
        size = present >= 0 ? size / index : (size + index - 1) / index;
        require(size < 2 ** 103);
        return present >= 0 ? int104(uint104(size)) : -int104(uint104(size));
    }

    // --- health

    function getPrice(address feed) public view returns (uint256) {
        (, int256 price,,,) = IFeed(feed).latestRoundData();
        if (price <= 0) revert BadPrice();
        return uint256(price);
    }

    function isIn(UserBasic memory user, uint8 offset) internal pure returns (bool) {
        if (offset < 16) return user.assetsIn & (uint16(1) << offset) != 0;
        return user._reserved & (uint8(1) << (offset - 16)) != 0;
    }

    function isEnough(address account, bool liquidate) internal view returns (bool) {
        UserBasic memory user = userBasic[account];
        if (user.principal >= 0) return true;
        int256 liquidity =
            presentValue(user.principal) * int256(getPrice(baseTokenPriceFeed)) / int256(baseScale);
        for (uint8 i = 0; i < assets.length; i++) {
            if (!isIn(user, i)) continue;
            if (liquidity >= 0) return true;
            AssetInfo memory asset = assets[i];
            uint256 value = userCollateral[account][asset.asset].balance * getPrice(asset.priceFeed) / asset.scale;
            uint256 factor = liquidate ? asset.liquidateCollateralFactor : asset.borrowCollateralFactor;
            liquidity += int256(mulFactor(value, factor));
        }
        return liquidity >= 0;
    }

    function isLiquidatable(address account) public view returns (bool) { return !isEnough(account, true); }

    function borrowBalanceOf(address account) external view returns (uint256) {
        (, uint64 index) = accruedInterestIndices(block.timestamp - totals.lastAccrualTime);
        int104 principal = userBasic[account].principal;
        return principal < 0 ? uint256(uint104(-principal)) * index / BASE_INDEX_SCALE : 0;
    }

    // --- base token

    function setPrincipal(address account, int104 next) internal {
        int104 old = userBasic[account].principal;
        userBasic[account].principal = next;
        uint104 supplied = uint104(old > 0 ? old : int104(0));
        uint104 owed = uint104(old < 0 ? -old : int104(0));
        totals.totalSupplyBase = totals.totalSupplyBase - supplied + uint104(next > 0 ? next : int104(0));
        totals.totalBorrowBase = totals.totalBorrowBase - owed + uint104(next < 0 ? -next : int104(0));
        if (next > old && next > 0) emit Transfer(address(0), account, 0);
        if (next < old && old > 0) emit Transfer(account, address(0), 0);
    }

    function supply(address asset, uint256 amount) external {
        if (asset != baseToken) return supplyCollateral(asset, uint128(amount));
        amount = doTransferIn(asset, amount);
        accrueInternal();
        int256 balance = presentValue(userBasic[msg.sender].principal) + int256(amount);
        setPrincipal(msg.sender, principalValue(balance));
        emit Supply(msg.sender, msg.sender, amount);
    }

    function withdraw(address asset, uint256 amount) external {
        if (asset != baseToken) return withdrawCollateral(asset, uint128(amount));
        accrueInternal();
        int256 balance = presentValue(userBasic[msg.sender].principal) - int256(amount);
        setPrincipal(msg.sender, principalValue(balance));
        if (!isEnough(msg.sender, false)) revert NotCollateralized();
        IToken(asset).transfer(msg.sender, amount);
        emit Withdraw(msg.sender, msg.sender, amount);
    }

    function doTransferIn(address asset, uint256 amount) internal returns (uint256) {
        uint256 before = IToken(asset).balanceOf(address(this));
        IToken(asset).transferFrom(msg.sender, address(this), amount);
        return IToken(asset).balanceOf(address(this)) - before;
    }

    // --- collateral

    function infoOf(address asset) internal view returns (AssetInfo memory) {
        for (uint8 i = 0; i < assets.length; i++) if (assets[i].asset == asset) return assets[i];
        revert BadAsset();
    }

    function setCollateral(address account, address asset, uint128 next) internal {
        uint8 offset = infoOf(asset).offset;
        UserBasic storage user = userBasic[account];
        userCollateral[account][asset].balance = next;
        if (offset < 16) {
            uint16 bit = uint16(1) << offset;
            user.assetsIn = next > 0 ? user.assetsIn | bit : user.assetsIn & ~bit;
        } else {
            uint8 bit = uint8(1) << (offset - 16);
            user._reserved = next > 0 ? user._reserved | bit : user._reserved & ~bit;
        }
    }

    function supplyCollateral(address asset, uint128 amount) internal {
        amount = uint128(doTransferIn(asset, amount));
        totalsOf[asset] += amount;
        setCollateral(msg.sender, asset, userCollateral[msg.sender][asset].balance + amount);
        emit SupplyCollateral(msg.sender, msg.sender, asset, amount);
    }

    function withdrawCollateral(address asset, uint128 amount) internal {
        totalsOf[asset] -= amount;
        setCollateral(msg.sender, asset, userCollateral[msg.sender][asset].balance - amount);
        if (!isEnough(msg.sender, false)) revert NotCollateralized();
        IToken(asset).transfer(msg.sender, amount);
        emit WithdrawCollateral(msg.sender, msg.sender, asset, amount);
    }

    function transferAsset(address dst, address asset, uint128 amount) external {
        setCollateral(msg.sender, asset, userCollateral[msg.sender][asset].balance - amount);
        setCollateral(dst, asset, userCollateral[dst][asset].balance + amount);
        if (!isEnough(msg.sender, false)) revert NotCollateralized();
        emit TransferCollateral(msg.sender, dst, asset, amount);
    }

    // --- liquidation

    function pause(bool supply_, bool transfer_, bool withdraw_, bool absorb_, bool buy_) external {
        totals.pauseFlags = (supply_ ? 1 : 0) | (transfer_ ? 2 : 0) | (withdraw_ ? 4 : 0)
            | (absorb_ ? 8 : 0) | (buy_ ? 16 : 0);
        emit PauseAction(supply_, transfer_, withdraw_, absorb_, buy_);
    }

    function absorb(address absorber, address[] calldata accounts) external {
        if (totals.pauseFlags & 8 != 0) revert Paused();
        accrueInternal();
        for (uint256 i = 0; i < accounts.length; i++) absorbInternal(absorber, accounts[i]);
    }

    function absorbInternal(address absorber, address account) internal {
        if (!isLiquidatable(account)) revert NotLiquidatable();
        UserBasic memory user = userBasic[account];
        int256 oldBalance = presentValue(user.principal);
        uint256 basePrice = getPrice(baseTokenPriceFeed);
        uint256 deltaValue = 0;
        for (uint8 i = 0; i < assets.length; i++) {
            if (!isIn(user, i)) continue;
            AssetInfo memory info = assets[i];
            uint128 seized = userCollateral[account][info.asset].balance;
            userCollateral[account][info.asset].balance = 0;
            totalsOf[info.asset] -= seized;
            uint256 value = seized * getPrice(info.priceFeed) / info.scale;
            deltaValue += mulFactor(value, info.liquidationFactor);
            emit AbsorbCollateral(absorber, account, info.asset, seized, value);
        }
        int256 newBalance = oldBalance + int256(deltaValue * baseScale / basePrice);
        if (newBalance < 0) newBalance = 0;
        setPrincipal(account, principalValue(newBalance));
        userBasic[account].assetsIn = 0;
        userBasic[account]._reserved = 0;
        uint256 paidOut = uint256(newBalance - oldBalance);
        emit AbsorbDebt(absorber, account, paidOut, paidOut * basePrice / baseScale);
    }

    function getReserves() public view returns (int256) {
        (uint64 supplied, uint64 borrowed) = accruedInterestIndices(block.timestamp - totals.lastAccrualTime);
        uint256 balance = IToken(baseToken).balanceOf(address(this));
        return int256(balance) - int256(uint256(totals.totalSupplyBase) * supplied / BASE_INDEX_SCALE)
            + int256(uint256(totals.totalBorrowBase) * borrowed / BASE_INDEX_SCALE);
    }

    function getCollateralReserves(address asset) public view returns (uint256) {
        return IToken(asset).balanceOf(address(this)) - totalsOf[asset];
    }

    function buyCollateral(address asset, uint256 minAmount, uint256 baseAmount, address recipient) external {
        if (totals.pauseFlags & 16 != 0) revert Paused();
        int256 reserves = getReserves();
        if (reserves >= 0 && uint256(reserves) >= targetReserves) revert NotForSale();
        baseAmount = doTransferIn(baseToken, baseAmount);
        uint256 amount = quoteCollateral(asset, baseAmount);
        if (amount < minAmount) revert TooMuchSlippage();
        if (amount > getCollateralReserves(asset)) revert InsufficientReserves();
        IToken(asset).transfer(recipient, amount);
        emit BuyCollateral(msg.sender, asset, baseAmount, amount);
    }

    function quoteCollateral(address asset, uint256 baseAmount) public view returns (uint256) {
        AssetInfo memory info = infoOf(asset);
        uint256 price = getPrice(info.priceFeed);
        uint256 discount = mulFactor(storeFrontPriceFactor, FACTOR_SCALE - info.liquidationFactor);
        uint256 discounted = mulFactor(price, FACTOR_SCALE - discount);
        return getPrice(baseTokenPriceFeed) * baseAmount * info.scale / discounted / baseScale;
    }

    // --- what only tests do

    function put(TotalsBasic calldata totals_, uint256 target, uint256 factor, Curve[2] calldata curves) external {
        totals = totals_;
        (targetReserves, storeFrontPriceFactor) = (target, factor);
        (supplyCurve, borrowCurve) = (curves[0], curves[1]);
    }

    function putUser(address account, UserBasic calldata user, uint128[] calldata balances) external {
        userBasic[account] = user;
        for (uint8 i = 0; i < assets.length; i++) userCollateral[account][assets[i].asset].balance = balances[i];
    }

    function putAsset(uint8 i, uint64 liquidate, uint64 liquidation, uint256 total) external {
        assets[i].liquidateCollateralFactor = liquidate;
        assets[i].liquidationFactor = liquidation;
        totalsOf[assets[i].asset] = total;
    }

    function upgrade() external { emit Upgraded(address(this)); }
}
