# The walks of Newton's method: what old pools compute, and where NG's cubic has no root.


@internal
@pure
def _g1k0(gamma: uint256, K0: uint256) -> uint256:
    if gamma + WAD > K0:
        return gamma + WAD - K0 + 1
    return K0 - (gamma + WAD) + 1


@internal
@pure
def _walk_to_y(ANN: uint256, gamma: uint256, D: uint256, start: uint256, K0_i: uint256, S_i: uint256, largest: uint256) -> uint256:
    y: uint256 = start
    limit: uint256 = max(max(largest // 10**14, D // 10**14), 100)
    for step: uint256 in range(255):
        before: uint256 = y
        K0: uint256 = K0_i * y * N // D
        S: uint256 = S_i + y
        g: uint256 = self._g1k0(gamma, K0)
        mul1: uint256 = WAD * D // gamma * g // gamma * g * A_MULTIPLIER // ANN
        mul2: uint256 = WAD + (2 * WAD) * K0 // g
        slope: uint256 = WAD * y + S * mul2 + mul1
        less: uint256 = D * mul2
        if slope < less:
            y = before // 2
            continue
        slope -= less
        fprime: uint256 = slope // y
        minus: uint256 = mul1 // fprime
        plus: uint256 = (slope + WAD * D) // fprime + minus * WAD // K0
        minus += WAD * S // fprime
        if plus < minus:
            y = before // 2
        else:
            y = plus - minus
        moved: uint256 = y - before if y > before else before - y
        if moved < max(limit, y // 10**14):
            return y
    raise "did not converge"


@internal
@pure
def _require_settings(ANN: uint256, gamma: uint256):
    assert ANN >= MIN_A and ANN <= MAX_A
    assert gamma >= MIN_GAMMA and gamma <= MAX_GAMMA


@internal
@pure
def _require_fraction(x: uint256, D: uint256, least: uint256):
    assert x * WAD // D >= least and x * WAD // D <= 10**20


@internal
@pure
def _walk_to_D(ANN: uint256, gamma: uint256, x: uint256[N], start: uint256, least: uint256) -> uint256:
    D: uint256 = start
    S: uint256 = 0
    for value: uint256 in x:
        S += value
    for step: uint256 in range(255):
        before: uint256 = D
        K0: uint256 = self._K0(x, D)
        g: uint256 = self._g1k0(gamma, K0)
        mul1: uint256 = WAD * D // gamma * g // gamma * g * A_MULTIPLIER // ANN
        mul2: uint256 = (2 * WAD) * N * K0 // g
        slope: uint256 = (S + S * mul2 // WAD) + mul1 * N // K0 - mul2 * D // WAD
        plus: uint256 = D * (slope + S) // slope
        minus: uint256 = D * D // slope
        if WAD > K0:
            minus += D * (mul1 // slope) // WAD * (WAD - K0) // K0
        else:
            minus -= D * (mul1 // slope) // WAD * (K0 - WAD) // K0
        if plus > minus:
            D = plus - minus
        else:
            D = (minus - plus) // 2
        moved: uint256 = D - before if D > before else before - D
        if moved * 10**14 < max(10**16, D):
            for value: uint256 in x:
                self._require_fraction(value, D, least)
            return D
    raise "did not converge"
