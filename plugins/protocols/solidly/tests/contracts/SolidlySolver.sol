// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// `_f`, `_d` and `_get_y` as Velodrome V1's `Pair` has them from Solidly's `BaseV1Pair`, line by line.

function solidlyF(uint256 x0, uint256 y) pure returns (uint256) {
    return x0 * (y * y / 1e18 * y / 1e18) / 1e18 + (x0 * x0 / 1e18 * x0 / 1e18) * y / 1e18;
}

function solidlyD(uint256 x0, uint256 y) pure returns (uint256) {
    return 3 * x0 * (y * y / 1e18) / 1e18 + (x0 * x0 / 1e18 * x0 / 1e18);
}

function solidlyGetY(uint256 x0, uint256 xy, uint256 y) pure returns (uint256) {
    for (uint256 i = 0; i < 255; i++) {
        uint256 before = y;
        uint256 k = solidlyF(x0, y);
        if (k < xy) {
            y = y + (xy - k) * 1e18 / solidlyD(x0, y);
        } else {
            y = y - (k - xy) * 1e18 / solidlyD(x0, y);
        }
        if (y > before) {
            if (y - before <= 1) return y;
        } else {
            if (before - y <= 1) return y;
        }
    }
    return y;
}
