// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {PoolFactory} from "aerodrome/factories/PoolFactory.sol";

/// A factory with any fee, which also answers by the names that older factories have.
contract FactoryBench is PoolFactory {
    constructor(address pool) PoolFactory(pool) {}

    function setAnyFee(uint256 fee) external {
        (stableFee, volatileFee) = (fee, fee);
    }

    function getFee(bool isStable) external view returns (uint256) {
        return isStable ? stableFee : volatileFee;
    }

    function allPairsLength() external view returns (uint256) {
        return allPools.length;
    }

    function allPairs(uint256 index) external view returns (address) {
        return allPools[index];
    }

    function getPair(address a, address b, bool isStable) external view returns (address) {
        return this.getPool(a, b, isStable);
    }
}

/// An ERC-20 token whose balances a test sets.
contract Coin {
    string public constant symbol = "COIN";
    uint8 public immutable decimals;
    mapping(address => uint256) public balanceOf;

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    function set(address owner, uint256 amount) external {
        balanceOf[owner] = amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
        return true;
    }
}
