# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title   Executor
@license MIT
@notice  Runs a list of calls in one transaction and keeps it only if it paid.
@dev     Holds nothing between transactions, approves nobody, obeys its owner alone.

         Calls travel packed, back to back, 64 bytes of header and then the data:

             20 target | 12 value in wei | 28 promise | 4 length of data | data

         A pool or a lender that pays out first calls back, and what it hands back is again such a
         list. The promise says which callback a call may cause: the first 28 bytes of the list's
         keccak256, zero for none. A callback runs only while that contract is being called, only
         once, and only with exactly the list that was promised, so nothing runs that the owner did
         not write. What the contract says besides, such as amounts and fees, is not believed but
         ignored: the list holds what the owner computed.
"""
from ethereum.ercs import IERC20

# Most calls in one list. A cycle of four pools needs up to sixteen, if V4 pools alternate with ones that want
# an allowance for their payment; four liquidations in one loan, each sold over two pools, up to twenty-nine.
MAX_CALLS: constant(uint256) = 32
# Most bytes in one list, nested lists included. Pools of two V4 managers in turn need under 3,900, four
# liquidations in one loan, each sold over two V3 pools, near 6,100. Room for more would cost every plan gas.
MAX_BYTES: constant(uint256) = 6_144
MAX_SWEEP: constant(uint256) = 8
# Tokens that one loan is of.
LOAN_TOKENS: constant(uint256) = 1

SIZE_MASK: constant(uint256) = 2**32 - 1
VALUE_MASK: constant(uint256) = 2**96 - 1

OWNER: public(immutable(address))

# Who may call back right now (nobody, most of the time), and with what.
callee: transient(address)
promise: transient(uint256)
# Whether native currency may come in.
running: transient(bool)

event Profit:
    token: indexed(address)
    amount: uint256


@deploy
def __init__(owner: address):
    assert owner != empty(address), "executor: owner"
    OWNER = owner


@external
@payable
def run(
    calls: Bytes[MAX_BYTES],
    token: address,
    min_profit: uint256,
    tip: uint256,
    deadline_block: uint256,
    sweep: DynArray[address, MAX_SWEEP],
) -> uint256:
    """
    @notice Run `calls`; revert unless they leave at least `min_profit` more of `token` here.
    @param  tip Wei of the value sent that go to the block's builder.
    @param  deadline_block Last block in which this may happen.
    @param  sweep Other tokens of which something may be left over.
    @return What was gained, in smallest units of `token`. It and all leftovers go to the owner.
    """
    assert msg.sender == OWNER, "executor: owner"
    assert block.number <= deadline_block, "executor: deadline"
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    self.running = True
    self._execute(calls)
    self.running = False
    after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert after >= before + min_profit, "executor: profit"
    log Profit(token=token, amount=after - before)
    # Some tokens return nothing instead of True.
    assert extcall IERC20(token).transfer(OWNER, after, default_return_value=True), "executor: transfer"
    for other: address in sweep:
        left: uint256 = staticcall IERC20(other).balanceOf(self)
        if left > 0:
            assert extcall IERC20(other).transfer(OWNER, left, default_return_value=True), "executor: transfer"
    if tip > 0:
        raw_call(block.coinbase, b"", value=tip)
    if self.balance > 0:
        raw_call(OWNER, b"", value=self.balance)
    return after - before


@internal
def _execute(calls: Bytes[MAX_BYTES]):
    at: uint256 = 0
    for _: uint256 in range(MAX_CALLS):
        if at == len(calls):
            return
        route: uint256 = extract32(calls, at, output_type=uint256)
        terms: uint256 = extract32(calls, unsafe_add(at, 32), output_type=uint256)
        target: address = convert(route >> 96, address)
        promised: uint256 = terms >> 32
        size: uint256 = terms & SIZE_MASK
        # No overflow: `at` is at most MAX_BYTES and `size` below 2**32. `slice` checks the end.
        at = unsafe_add(at, 64)
        if promised != 0:
            self.callee = target
            self.promise = promised
        raw_call(target, slice(calls, at, size), value=route & VALUE_MASK)
        if promised != 0:
            assert self.callee == empty(address), "executor: promise"
        at = unsafe_add(at, size)
    assert at == len(calls), "executor: calls"


@internal
def _callback(calls: Bytes[MAX_BYTES]):
    assert msg.sender == self.callee, "executor: stranger"
    assert convert(keccak256(calls), uint256) >> 32 == self.promise, "executor: payload"
    self.callee = empty(address)
    self._execute(calls)


@external
@payable
def __default__():
    # Native currency comes without a call: from a pool that pays in it, or unwrapped.
    assert self.running, "executor: stranger"
    assert len(msg.data) == 0, "executor: function"


# One body under the names by which pools and lenders call back. First Uniswap V2, V3, V4 and their kin.

@external
def uniswapV2Call(sender: address, amount0: uint256, amount1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def pancakeCall(sender: address, amount0: uint256, amount1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def joeCall(sender: address, amount0: uint256, amount1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def pancakeV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def algebraSwapCallback(amount0: int256, amount1: int256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def unlockCallback(data: Bytes[MAX_BYTES]) -> Bytes[32]:
    self._callback(data)
    return b""


# Loans of pools of Uniswap V3 and its kin.

@external
def uniswapV3FlashCallback(fee0: uint256, fee1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def pancakeV3FlashCallback(fee0: uint256, fee1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def algebraFlashCallback(fee0: uint256, fee1: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


# Loans of Balancer V2, Aave V3 (`flashLoanSimple`) and Morpho Blue, and Morpho's liquidations.

@external
def receiveFlashLoan(
    tokens: DynArray[address, LOAN_TOKENS],
    amounts: DynArray[uint256, LOAN_TOKENS],
    fees: DynArray[uint256, LOAN_TOKENS],
    data: Bytes[MAX_BYTES],
):
    self._callback(data)


@external
def executeOperation(
    asset: address, amount: uint256, premium: uint256, initiator: address, data: Bytes[MAX_BYTES]
) -> bool:
    self._callback(data)
    return True


@external
def onMorphoFlashLoan(assets: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)


@external
def onMorphoLiquidate(repaid: uint256, data: Bytes[MAX_BYTES]):
    self._callback(data)
