"""A fault that is planted in a protocol fails the card that is about it, in words that help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from tallyio_protocol_uniswap_v2 import hot

from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.market.abi import GAS_SIGNATURE, LOG_APPLIED
from tallyio.model.chain import Head
from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum
from tallyio.native.jit import hot as compiled
from tallyio.testing import ProtocolCards, RevmChain
from tallyio.testing.pool_desk import PoolDesk
from tests.testing.planted import Instead, failure

Plant = Callable[[PoolDesk], None]


class Pairs(ProtocolCards):
    """The cards of real pairs, with a fault planted into what stands for the plugin."""

    plugin = "uniswap_v2"
    quotes = 24
    plant: Plant

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Name one venue of the lab."""
        name, venue = next(iter(chain.world.v2.items()))
        table = {
            "name": name,
            "factory": checksum(venue.factory),
            "fee_numerator": 997,
            "fee_denominator": 1000,
        }
        return {"venues": [table]}

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Be one unit off."""
        return 1 + max(amount_in, 0)

    def _make_desk(self) -> PoolDesk:
        desk, adapter, pools = sound_desk()
        desk.adapter, desk.pools, desk.hot = adapter, pools, hot
        type(self).plant(desk)
        return desk


@cache
def sound_desk() -> tuple[PoolDesk, ExchangeProtocol, list[PoolSpec]]:
    """Return a desk, made once, and the parts of it that a fault may replace."""
    Pairs.setup_class()
    desk = ProtocolCards._make_desk(Pairs())
    return desk, desk.adapter, desk.pools


def compiled_fault(**faults: object) -> Plant:
    """Return what replaces compiled functions."""

    def plant(desk: PoolDesk) -> None:
        desk.hot = Instead(hot, **faults)

    return plant


def adapter_fault(make: Callable[[PoolDesk], dict[str, object]]) -> Plant:
    """Return what replaces parts of the adapter."""

    def plant(desk: PoolDesk) -> None:
        desk.adapter = cast("ExchangeProtocol", Instead(desk.adapter, **make(desk)))

    return plant


def reads_the_latest(desk: PoolDesk) -> dict[str, object]:
    real = desk.adapter

    async def load(chain: RevmChain, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        await chain.call([])
        return await real.load(chain, pools, block=block)

    return {"load": load}


def odd_rows(desk: PoolDesk) -> dict[str, object]:
    real = desk.adapter

    async def load(chain: RevmChain, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        return [row + b"\0" for row in await real.load(chain, pools, block=block)]

    return {"load": load}


def finds_each_twice(desk: PoolDesk) -> dict[str, object]:
    desk.pools = desk.pools * 2
    return {}


def promises_too_few_bytes(desk: PoolDesk) -> dict[str, object]:
    return {"compiled": msgspec.structs.replace(desk.adapter.compiled, event_bytes=(8,))}


def pays_a_stranger(desk: PoolDesk) -> dict[str, object]:
    real = desk.adapter
    return {"swap": lambda pool, **facts: real.swap(pool, **facts | {"recipient": pool.address})}


def pays_too_much(desk: PoolDesk) -> dict[str, object]:
    real = desk.adapter
    return {"swap": lambda pool, **facts: real.swap(pool, **facts | {"amount_in": facts["amount_in"] + 1})}


def forgets_inner(desk: PoolDesk) -> dict[str, object]:
    real = desk.adapter
    return {"swap": lambda pool, **facts: real.swap(pool, **facts | {"inner": ()})}


def quoted(*arguments: int) -> int:
    return int(hot.quote(*arguments))


def one_more(*arguments: int) -> int:
    return quoted(*arguments) + 1 if quoted(*arguments) else 0


def wrapped(row: int, i: int, j: int, amount: int) -> int:
    return quoted(row, i, j, amount % (1 << 100))


def one_less(*arguments: int) -> int:
    return max(int(hot.quote_exact_out(*arguments)) - 1, 0)


def steep(*arguments: Any) -> tuple[float, float]:
    out, slope = hot.curve(*arguments)
    return out * 1.001, slope


@compiled(GAS_SIGNATURE)
def hoarding(row: int, i: int, j: int, amount_in: int) -> int:
    """Take memory."""
    return len(np.zeros(j + 1))


FAULTS = {
    "p01_discovery_finds_the_pools": (adapter_fault(finds_each_twice), "have the same address and id"),
    "p02_everything_is_read_at_the_given_block": (adapter_fault(reads_the_latest), r"it asked at \{None\}"),
    "p03_rows_are_sound": (adapter_fault(odd_rows), "a row has .65. bytes"),
    "p05_hot_functions_allocate_nothing": (compiled_fault(gas=hoarding), "gas takes memory by NRT_"),
    "p06_exact_in_quotes_equal_the_contract": (
        compiled_fault(quote=one_more),
        r"amount \d+, the contract pays \d+, the plugin says \d+",
    ),
    "p07_what_is_too_large_is_refused": (
        compiled_fault(quote=wrapped),
        r"the contract pays 0, the plugin says \d+",
    ),
    "p08_exact_out_quotes_equal_the_contract": (
        compiled_fault(quote_exact_out=one_less),
        r"out, \d+ in, really moved are None|buys it, the plugin says 0",
    ),
    "p09_curves_follow_the_quotes": (compiled_fault(curve=steep), "the quote is"),
    "p10_the_reference_equals_the_compiled_quote": (lambda _: None, "the reference says"),
    "p11_rows_that_follow_logs_equal_a_fresh_load": (
        compiled_fault(apply_log=lambda *_: LOG_APPLIED),
        "differs after block",
    ),
    "p12_a_block_can_be_undone": (
        adapter_fault(promises_too_few_bytes),
        "changed bytes behind the first 8 of a row",
    ),
    "p13_calldata_does_what_was_quoted": (adapter_fault(pays_a_stranger), "really moved are"),
    "p14_a_flash_swap_pays_before_it_is_paid": (adapter_fault(forgets_inner), "0 was passed on"),
    "p15_gas_is_estimated": (compiled_fault(gas=lambda *_: 0), "it is 0"),
}


@pytest.mark.parametrize("card", FAULTS)
def test_a_planted_fault_fails_its_card(card: str) -> None:
    plant, says = FAULTS[card]
    made = type("Planted", (Pairs,), {"plant": staticmethod(plant)})
    said = failure(made, f"test_{card}")
    assert said.startswith(card[:3].upper())
    assert re.search(says, said), said
    assert ". Fix: " in said


def test_paying_more_than_the_input_is_seen() -> None:
    made = type("Planted", (Pairs,), {"plant": staticmethod(adapter_fault(pays_too_much))})
    assert "really moved are Traded" in failure(made, "test_p13_calldata_does_what_was_quoted")


def test_what_is_not_there_is_told_by_name() -> None:
    made = type("Planted", (Pairs,), {"plugin": "uniswap_v9"})
    said = failure(made, "test_c01_the_contract_is_readable")
    assert said.startswith("C01")
    assert "uniswap_v9" in said
    assert "did you mean" in said
