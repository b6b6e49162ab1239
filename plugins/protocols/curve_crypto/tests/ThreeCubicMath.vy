# NG with three coins: a cubic equation for K0, and D from the cube root of the product.


@internal
@pure
def _divider(d0: int256) -> int256:
    if d0 > 10**48:
        return 10**30
    if d0 > 10**44:
        return 10**26
    if d0 > 10**40:
        return 10**22
    if d0 > 10**36:
        return 10**18
    if d0 > 10**32:
        return 10**14
    if d0 > 10**28:
        return 10**10
    if d0 > 10**24:
        return 10**6
    if d0 > 10**20:
        return 10**2
    return 1


@internal
@pure
def _solve(ANN_: uint256, gamma_: uint256, x: uint256[N], D_: uint256, i: uint256) -> uint256:
    self._require_settings(ANN_, gamma_)
    assert D_ > 10**17 - 1 and D_ < 10**15 * 10**18 + 1
    for k: uint256 in range(N):
        if k != i:
            self._require_fraction(x[k], D_, 10**16)
    ANN: int256 = convert(ANN_, int256)
    gamma: int256 = convert(gamma_, int256)
    D: int256 = convert(D_, int256)
    x_j: int256 = convert(x[1 if i == 0 else 0], int256)
    x_k: int256 = convert(x[1 if i == 2 else 2], int256)
    gamma2: int256 = unsafe_mul(gamma, gamma)
    a: int256 = 10**36 // 27
    b: int256 = unsafe_add(10**36 // 9, unsafe_div(unsafe_mul(2 * 10**18, gamma), 27)) - unsafe_div(
        unsafe_div(unsafe_div(unsafe_mul(unsafe_div(unsafe_mul(D, D), x_j), gamma2) * ANN, 27**2), 10000), x_k
    )
    c: int256 = unsafe_add(
        10**36 // 9, unsafe_div(unsafe_mul(gamma, unsafe_add(gamma, 4 * 10**18)), 27)
    ) + unsafe_div(
        unsafe_div(unsafe_mul(unsafe_div(gamma2 * unsafe_sub(unsafe_add(x_j, x_k), D), D), ANN), 27), 10000
    )
    d: int256 = unsafe_div(unsafe_add(10**18, gamma) ** 2, 27)
    divider: int256 = self._divider(abs(unsafe_mul(3, a) * c // b - b))
    if abs(a) > abs(b):
        more: int256 = abs(unsafe_div(a, b))
        a = unsafe_div(unsafe_mul(a, more), divider)
        b = unsafe_div(b * more, divider)
        c = unsafe_div(c * more, divider)
        d = unsafe_div(d * more, divider)
    else:
        less: int256 = abs(unsafe_div(b, a))
        a = unsafe_div(a // less, divider)
        b = unsafe_div(unsafe_div(b, less), divider)
        c = unsafe_div(unsafe_div(c, less), divider)
        d = unsafe_div(unsafe_div(d, less), divider)
    all_three: int256 = unsafe_mul(3, a) * c
    delta0: int256 = unsafe_div(all_three, b) - b
    delta1: int256 = unsafe_div(3 * all_three, b) - unsafe_mul(2, b) - unsafe_div(unsafe_div(27 * a**2, b) * d, b)
    inside: int256 = delta1**2 + unsafe_div(4 * delta0**2, b) * delta0
    if inside <= 0:
        y: uint256 = self._newton_y(ANN_, gamma_, x, D_, i)
        self._require_fraction(y, D_, 10**16)
        return y
    root: int256 = convert(isqrt(convert(inside, uint256)), int256)
    b_cbrt: int256 = self._signed_cbrt(b)
    second: int256 = 0
    if delta1 > 0:
        second = convert(self._cbrt(unsafe_div(convert(delta1 + root, uint256), 2)), int256)
    else:
        second = -convert(self._cbrt(unsafe_div(convert(-(delta1 - root), uint256), 2)), int256)
    C1: int256 = unsafe_div(unsafe_div(b_cbrt * b_cbrt, 10**18) * second, 10**18)
    root_K0: int256 = unsafe_div(b + b * delta0 // C1 - C1, 3)
    out: uint256 = convert(
        unsafe_div(unsafe_div(unsafe_div(unsafe_div(D * D, 27), x_k) * D, x_j) * root_K0, a), uint256
    )
    K0: uint256 = convert(unsafe_div(10**18 * root_K0, a), uint256)
    share: uint256 = unsafe_div(out * 10**18, D_)
    assert share >= 10**16 - 1 and share < 10**20 + 1
    return out


@internal
@pure
def _newton_D(ANN: uint256, gamma: uint256, unsorted: uint256[N]) -> uint256:
    x: uint256[N] = self._sorted(unsorted)
    assert x[0] < max_value(uint256) // 10**18 * N**N
    assert x[0] > 0
    S: uint256 = unsafe_add(unsafe_add(x[0], x[1]), x[2])
    product: uint256 = unsafe_div(unsafe_div(x[0] * x[1], 10**18) * x[2], 10**18)
    D: uint256 = unsafe_mul(N, self._cbrt(product)) if product > 0 else 0
    for step: uint256 in range(255):
        before: uint256 = D
        K0: uint256 = unsafe_div(unsafe_mul(unsafe_mul(10**18, x[0]), N), D)
        K0 = unsafe_div(unsafe_mul(unsafe_mul(K0, x[1]), N), D)
        K0 = unsafe_div(unsafe_mul(unsafe_mul(K0, x[2]), N), D)
        g: uint256 = unsafe_add(gamma, 10**18)
        if g > K0:
            g = unsafe_add(unsafe_sub(g, K0), 1)
        else:
            g = unsafe_add(unsafe_sub(K0, g), 1)
        mul1: uint256 = unsafe_div(unsafe_mul(unsafe_div(unsafe_mul(10**18, D), gamma), g), gamma)
        mul1 = unsafe_div(unsafe_mul(unsafe_mul(mul1, g), A_MULTIPLIER), ANN)
        mul2: uint256 = unsafe_div(unsafe_mul(2 * 10**18 * N, K0), g)
        slope: uint256 = unsafe_add(S, unsafe_div(unsafe_mul(S, mul2), 10**18))
        slope = unsafe_add(slope, unsafe_div(unsafe_mul(mul1, N), K0))
        slope = unsafe_sub(slope, unsafe_div(unsafe_mul(mul2, D), 10**18))
        plus: uint256 = unsafe_div(D * unsafe_add(slope, S), slope)
        minus: uint256 = unsafe_div(D * D, slope)
        part: uint256 = unsafe_div(D * unsafe_div(mul1, slope), 10**18)
        if 10**18 > K0:
            minus += unsafe_div(unsafe_mul(part, unsafe_sub(10**18, K0)), K0)
        else:
            minus -= unsafe_div(unsafe_mul(part, unsafe_sub(K0, 10**18)), K0)
        if plus > minus:
            D = unsafe_sub(plus, minus)
        else:
            D = unsafe_div(unsafe_sub(minus, plus), 2)
        moved: uint256 = unsafe_sub(D, before) if D > before else unsafe_sub(before, D)
        if unsafe_mul(moved, 10**14) < max(10**16, D):
            for value: uint256 in x:
                share: uint256 = unsafe_div(unsafe_mul(value, 10**18), D)
                assert share >= 10**16 - 1 and share < 10**20 + 1
            return D
    raise "did not converge"
