# What is special about two coins.


@internal
@pure
def _reduction(xp: uint256[N], fee_gamma: uint256) -> uint256:
    f: uint256 = xp[0] + xp[1]
    return fee_gamma * WAD // (fee_gamma + WAD - (WAD * N**N) * xp[0] // f * xp[1] // f)


@internal
@pure
def _K0(x: uint256[N], D: uint256) -> uint256:
    return (WAD * N**2) * x[0] // D * x[1] // D


@internal
@pure
def _limit(gamma: uint256) -> uint256:
    # How lopsided NG lets a pool become: 100 times, and less beyond a gamma.
    return 100 * WAD if gamma <= TIGHT_GAMMA else 100 * WAD * TIGHT_GAMMA // gamma


@internal
@pure
def _newton_y(ANN: uint256, gamma: uint256, x: uint256[N], D: uint256, i: uint256) -> uint256:
    other: uint256 = x[1 - i]
    y: uint256 = D**2 // (other * N**2)
    K0_i: uint256 = (WAD * N) * other // D
    if NG:
        limit: uint256 = self._limit(gamma)
        assert K0_i >= 10**36 // limit and K0_i <= limit
    else:
        assert K0_i > 10**16 * N - 1 and K0_i < 10**20 * N + 1
    return self._walk_to_y(ANN, gamma, D, y, K0_i, other, other)


@internal
@pure
def _mean(x: uint256[N]) -> uint256:
    D: uint256 = x[0]
    for step: uint256 in range(255):
        before: uint256 = D
        D = (D + x[0] * x[1] // D) // N
        moved: uint256 = D - before if D > before else before - D
        if moved <= 1 or moved * 10**18 < D:
            return D
    raise "did not converge"


@internal
@pure
def _newton_D(ANN: uint256, gamma: uint256, unsorted: uint256[N]) -> uint256:
    self._require_settings(ANN, gamma)
    x: uint256[N] = unsorted
    if x[0] < x[1]:
        x = [unsorted[1], unsorted[0]]
    assert x[0] > 10**9 - 1 and x[0] < 10**15 * 10**18 + 1
    assert x[1] * WAD // x[0] > 10**14 - 1
    if NG:
        return self._walk_to_D(ANN, gamma, x, N * isqrt(x[0] * x[1]), 10**16 - 1)
    return self._walk_to_D(ANN, gamma, x, N * self._mean(x), 10**16)
