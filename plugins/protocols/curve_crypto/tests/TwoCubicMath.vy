# NG with two coins: a cubic equation for K0.


@internal
@pure
def _divider(threshold: int256) -> int256:
    if threshold > 10**30:
        return 10**12
    if threshold > 10**28:
        return 10**10
    if threshold > 10**26:
        return 10**8
    if threshold > 10**24:
        return 10**6
    if threshold > 10**20:
        return 10**2
    return 1


@internal
@pure
def _solve(ANN_: uint256, gamma_: uint256, x: uint256[N], D_: uint256, i: uint256) -> uint256:
    self._require_settings(ANN_, gamma_)
    assert D_ > 10**17 - 1 and D_ < 10**15 * 10**18 + 1
    limit: int256 = convert(self._limit(gamma_), int256)
    ANN: int256 = convert(ANN_, int256)
    gamma: int256 = convert(gamma_, int256)
    D: int256 = convert(D_, int256)
    other: int256 = convert(x[1 - i], int256)
    gamma2: int256 = unsafe_mul(gamma, gamma)
    assert other != 0
    K0_i: int256 = unsafe_div(2 * 10**18 * other, D)
    assert K0_i >= unsafe_div(10**36, limit) and K0_i <= limit
    ann_gamma2: int256 = ANN * gamma2
    a: int256 = 10**32
    b: int256 = D * ann_gamma2 // 400000000 // other - 3 * 10**32 - unsafe_mul(unsafe_mul(2, gamma), 10**14)
    c: int256 = (
        3 * 10**32 + unsafe_mul(unsafe_mul(4, gamma), 10**14) + unsafe_div(gamma2, 10**4)
        + unsafe_div(unsafe_div(unsafe_mul(4, ann_gamma2), 400000000) * other, D)
        - unsafe_div(unsafe_mul(4, ann_gamma2), 400000000)
    )
    d: int256 = -unsafe_div(unsafe_add(10**18, gamma) ** 2, 10**4)
    delta0: int256 = 3 * a * c // b - b
    delta1: int256 = 3 * delta0 + b - 27 * a**2 // b * d // b
    divider: int256 = self._divider(min(min(abs(delta0), abs(delta1)), a))
    a = unsafe_div(a, divider)
    b = unsafe_div(b, divider)
    c = unsafe_div(c, divider)
    d = unsafe_div(d, divider)
    delta0 = unsafe_div(unsafe_mul(unsafe_mul(3, a), c), b) - b
    delta1 = 3 * delta0 + b - unsafe_div(unsafe_mul(unsafe_div(unsafe_mul(27, a**2), b), d), b)
    inside: int256 = delta1**2 + unsafe_mul(unsafe_div(4 * delta0**2, b), delta0)
    if inside <= 0:
        return self._newton_y(ANN_, gamma_, x, D_, i)
    root: int256 = convert(isqrt(convert(inside, uint256)), int256)
    b_cbrt: int256 = self._signed_cbrt(b)
    second: int256 = 0
    if delta1 > 0:
        second = convert(self._cbrt(convert(unsafe_add(delta1, root), uint256) // 2), int256)
    else:
        second = -convert(self._cbrt(unsafe_div(convert(unsafe_sub(root, delta1), uint256), 2)), int256)
    C1: int256 = unsafe_div(unsafe_mul(unsafe_div(b_cbrt**2, 10**18), second), 10**18)
    K0: int256 = (unsafe_mul(10**18, C1) - unsafe_mul(10**18, b) - unsafe_mul(10**18, b) // C1 * delta0) // unsafe_mul(3, a)
    y: uint256 = convert(unsafe_div(unsafe_div(unsafe_mul(unsafe_div(D**2, other), K0), 4), 10**18), uint256)
    assert K0 >= 0
    share: uint256 = unsafe_div(y * 10**18, D_)
    most: uint256 = convert(limit, uint256)
    assert share >= unsafe_div(10**36 // N, most) and share <= unsafe_div(most, N)
    return y
