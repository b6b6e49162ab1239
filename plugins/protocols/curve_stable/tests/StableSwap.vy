# pragma version 0.4.3
"""
A StableSwap pool of our own, for tests: the public formulas of Curve's templates before NG.

Words between two dollar signs are replaced before compiling, as Curve's own templates are. What a
template keeps in storage beyond the swap (ownership, killing) is left out.
"""
from ethereum.ercs import IERC20

event TokenExchange:
    buyer: indexed(address)
    sold_id: int128
    tokens_sold: uint256
    bought_id: int128
    tokens_bought: uint256

event AddLiquidity:
    provider: indexed(address)
    token_amounts: uint256[N]
    fees: uint256[N]
    invariant: uint256
    token_supply: uint256

event RemoveLiquidity:
    provider: indexed(address)
    token_amounts: uint256[N]
    fees: uint256[N]
    token_supply: uint256

event RemoveLiquidityOne:
    provider: indexed(address)
    token_amount: uint256
    coin_amount: uint256
    token_supply: uint256

event RemoveLiquidityImbalance:
    provider: indexed(address)
    token_amounts: uint256[N]
    fees: uint256[N]
    invariant: uint256
    token_supply: uint256

event RampA:
    old_A: uint256
    new_A: uint256
    initial_time: uint256
    future_time: uint256

event StopRampA:
    A: uint256
    t: uint256

event NewFee:
    fee: uint256
    admin_fee: uint256

event NewParameters:
    A: uint256
    fee: uint256
    admin_fee: uint256

event ApplyNewFee:
    fee: uint256

interface BasePool:
    def get_virtual_price() -> uint256: view

N: constant(uint256) = $N$
A_PRECISION: constant(uint256) = $A_PRECISION$
PLUS_ONE: constant(bool) = $PLUS_ONE$
POWERS: constant(bool) = $POWERS$
FALLS_THROUGH: constant(bool) = $FALLS_THROUGH$
NO_MARGIN: constant(bool) = $NO_MARGIN$
BALANCES_FROM_XP: constant(bool) = $BALANCES_FROM_XP$
FEE_AFTER_RATE: constant(bool) = $FEE_AFTER_RATE$
SAVES_PRICE: constant(bool) = $SAVES_PRICE$
BASE_RATE: constant(bool) = $BASE_RATE$
CACHES_BASE_RATE: constant(bool) = $CACHES_BASE_RATE$

PRECISION: constant(uint256) = 10**18
FEE_DENOMINATOR: constant(uint256) = 10**10
BASE_CACHE_EXPIRES: constant(uint256) = 600

coin_list: address[N]
held: uint256[N]
rate_multipliers: uint256[N]
fee: public(uint256)
admin_fee: public(uint256)
initial_A: public(uint256)
future_A: public(uint256)
initial_A_time: public(uint256)
future_A_time: public(uint256)
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
base_pool: public(address)
base_virtual_price: public(uint256)
base_cache_updated: public(uint256)
last_price: public(uint256)


@deploy
def __init__(coins_: address[N], rates: uint256[N], amp: uint256, fee: uint256, admin_fee: uint256, base: address):
    self.coin_list = coins_
    self.rate_multipliers = rates
    self.initial_A = amp
    self.future_A = amp
    self.fee = fee
    self.admin_fee = admin_fee
    if BASE_RATE:
        self.base_pool = base
        self.base_virtual_price = staticcall BasePool(base).get_virtual_price()
        self.base_cache_updated = block.timestamp


@view
@external
def coins(k: $INDEX$) -> address:
    return self.coin_list[$K$]


@view
@external
def balances(k: $INDEX$) -> uint256:
    return self.held[$K$]


@view
@internal
def _A() -> uint256:
    t1: uint256 = self.future_A_time
    A1: uint256 = self.future_A
    if block.timestamp >= t1:
        return A1
    A0: uint256 = self.initial_A
    t0: uint256 = self.initial_A_time
    if A1 > A0:
        return A0 + (A1 - A0) * (block.timestamp - t0) // (t1 - t0)
    return A0 - (A0 - A1) * (block.timestamp - t0) // (t1 - t0)


@view
@external
def A() -> uint256:
    return self._A() // A_PRECISION


