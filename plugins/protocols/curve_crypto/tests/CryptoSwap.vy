# pragma version 0.4.3
"""
A CryptoSwap pool of our own, for tests: the public formulas of Curve's pools of two and three coins.

Words between two dollar signs are replaced before compiling, and one of the math files is put where
MATH stands. What a pool keeps of profits and moving averages is left out: `move` sets the price scale
by hand, as an exchange would when the averages want it.
"""
from ethereum.ercs import IERC20

event TokenExchange:
    buyer: indexed(address)
    sold_id: uint256
    tokens_sold: uint256
    bought_id: uint256
    tokens_bought: uint256
    $EXCHANGE_FIELDS$

event RemoveLiquidity:
    provider: indexed(address)
    token_amounts: uint256[N]
    token_supply: uint256

event NewParameters:
    mid_fee: uint256
    out_fee: uint256
    fee_gamma: uint256
    allowed_extra_profit: uint256
    adjustment_step: uint256
    ma_time: uint256

event RampAgamma:
    initial_A: uint256
    future_A: uint256
    initial_gamma: uint256
    future_gamma: uint256
    initial_time: uint256
    future_time: uint256

event StopRampA:
    current_A: uint256
    current_gamma: uint256
    time: uint256

N: constant(uint256) = $N$
NG: constant(bool) = $NG$
WAD: constant(uint256) = 10**18
FEE_DENOMINATOR: constant(uint256) = 10**10
A_MULTIPLIER: constant(uint256) = 10000
MIN_GAMMA: constant(uint256) = 10**10
MAX_GAMMA: constant(uint256) = $MAX_GAMMA$
TIGHT_GAMMA: constant(uint256) = $TIGHT_GAMMA$
MIN_A: constant(uint256) = $MIN_A$
MAX_A: constant(uint256) = $MAX_A$

coin_list: address[N]
multipliers: uint256[N]
held: uint256[N]
prices: uint256[N - 1]
initial_A_gamma: public(uint256)
future_A_gamma: public(uint256)
initial_A_gamma_time: public(uint256)
future_A_gamma_time: public(uint256)
D: public(uint256)
mid_fee: public(uint256)
out_fee: public(uint256)
fee_gamma: public(uint256)


@deploy
def __init__(coins_: address[N], precisions_: uint256[N], prices_: uint256[N - 1], A_gamma: uint256[2], fees: uint256[3]):
    self.coin_list = coins_
    self.multipliers = precisions_
    self.prices = prices_
    self.initial_A_gamma = A_gamma[0] << 128 | A_gamma[1]
    self.future_A_gamma = A_gamma[0] << 128 | A_gamma[1]
    self.mid_fee = fees[0]
    self.out_fee = fees[1]
    self.fee_gamma = fees[2]


$MATH$


@internal
@view
def _scaled(balances_: uint256[N], precisions_: uint256[N], prices_: uint256[N - 1]) -> uint256[N]:
    xp: uint256[N] = balances_
    xp[0] *= precisions_[0]
    for k: uint256 in range(1, N):
        xp[k] = xp[k] * prices_[k - 1] * precisions_[k] // WAD
    return xp


@internal
@view
def _fee(xp: uint256[N], fees: uint256[3]) -> uint256:
    f: uint256 = self._reduction(xp, fees[2])
    return (fees[0] * f + fees[1] * (WAD - f)) // WAD


@internal
@view
def _dy(
    i: uint256, j: uint256, dx: uint256, balances_: uint256[N], prices_: uint256[N - 1],
    precisions_: uint256[N], A_gamma: uint256[2], D: uint256, fees: uint256[3]
) -> uint256:
    # What an exchange computes before anything of it moves.
    assert i != j
    assert i < N and j < N
    assert dx > 0
    after: uint256[N] = balances_
    after[i] += dx
    xp: uint256[N] = self._scaled(after, precisions_, prices_)
    y: uint256 = self._solve(A_gamma[0], A_gamma[1], xp, D, j)
    dy: uint256 = xp[j] - y
    xp[j] -= dy
    dy -= 1
    if j > 0:
        dy = dy * WAD // prices_[j - 1]
    dy //= precisions_[j]
    dy -= self._fee(xp, fees) * dy // FEE_DENOMINATOR
    after[j] -= dy
    return dy


@external
@view
def dy_of(
    i: uint256, j: uint256, dx: uint256, balances_: uint256[N], prices_: uint256[N - 1],
    precisions_: uint256[N], A_gamma: uint256[2], D: uint256, moving: bool, fees: uint256[3]
) -> uint256:
    """
    What a pool in this state pays; with `moving` it computes D anew first.
    """
    d: uint256 = D
    if moving:
        d = self._newton_D(A_gamma[0], A_gamma[1], self._scaled(balances_, precisions_, prices_))
    return self._dy(i, j, dx, balances_, prices_, precisions_, A_gamma, d, fees)


@external
@view
def newton_D_of(ANN: uint256, gamma: uint256, xp: uint256[N]) -> uint256:
    return self._newton_D(ANN, gamma, xp)


@external
@view
def solve_of(ANN: uint256, gamma: uint256, xp: uint256[N], D: uint256, j: uint256) -> uint256:
    return self._solve(ANN, gamma, xp, D, j)


