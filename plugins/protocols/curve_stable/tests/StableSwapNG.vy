# pragma version 0.4.3
"""
A StableSwap-NG pool of our own, for tests: the public formulas of Curve's `CurveStableSwapNG`.

Token transfers are plain ones, rates are set by hand where an oracle would answer, and moving
averages are left out: only what decides amounts and reverts is here.
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
    token_amounts: DynArray[uint256, MAX_COINS]
    fees: DynArray[uint256, MAX_COINS]
    invariant: uint256
    token_supply: uint256

event RemoveLiquidity:
    provider: indexed(address)
    token_amounts: DynArray[uint256, MAX_COINS]
    fees: DynArray[uint256, MAX_COINS]
    token_supply: uint256

event RemoveLiquidityImbalance:
    provider: indexed(address)
    token_amounts: DynArray[uint256, MAX_COINS]
    fees: DynArray[uint256, MAX_COINS]
    invariant: uint256
    token_supply: uint256

event RampA:
    old_A: uint256
    new_A: uint256
    initial_time: uint256
    future_time: uint256

event ApplyNewFee:
    fee: uint256
    offpeg_fee_multiplier: uint256

event ApplyNewAdminFee:
    admin_fee: uint256

interface BasePool:
    def get_virtual_price() -> uint256: view

MAX_COINS: constant(uint256) = 8
PRECISION: constant(uint256) = 10**18
FEE_DENOMINATOR: constant(uint256) = 10**10
A_PRECISION: constant(uint256) = 100

version: public(String[8])
N_COINS: public(immutable(uint256))
BASE_POOL: public(immutable(address))
coins: public(DynArray[address, MAX_COINS])
stored: DynArray[uint256, MAX_COINS]
admin_balances: public(DynArray[uint256, MAX_COINS])
rates: DynArray[uint256, MAX_COINS]
fee: public(uint256)
offpeg_fee_multiplier: public(uint256)
admin_fee: public(uint256)
initial_A: public(uint256)
future_A: public(uint256)
initial_A_time: public(uint256)
future_A_time: public(uint256)
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])


@deploy
def __init__(
    coins_: DynArray[address, MAX_COINS], rates: DynArray[uint256, MAX_COINS],
    amp: uint256, fee: uint256, multiplier: uint256, admin_fee: uint256, base: address,
):
    self.version = "v7.0.0"
    N_COINS = len(coins_)
    BASE_POOL = base
    self.coins = coins_
    self.rates = rates
    for coin: address in coins_:
        self.stored.append(0)
        self.admin_balances.append(0)
    self.initial_A = amp
    self.future_A = amp
    self.fee = fee
    self.offpeg_fee_multiplier = multiplier
    self.admin_fee = admin_fee


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
def A_precise() -> uint256:
    return self._A()


@view
@internal
def _rates() -> DynArray[uint256, MAX_COINS]:
    rates: DynArray[uint256, MAX_COINS] = self.rates
    if BASE_POOL != empty(address):
        rates[N_COINS - 1] = staticcall BasePool(BASE_POOL).get_virtual_price()
    return rates


@view
@external
def stored_rates() -> DynArray[uint256, MAX_COINS]:
    return self._rates()


@view
@internal
def _balances() -> DynArray[uint256, MAX_COINS]:
    result: DynArray[uint256, MAX_COINS] = []
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        result.append(self.stored[k] - self.admin_balances[k])
    return result


@view
@external
def get_balances() -> DynArray[uint256, MAX_COINS]:
    return self._balances()


@pure
@internal
def _xp(
    rates: DynArray[uint256, MAX_COINS], balances: DynArray[uint256, MAX_COINS]
) -> DynArray[uint256, MAX_COINS]:
    result: DynArray[uint256, MAX_COINS] = []
    for k: uint256 in range(len(rates), bound=MAX_COINS):
        result.append(unsafe_div(rates[k] * balances[k], PRECISION))
    return result


@pure
@internal
def _get_D(xp: DynArray[uint256, MAX_COINS], amp: uint256) -> uint256:
    n: uint256 = len(xp)
    S: uint256 = 0
    for x: uint256 in xp:
        S += x
    if S == 0:
        return 0
    D: uint256 = S
    Ann: uint256 = amp * n
    for step: uint256 in range(255):
        D_P: uint256 = D
        for x: uint256 in xp:
            D_P = D_P * D // x
        D_P //= pow_mod256(n, n)
        before: uint256 = D
        D = (
            (unsafe_div(Ann * S, A_PRECISION) + D_P * n) * D
            // (unsafe_div((Ann - A_PRECISION) * D, A_PRECISION) + unsafe_add(n, 1) * D_P)
        )
        if D > before:
            if D - before <= 1:
                return D
        elif before - D <= 1:
            return D
    raise "no convergence"


@pure
@internal
def _get_y(
    i: uint256, j: uint256, x: uint256, xp: DynArray[uint256, MAX_COINS], amp: uint256, D: uint256
) -> uint256:
    n: uint256 = len(xp)
    assert i != j
    assert i < n
    assert j < n
    Ann: uint256 = amp * n
    c: uint256 = D
    S: uint256 = 0
    here: uint256 = 0
    for k: uint256 in range(n, bound=MAX_COINS):
        if k == i:
            here = x
        elif k != j:
            here = xp[k]
        else:
            continue
        S += here
        c = c * D // (here * n)
    c = c * D * A_PRECISION // (Ann * n)
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
    raise "no convergence"


@pure
@internal
def _dynamic_fee(xp_i: uint256, xp_j: uint256, fee: uint256, multiplier: uint256) -> uint256:
    if multiplier <= FEE_DENOMINATOR:
        return fee
    squared: uint256 = (xp_i + xp_j) ** 2
    return unsafe_div(
        unsafe_mul(multiplier, fee),
        unsafe_add(
            unsafe_sub(multiplier, FEE_DENOMINATOR) * 4 * xp_i * xp_j // squared, FEE_DENOMINATOR
        ),
    )


@pure
@internal
def _save_prices(xp: DynArray[uint256, MAX_COINS], amp: uint256, D: uint256):
    n: uint256 = len(xp)
    ANN: uint256 = unsafe_mul(amp, n)
    Dr: uint256 = unsafe_div(D, pow_mod256(n, n))
    for x: uint256 in xp:
        Dr = Dr * D // x
    weighted: uint256 = unsafe_div(ANN * xp[0], A_PRECISION)
    for k: uint256 in range(1, MAX_COINS):
        if k == n:
            break
        price: uint256 = 10**18 * (weighted + unsafe_div(Dr * xp[0], xp[k])) // (weighted + Dr)
        assert min(price, 2 * 10**18) < 2**128
    assert D < 2**128


@pure
@internal
def _swap(
    i: uint256, j: uint256, dx: uint256,
    balances: DynArray[uint256, MAX_COINS], rates: DynArray[uint256, MAX_COINS],
    amp: uint256, fee: uint256, multiplier: uint256, admin_fee: uint256,
) -> (uint256, uint256):
    assert dx > 0
    xp: DynArray[uint256, MAX_COINS] = self._xp(rates, balances)
    x: uint256 = xp[i] + unsafe_div(dx * rates[i], PRECISION)
    D: uint256 = self._get_D(xp, amp)
    y: uint256 = self._get_y(i, j, x, xp, amp, D)
    dy: uint256 = xp[j] - y - 1
    dy_fee: uint256 = unsafe_div(
        dy * self._dynamic_fee(unsafe_div(xp[i] + x, 2), unsafe_div(xp[j] + y, 2), fee, multiplier),
        FEE_DENOMINATOR,
    )
    dy = (dy - dy_fee) * PRECISION // rates[j]
    admin: uint256 = unsafe_div(unsafe_div(dy_fee * admin_fee, FEE_DENOMINATOR) * PRECISION, rates[j])
    xp[i] = x
    xp[j] = y
    self._save_prices(xp, amp, D)
    received: uint256 = balances[i] + dx
    return dy, admin


@pure
@external
def swap_of(
    i: uint256, j: uint256, dx: uint256,
    balances: DynArray[uint256, MAX_COINS], rates: DynArray[uint256, MAX_COINS],
    amp: uint256, fee: uint256, multiplier: uint256, admin_fee: uint256,
) -> (uint256, uint256):
    """
    What an exchange pays and leaves to the admin, in a state that the caller makes up.
    """
    return self._swap(i, j, dx, balances, rates, amp, fee, multiplier, admin_fee)


@pure
@external
def dx_of(
    i: uint256, j: uint256, dy: uint256,
    balances: DynArray[uint256, MAX_COINS], rates: DynArray[uint256, MAX_COINS],
    amp: uint256, fee: uint256, multiplier: uint256,
) -> uint256:
    """
    `get_dx` of the views contract, in a state that the caller makes up.
    """
    xp: DynArray[uint256, MAX_COINS] = self._xp(rates, balances)
    D: uint256 = self._get_D(xp, amp)
    with_fee: uint256 = dy * rates[j] // PRECISION + 1
    taken: uint256 = self._dynamic_fee(xp[i], xp[j], fee, multiplier)
    y: uint256 = xp[j] - with_fee * FEE_DENOMINATOR // (FEE_DENOMINATOR - taken)
    x: uint256 = self._get_y(j, i, y, xp, amp, D)
    return (x - xp[i]) * PRECISION // rates[i]


@view
@external
def get_dy(i: int128, j: int128, dx: uint256) -> uint256:
    rates: DynArray[uint256, MAX_COINS] = self._rates()
    xp: DynArray[uint256, MAX_COINS] = self._xp(rates, self._balances())
    amp: uint256 = self._A()
    x: uint256 = xp[i] + dx * rates[i] // PRECISION
    y: uint256 = self._get_y(convert(i, uint256), convert(j, uint256), x, xp, amp, self._get_D(xp, amp))
    dy: uint256 = xp[j] - y - 1
    taken: uint256 = self._dynamic_fee(
        (xp[i] + x) // 2, (xp[j] + y) // 2, self.fee, self.offpeg_fee_multiplier
    )
    return (dy - taken * dy // FEE_DENOMINATOR) * PRECISION // rates[j]


@view
@external
def get_virtual_price() -> uint256:
    return self._get_D(self._xp(self._rates(), self._balances()), self._A()) * PRECISION // self.totalSupply


@external
def exchange(i: int128, j: int128, dx: uint256, min_dy: uint256) -> uint256:
    m: uint256 = convert(i, uint256)
    n: uint256 = convert(j, uint256)
    paid: uint256 = 0
    admin: uint256 = 0
    paid, admin = self._swap(
        m, n, dx, self._balances(), self._rates(), self._A(), self.fee, self.offpeg_fee_multiplier, self.admin_fee
    )
    assert paid >= min_dy
    self.admin_balances[n] += admin
    assert extcall IERC20(self.coins[m]).transferFrom(msg.sender, self, dx)
    self.stored[m] += dx
    self.stored[n] -= paid
    assert extcall IERC20(self.coins[n]).transfer(msg.sender, paid)
    log TokenExchange(buyer=msg.sender, sold_id=i, tokens_sold=dx, bought_id=j, tokens_bought=paid)
    return paid


@internal
def _take_fees(
    old: DynArray[uint256, MAX_COINS], new: DynArray[uint256, MAX_COINS], D0: uint256, D1: uint256
) -> (DynArray[uint256, MAX_COINS], DynArray[uint256, MAX_COINS]):
    rates: DynArray[uint256, MAX_COINS] = self._rates()
    base_fee: uint256 = self.fee * N_COINS // (4 * (N_COINS - 1))
    ys: uint256 = (D0 + D1) // N_COINS
    fees: DynArray[uint256, MAX_COINS] = []
    left: DynArray[uint256, MAX_COINS] = new
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        ideal: uint256 = D1 * old[k] // D0
        difference: uint256 = ideal - new[k] if ideal > new[k] else new[k] - ideal
        xs: uint256 = rates[k] * (old[k] + new[k]) // PRECISION
        taken: uint256 = self._dynamic_fee(xs, ys, base_fee, self.offpeg_fee_multiplier)
        fees.append(taken * difference // FEE_DENOMINATOR)
        self.admin_balances[k] += fees[k] * self.admin_fee // FEE_DENOMINATOR
        left[k] -= fees[k]
    return fees, left


@external
def add_liquidity(amounts: DynArray[uint256, MAX_COINS], min_mint_amount: uint256) -> uint256:
    amp: uint256 = self._A()
    old: DynArray[uint256, MAX_COINS] = self._balances()
    rates: DynArray[uint256, MAX_COINS] = self._rates()
    D0: uint256 = self._get_D(self._xp(rates, old), amp)
    supply: uint256 = self.totalSupply
    new: DynArray[uint256, MAX_COINS] = old
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        assert supply > 0 or amounts[k] > 0
        if amounts[k] > 0:
            new[k] += amounts[k]
            self.stored[k] += amounts[k]
            assert extcall IERC20(self.coins[k]).transferFrom(msg.sender, self, amounts[k])
    D1: uint256 = self._get_D(self._xp(rates, new), amp)
    assert D1 > D0
    fees: DynArray[uint256, MAX_COINS] = []
    minted: uint256 = D1
    if supply > 0:
        left: DynArray[uint256, MAX_COINS] = []
        fees, left = self._take_fees(old, new, D0, D1)
        D1 = self._get_D(self._xp(rates, left), amp)
        minted = supply * (D1 - D0) // D0
    assert minted >= min_mint_amount
    self.totalSupply = supply + minted
    self.balanceOf[msg.sender] += minted
    log AddLiquidity(
        provider=msg.sender, token_amounts=amounts, fees=fees, invariant=D1, token_supply=supply + minted
    )
    return minted


@external
def remove_liquidity_imbalance(amounts: DynArray[uint256, MAX_COINS], max_burn_amount: uint256) -> uint256:
    amp: uint256 = self._A()
    rates: DynArray[uint256, MAX_COINS] = self._rates()
    old: DynArray[uint256, MAX_COINS] = self._balances()
    new: DynArray[uint256, MAX_COINS] = old
    D0: uint256 = self._get_D(self._xp(rates, old), amp)
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        new[k] -= amounts[k]
        self.stored[k] -= amounts[k]
        assert extcall IERC20(self.coins[k]).transfer(msg.sender, amounts[k])
    D1: uint256 = self._get_D(self._xp(rates, new), amp)
    fees: DynArray[uint256, MAX_COINS] = []
    left: DynArray[uint256, MAX_COINS] = []
    fees, left = self._take_fees(old, new, D0, D1)
    D1 = self._get_D(self._xp(rates, left), amp)
    supply: uint256 = self.totalSupply
    burned: uint256 = (D0 - D1) * supply // D0 + 1
    assert burned > 1 and burned <= max_burn_amount
    self.totalSupply = supply - burned
    self.balanceOf[msg.sender] -= burned
    log RemoveLiquidityImbalance(
        provider=msg.sender, token_amounts=amounts, fees=fees, invariant=D1, token_supply=supply - burned
    )
    return burned


@external
def remove_liquidity(burned: uint256, min_amounts: DynArray[uint256, MAX_COINS]):
    supply: uint256 = self.totalSupply
    balances: DynArray[uint256, MAX_COINS] = self._balances()
    amounts: DynArray[uint256, MAX_COINS] = []
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        amounts.append(balances[k] * burned // supply)
        assert amounts[k] >= min_amounts[k]
        self.stored[k] -= amounts[k]
        assert extcall IERC20(self.coins[k]).transfer(msg.sender, amounts[k])
    self.totalSupply = supply - burned
    self.balanceOf[msg.sender] -= burned
    log RemoveLiquidity(provider=msg.sender, token_amounts=amounts, fees=[], token_supply=supply - burned)
    for k: uint256 in range(N_COINS, bound=MAX_COINS):
        # As `_withdraw_admin_fees`: what belongs to the admin leaves, the pool's part stays.
        self.stored[k] -= self.admin_balances[k]
        assert extcall IERC20(self.coins[k]).transfer(self, self.admin_balances[k])
        self.admin_balances[k] = 0


@external
def set_version(version: String[8]):
    self.version = version


@external
def set_rate(k: uint256, rate: uint256):
    self.rates[k] = rate


@external
def ramp_A(future: uint256, ends: uint256):
    initial: uint256 = self._A()
    self.initial_A = initial
    self.future_A = future * A_PRECISION
    self.initial_A_time = block.timestamp
    self.future_A_time = ends
    log RampA(old_A=initial, new_A=future * A_PRECISION, initial_time=block.timestamp, future_time=ends)


@external
def set_new_fee(fee: uint256, multiplier: uint256):
    self.fee = fee
    self.offpeg_fee_multiplier = multiplier
    log ApplyNewFee(fee=fee, offpeg_fee_multiplier=multiplier)


@external
def set_new_admin_fee(admin_fee: uint256):
    self.admin_fee = admin_fee
    log ApplyNewAdminFee(admin_fee=admin_fee)
