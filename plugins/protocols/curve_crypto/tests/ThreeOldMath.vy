# The invariant of old pools of three coins.


@internal
@pure
def _newton_D(ANN: uint256, gamma: uint256, unsorted: uint256[N]) -> uint256:
    self._require_settings(ANN, gamma)
    x: uint256[N] = self._sorted(unsorted)
    assert x[0] > 10**9 - 1 and x[0] < 10**15 * 10**18 + 1
    for k: uint256 in range(1, N):
        assert x[k] * WAD // x[0] > 10**11 - 1
    return self._walk_to_D(ANN, gamma, x, N * self._mean(x), 10**16)