@external
@view
def coins(k: uint256) -> address:
    return self.coin_list[k]


@external
@view
def balances(k: uint256) -> uint256:
    return self.held[k]


@external
@view
def price_scale($PRICE_ARGUMENT$) -> uint256:
    return self.prices[$PRICE_INDEX$]


@internal
@view
def _A_gamma() -> uint256[2]:
    ends: uint256 = self.future_A_gamma_time
    A: uint256 = self.future_A_gamma >> 128
    gamma: uint256 = self.future_A_gamma & (2**128 - 1)
    if block.timestamp < ends:
        all: uint256 = ends - self.initial_A_gamma_time
        gone: uint256 = block.timestamp - self.initial_A_gamma_time
        left: uint256 = all - gone
        A = ((self.initial_A_gamma >> 128) * left + A * gone) // all
        gamma = ((self.initial_A_gamma & (2**128 - 1)) * left + gamma * gone) // all
    return [A, gamma]


@external
@view
def A() -> uint256:
    return self._A_gamma()[0]


@external
@view
def gamma() -> uint256:
    return self._A_gamma()[1]


@internal
@view
def _fees() -> uint256[3]:
    return [self.mid_fee, self.out_fee, self.fee_gamma]


@internal
@view
def _is_moving() -> bool:
    if NG:
        return self.future_A_gamma_time > block.timestamp
    return self.future_A_gamma_time > 0


@internal
@view
def _current_D() -> uint256:
    if not self._is_moving():
        return self.D
    A_gamma: uint256[2] = self._A_gamma()
    return self._newton_D(A_gamma[0], A_gamma[1], self._scaled(self.held, self.multipliers, self.prices))


@external
@view
def get_dy(i: uint256, j: uint256, dx: uint256) -> uint256:
    return self._dy(i, j, dx, self.held, self.prices, self.multipliers, self._A_gamma(), self._current_D(), self._fees())


@external
def exchange(i: uint256, j: uint256, dx: uint256, min_dy: uint256) -> uint256:
    A_gamma: uint256[2] = self._A_gamma()
    dy: uint256 = self._dy(i, j, dx, self.held, self.prices, self.multipliers, A_gamma, self._current_D(), self._fees())
    assert dy >= min_dy
    self.held[i] += dx
    self.held[j] -= dy
    # An old pool ends its ramp with the first exchange after it.
    if not NG and self.future_A_gamma_time <= block.timestamp:
        self.future_A_gamma_time = 0
    extcall IERC20(self.coin_list[i]).transferFrom(msg.sender, self, dx)
    extcall IERC20(self.coin_list[j]).transfer(msg.sender, dy)
    self.D = self._newton_D(A_gamma[0], A_gamma[1], self._scaled(self.held, self.multipliers, self.prices))
    log TokenExchange(buyer=msg.sender, sold_id=i, tokens_sold=dx, bought_id=j, tokens_bought=dy$EXCHANGE_VALUES$)
    return dy


@external
def add_liquidity(amounts: uint256[N], min_mint: uint256):
    for k: uint256 in range(N):
        if amounts[k] > 0:
            extcall IERC20(self.coin_list[k]).transferFrom(msg.sender, self, amounts[k])
            self.held[k] += amounts[k]
    self._settle()


@external
def remove_liquidity(share: uint256):
    """
    Give out a part of everything, of 10**18.
    """
    out: uint256[N] = self.held
    for k: uint256 in range(N):
        out[k] = self.held[k] * share // WAD
        self.held[k] -= out[k]
        extcall IERC20(self.coin_list[k]).transfer(msg.sender, out[k])
    self.D -= self.D * share // WAD
    log RemoveLiquidity(provider=msg.sender, token_amounts=out, token_supply=0)


@external
def move(prices_: uint256[N - 1]):
    self.prices = prices_
    self._settle()


@internal
def _settle():
    A_gamma: uint256[2] = self._A_gamma()
    self.D = self._newton_D(A_gamma[0], A_gamma[1], self._scaled(self.held, self.multipliers, self.prices))


@external
def set_fees(fees: uint256[3]):
    self.mid_fee = fees[0]
    self.out_fee = fees[1]
    self.fee_gamma = fees[2]
    log NewParameters(mid_fee=fees[0], out_fee=fees[1], fee_gamma=fees[2], allowed_extra_profit=0, adjustment_step=0, ma_time=0)


@external
def ramp_A_gamma(future_A: uint256, future_gamma: uint256, future_time: uint256):
    now: uint256[2] = self._A_gamma()
    self.initial_A_gamma = now[0] << 128 | now[1]
    self.initial_A_gamma_time = block.timestamp
    self.future_A_gamma = future_A << 128 | future_gamma
    self.future_A_gamma_time = future_time
    log RampAgamma(initial_A=now[0], future_A=future_A, initial_gamma=now[1], future_gamma=future_gamma, initial_time=block.timestamp, future_time=future_time)


@external
def stop_ramp_A_gamma():
    now: uint256[2] = self._A_gamma()
    self.initial_A_gamma = now[0] << 128 | now[1]
    self.future_A_gamma = now[0] << 128 | now[1]
    self.initial_A_gamma_time = block.timestamp
    self.future_A_gamma_time = block.timestamp
    log StopRampA(current_A=now[0], current_gamma=now[1], time=block.timestamp)