@view
@external
def A_precise() -> uint256:
    return self._A()


@view
@internal
def _rates_now() -> uint256[N]:
    rates: uint256[N] = self.rate_multipliers
    if BASE_RATE:
        rates[N - 1] = self.base_virtual_price
        if not CACHES_BASE_RATE or block.timestamp > self.base_cache_updated + BASE_CACHE_EXPIRES:
            rates[N - 1] = staticcall BasePool(self.base_pool).get_virtual_price()
    return rates


@internal
def _rates() -> uint256[N]:
    rates: uint256[N] = self._rates_now()
    if CACHES_BASE_RATE and block.timestamp > self.base_cache_updated + BASE_CACHE_EXPIRES:
        self.base_virtual_price = rates[N - 1]
        self.base_cache_updated = block.timestamp
    return rates


@pure
@internal
def _xp(rates: uint256[N], balances: uint256[N]) -> uint256[N]:
    result: uint256[N] = rates
    for k: uint256 in range(N):
        result[k] = result[k] * balances[k] // PRECISION
    return result


@pure
@internal
def _get_D(xp: uint256[N], amp: uint256) -> uint256:
    S: uint256 = 0
    for x: uint256 in xp:
        S += x
    if S == 0:
        return 0
    D: uint256 = S
    Ann: uint256 = amp * N
    for step: uint256 in range(255):
        D_P: uint256 = D
        for x: uint256 in xp:
            if POWERS:
                D_P = D_P * D // x
            elif PLUS_ONE:
                D_P = D_P * D // (x * N + 1)
            else:
                D_P = D_P * D // (x * N)
        if POWERS:
            D_P //= N**N
        before: uint256 = D
        D = (Ann * S // A_PRECISION + D_P * N) * D // ((Ann - A_PRECISION) * D // A_PRECISION + (N + 1) * D_P)
        if D > before:
            if D - before <= 1:
                return D
        elif before - D <= 1:
            return D
    if not FALLS_THROUGH:
        raise "no convergence"
    return D


@pure
@internal
def _get_y(i: uint256, j: uint256, x: uint256, xp: uint256[N], amp: uint256, D: uint256) -> uint256:
    assert i != j
    assert i < N
    assert j < N
    Ann: uint256 = amp * N
    c: uint256 = D
    S: uint256 = 0
    here: uint256 = 0
    for k: uint256 in range(N):
        if k == i:
            here = x
        elif k != j:
            here = xp[k]
        else:
            continue
        S += here
        c = c * D // (here * N)
    c = c * D * A_PRECISION // (Ann * N)
    b: uint256 = S + D * A_PRECISION // Ann
    y: uint256 = D
    for step: uint256 in range(255):
        before: uint256 = y
        y = (y * y + c) // (2 * y + b - D)
        if y > before:
            if y - before <= 1:
                return y
        elif before - y <= 1:
            return y
    if not FALLS_THROUGH:
        raise "no convergence"
    return y


@pure
@internal
def _price(xp: uint256[N], amp: uint256, D: uint256) -> uint256:
    ANN: uint256 = amp * N
    Dr: uint256 = D // N**N
    for x: uint256 in xp:
        Dr = Dr * D // x
    p: uint256 = 10**18 * (ANN * xp[0] // A_PRECISION + Dr * xp[0] // xp[1]) // (ANN * xp[0] // A_PRECISION + Dr)
    assert p < 2**128
    return p


@pure
@internal
def _swap(
    i: uint256, j: uint256, dx: uint256,
    balances: uint256[N], rates: uint256[N], amp: uint256, fee: uint256, admin_fee: uint256,
) -> (uint256, uint256[N], uint256):
    xp: uint256[N] = self._xp(rates, balances)
    x: uint256 = xp[i] + dx * rates[i] // PRECISION
    D: uint256 = self._get_D(xp, amp)
    y: uint256 = self._get_y(i, j, x, xp, amp, D)
    dy: uint256 = xp[j] - y
    if not NO_MARGIN:
        dy -= 1
    dy_fee: uint256 = dy * fee // FEE_DENOMINATOR
    paid: uint256 = (dy - dy_fee) * PRECISION // rates[j]
    price: uint256 = 0
    if SAVES_PRICE:
        after: uint256[N] = xp
        after[i] = x
        after[j] = y
        price = self._price(after, amp, D)
    dy_admin_fee: uint256 = dy_fee * admin_fee // FEE_DENOMINATOR
    result: uint256[N] = balances
    if BALANCES_FROM_XP:
        result[i] = x * PRECISION // rates[i]
        result[j] = (y + (dy_fee - dy_admin_fee)) * PRECISION // rates[j]
    else:
        result[i] = balances[i] + dx
        result[j] = balances[j] - paid - dy_admin_fee * PRECISION // rates[j]
    return paid, result, price


@pure
@external
def swap_of(
    i: uint256, j: uint256, dx: uint256,
    balances: uint256[N], rates: uint256[N], amp: uint256, fee: uint256, admin_fee: uint256,
) -> (uint256, uint256[N], uint256):
    """
    What an exchange does in a state that the caller makes up.
    """
    return self._swap(i, j, dx, balances, rates, amp, fee, admin_fee)


@view
@external
def get_dy(i: int128, j: int128, dx: uint256) -> uint256:
    rates: uint256[N] = self._rates_now()
    xp: uint256[N] = self._xp(rates, self.held)
    amp: uint256 = self._A()
    m: uint256 = convert(i, uint256)
    n: uint256 = convert(j, uint256)
    y: uint256 = self._get_y(m, n, xp[m] + dx * rates[m] // PRECISION, xp, amp, self._get_D(xp, amp))
    dy: uint256 = xp[n] - y
    if not NO_MARGIN:
        dy -= 1
    if FEE_AFTER_RATE:
        dy = dy * PRECISION // rates[n]
        return dy - self.fee * dy // FEE_DENOMINATOR
    return (dy - self.fee * dy // FEE_DENOMINATOR) * PRECISION // rates[n]


@view
@external
def get_virtual_price() -> uint256:
    return self._get_D(self._xp(self._rates_now(), self.held), self._A()) * PRECISION // self.totalSupply


@external
def exchange(i: int128, j: int128, dx: uint256, min_dy: uint256):
    m: uint256 = convert(i, uint256)
    n: uint256 = convert(j, uint256)
    paid: uint256 = 0
    after: uint256[N] = empty(uint256[N])
    price: uint256 = 0
    paid, after, price = self._swap(m, n, dx, self.held, self._rates(), self._A(), self.fee, self.admin_fee)
    assert paid >= min_dy
    self.held = after
    self.last_price = price
    assert extcall IERC20(self.coin_list[m]).transferFrom(msg.sender, self, dx)
    assert extcall IERC20(self.coin_list[n]).transfer(msg.sender, paid)
    log TokenExchange(buyer=msg.sender, sold_id=i, tokens_sold=dx, bought_id=j, tokens_bought=paid)


@internal
def _take_fees(old: uint256[N], new: uint256[N], D0: uint256, D1: uint256) -> (uint256[N], uint256[N]):
    share: uint256 = self.fee * N // (4 * (N - 1))
    fees: uint256[N] = empty(uint256[N])
    left: uint256[N] = new
    for k: uint256 in range(N):
        ideal: uint256 = D1 * old[k] // D0
        difference: uint256 = ideal - new[k] if ideal > new[k] else new[k] - ideal
        fees[k] = share * difference // FEE_DENOMINATOR
        self.held[k] = new[k] - fees[k] * self.admin_fee // FEE_DENOMINATOR
        left[k] -= fees[k]
    return fees, left


@external
def add_liquidity(amounts: uint256[N], min_mint_amount: uint256):
    amp: uint256 = self._A()
    rates: uint256[N] = self._rates()
    old: uint256[N] = self.held
    supply: uint256 = self.totalSupply
    D0: uint256 = self._get_D(self._xp(rates, old), amp)
    new: uint256[N] = old
    for k: uint256 in range(N):
        assert supply > 0 or amounts[k] > 0
        new[k] += amounts[k]
    D1: uint256 = self._get_D(self._xp(rates, new), amp)
    assert D1 > D0
    fees: uint256[N] = empty(uint256[N])
    minted: uint256 = D1
    if supply > 0:
        left: uint256[N] = empty(uint256[N])
        fees, left = self._take_fees(old, new, D0, D1)
        minted = supply * (self._get_D(self._xp(rates, left), amp) - D0) // D0
    else:
        self.held = new
    assert minted >= min_mint_amount
    for k: uint256 in range(N):
        assert extcall IERC20(self.coin_list[k]).transferFrom(msg.sender, self, amounts[k])
    self.totalSupply = supply + minted
    self.balanceOf[msg.sender] += minted
    log AddLiquidity(
        provider=msg.sender, token_amounts=amounts, fees=fees, invariant=D1, token_supply=supply + minted
    )


@external
def remove_liquidity(burned: uint256, min_amounts: uint256[N]):
    supply: uint256 = self.totalSupply
    amounts: uint256[N] = empty(uint256[N])
    for k: uint256 in range(N):
        amounts[k] = self.held[k] * burned // supply
        assert amounts[k] >= min_amounts[k]
        self.held[k] -= amounts[k]
        assert extcall IERC20(self.coin_list[k]).transfer(msg.sender, amounts[k])
    self.totalSupply = supply - burned
    self.balanceOf[msg.sender] -= burned
    log RemoveLiquidity(
        provider=msg.sender, token_amounts=amounts, fees=empty(uint256[N]), token_supply=supply - burned
    )


@external
def remove_liquidity_imbalance(amounts: uint256[N], max_burn_amount: uint256):
    amp: uint256 = self._A()
    rates: uint256[N] = self._rates()
    old: uint256[N] = self.held
    new: uint256[N] = old
    D0: uint256 = self._get_D(self._xp(rates, old), amp)
    for k: uint256 in range(N):
        new[k] -= amounts[k]
    D1: uint256 = self._get_D(self._xp(rates, new), amp)
    fees: uint256[N] = empty(uint256[N])
    left: uint256[N] = empty(uint256[N])
    fees, left = self._take_fees(old, new, D0, D1)
    supply: uint256 = self.totalSupply
    burned: uint256 = (D0 - self._get_D(self._xp(rates, left), amp)) * supply // D0 + 1
    assert burned > 1 and burned <= max_burn_amount
    self.totalSupply = supply - burned
    self.balanceOf[msg.sender] -= burned
    for k: uint256 in range(N):
        assert extcall IERC20(self.coin_list[k]).transfer(msg.sender, amounts[k])
    log RemoveLiquidityImbalance(
        provider=msg.sender, token_amounts=amounts, fees=fees, invariant=D1, token_supply=supply - burned
    )


@external
def remove_liquidity_one_coin(burned: uint256, i: int128, amount: uint256):
    """
    Not Curve's formula: only an event that does not say which coin left, and by how much with its fee.
    """
    k: uint256 = convert(i, uint256)
    self.held[k] -= amount
    self.totalSupply -= burned
    self.balanceOf[msg.sender] -= burned
    assert extcall IERC20(self.coin_list[k]).transfer(msg.sender, amount)
    log RemoveLiquidityOne(
        provider=msg.sender, token_amount=burned, coin_amount=amount, token_supply=self.totalSupply
    )


@external
def ramp_A(future: uint256, ends: uint256):
    initial: uint256 = self._A()
    self.initial_A = initial
    self.future_A = future * A_PRECISION
    self.initial_A_time = block.timestamp
    self.future_A_time = ends
    log RampA(old_A=initial, new_A=future * A_PRECISION, initial_time=block.timestamp, future_time=ends)


@external
def stop_ramp_A():
    current: uint256 = self._A()
    self.initial_A = current
    self.future_A = current
    self.initial_A_time = block.timestamp
    self.future_A_time = block.timestamp
    log StopRampA(A=current, t=block.timestamp)


@external
def apply_new_fee(fee: uint256, admin_fee: uint256):
    self.fee = fee
    self.admin_fee = admin_fee
    log NewFee(fee=fee, admin_fee=admin_fee)


@external
def apply_plain_fee(fee: uint256):
    self.fee = fee
    log ApplyNewFee(fee=fee)


@external
def apply_new_parameters(amp: uint256, fee: uint256, admin_fee: uint256):
    self.initial_A = amp
    self.future_A = amp
    self.future_A_time = 0
    self.fee = fee
    self.admin_fee = admin_fee
    log NewParameters(A=amp, fee=fee, admin_fee=admin_fee)
