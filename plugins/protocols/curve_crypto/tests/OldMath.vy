# Old pools walk to the balance.


@internal
@pure
def _solve(ANN: uint256, gamma: uint256, x: uint256[N], D: uint256, i: uint256) -> uint256:
    self._require_settings(ANN, gamma)
    assert D > 10**17 - 1 and D < 10**15 * 10**18 + 1
    y: uint256 = self._newton_y(ANN, gamma, x, D, i)
    self._require_fraction(y, D, 10**16)
    return y
