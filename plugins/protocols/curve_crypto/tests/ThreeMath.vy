# What is special about three coins.


@internal
@pure
def _reduction(xp: uint256[N], fee_gamma: uint256) -> uint256:
    S: uint256 = xp[0] + xp[1] + xp[2]
    K: uint256 = WAD
    for x: uint256 in xp:
        K = K * N * x // S
    if fee_gamma > 0:
        K = fee_gamma * WAD // (fee_gamma + WAD - K)
    return K


@internal
@pure
def _K0(x: uint256[N], D: uint256) -> uint256:
    K0: uint256 = WAD
    for value: uint256 in x:
        K0 = K0 * value * N // D
    return K0


@internal
@pure
def _sorted(unsorted: uint256[N]) -> uint256[N]:
    x: uint256[N] = unsorted
    for pass_: uint256 in range(2):
        for k: uint256 in range(2):
            if x[k] < x[k + 1]:
                kept: uint256 = x[k]
                x[k] = x[k + 1]
                x[k + 1] = kept
    return x


@internal
@pure
def _newton_y(ANN: uint256, gamma: uint256, x: uint256[N], D: uint256, i: uint256) -> uint256:
    others: uint256[N] = x
    others[i] = 0
    others = self._sorted(others)
    for k: uint256 in range(2):
        self._require_fraction(others[k], D, 10**16)
    y: uint256 = D // N
    y = y * D // (others[1] * N)
    y = y * D // (others[0] * N)
    K0_i: uint256 = WAD * others[0] * N // D * others[1] * N // D
    return self._walk_to_y(ANN, gamma, D, y, K0_i, others[0] + others[1], others[0])


@internal
@pure
def _mean(x: uint256[N]) -> uint256:
    D: uint256 = x[0]
    for step: uint256 in range(255):
        before: uint256 = D
        part: uint256 = WAD
        for value: uint256 in x:
            part = part * value // D
        D = D * ((N - 1) * WAD + part) // (N * WAD)
        moved: uint256 = D - before if D > before else before - D
        if moved <= 1 or moved * 10**18 < D:
            return D
    raise "did not converge"
