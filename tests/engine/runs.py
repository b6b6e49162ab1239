"""Runs of the executor, and the callbacks by which pools and lenders answer it."""

from __future__ import annotations

from eth_abi.abi import encode

from tallyio.engine.executor import CallPacker, encode_run
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, hex_text
from tests.engine.practice import FOREVER, Practice

V2_CALLBACKS = ("uniswapV2Call", "pancakeCall", "joeCall")
V3_CALLBACKS = ("uniswapV3SwapCallback", "pancakeV3SwapCallback", "algebraSwapCallback")
V4_CALLBACKS = ("unlockCallback",)
V3_LOANS = ("uniswapV3FlashCallback", "pancakeV3FlashCallback", "algebraFlashCallback")
MORPHO_CALLBACKS = ("onMorphoFlashLoan", "onMorphoLiquidate")
LOANS = (*V3_LOANS, *MORPHO_CALLBACKS, "receiveFlashLoan", "executeOperation")
CALLBACKS = V2_CALLBACKS + V3_CALLBACKS + V4_CALLBACKS + LOANS


def run(  # noqa: PLR0913 - the contract's own arguments
    practice: Practice,
    *calls: Call,
    gained: str = "WETH",
    min_profit: int = 0,
    tip: int = 0,
    value: int = 0,
    deadline: int = FOREVER,
    sweep: tuple[Address, ...] = (),
    packer: CallPacker | None = None,
) -> Call:
    """Return the call that runs `calls`."""
    data = encode_run(
        (packer or CallPacker()).pack(calls),
        token=practice.token(gained),
        min_profit=min_profit,
        tip_wei=Wei(tip),
        deadline_block=deadline,
        sweep=sweep,
    )
    return Call(to=practice.executor, data=data, value_wei=Wei(value))


def callback(name: str, payload: bytes) -> bytes:
    """Return the call data by which a pool or a lender calls back."""
    values: tuple[object, ...]
    if name in V2_CALLBACKS:
        types, values = "address,uint256,uint256,bytes", (ZERO_ADDRESS, 1, 0, payload)
    elif name in V3_CALLBACKS:
        types, values = "int256,int256,bytes", (1, -1, payload)
    elif name in V3_LOANS:
        types, values = "uint256,uint256,bytes", (1, 0, payload)
    elif name in MORPHO_CALLBACKS:
        types, values = "uint256,bytes", (1, payload)
    elif name == "receiveFlashLoan":
        types, values = "address[],uint256[],uint256[],bytes", ([ZERO_ADDRESS], [1], [0], payload)
    elif name == "executeOperation":
        types, values = "address,uint256,uint256,address,bytes", (ZERO_ADDRESS, 1, 0, ZERO_ADDRESS, payload)
    else:
        types, values = "bytes", (payload,)
    return selector(f"{name}({types})") + encode(types.split(","), values)


def assert_nothing_left(practice: Practice) -> None:
    """Assert that the executor holds neither tokens nor native currency."""
    for symbol in practice.world.tokens:
        assert practice.balance(symbol, practice.executor) == 0
    assert practice.backend.evm.get_balance(hex_text(practice.executor)) == 0
