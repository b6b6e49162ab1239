# NG's cube root.

HIGH: constant(uint256) = 115792089237316195423570985008687907853269


@internal
@pure
def _log2(x: uint256) -> uint256:
    value: uint256 = x
    bits: uint256 = 0
    for step: uint256 in range(255):
        value = value >> 1
        if value == 0:
            break
        bits += 1
    return bits


@internal
@pure
def _cbrt(x: uint256) -> uint256:
    whole: uint256 = x
    if x < HIGH:
        whole = unsafe_mul(x, 10**36)
    elif x < HIGH * 10**18:
        whole = unsafe_mul(x, 10**18)
    log2: uint256 = self._log2(whole)
    a: uint256 = unsafe_div(
        unsafe_mul(pow_mod256(2, log2 // 3), pow_mod256(1260, log2 % 3)), pow_mod256(1000, log2 % 3)
    )
    for step: uint256 in range(7):
        a = unsafe_div(unsafe_add(unsafe_mul(2, a), unsafe_div(whole, unsafe_mul(a, a))), 3)
    if x >= HIGH * 10**18:
        return unsafe_mul(a, 10**12)
    if x >= HIGH:
        return unsafe_mul(a, 10**6)
    return a


@internal
@pure
def _signed_cbrt(x: int256) -> int256:
    if x >= 0:
        return convert(self._cbrt(convert(x, uint256)), int256)
    return -convert(self._cbrt(convert(-x, uint256)), int256)
