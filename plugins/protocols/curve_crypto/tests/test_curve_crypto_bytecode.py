"""Reference and compiled code against bytecode: random states, success and revert.

The bytecode is our own deployment of the public formulas (`CryptoSwap.vy` and the math files), for no
package registry carries Curve's.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tallyio_protocol_curve_crypto import hot, reference
from tallyio_protocol_curve_crypto.layout import unpack_d
from tallyio_protocol_curve_crypto.loading import pool_of
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.samples import Row, draw_amount, draw_state
from tallyio_protocol_curve_crypto.templates import TEMPLATES

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted

CASES = int(os.environ.get("CURVE_CRYPTO_CASES", "2600"))
NOTHING = 2**256 - 1


@pytest.fixture(scope="module")
def backend() -> RevmBackend:
    return RevmBackend()


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    row = Row()
    yield row
    row.close()


def deployed(backend: RevmBackend, code: Artifact, coins: int) -> Contract:
    """Deploy a pool whose state does not matter: the tests hand one to `dy_of`."""
    arguments = ([bytes(20)] * coins, [1] * coins, [1] * (coins - 1), [0, 0], [0, 0, 0])
    return Contract(code, backend.deploy(code.encode_constructor(*arguments)))


def said(backend: RevmBackend, pool: Contract, function: str, *args: object) -> Any:
    """Return the number that a function answers, or None where it reverts."""
    try:
        answer = backend.call(pool.call(function, *args))
    except Reverted:
        return None
    return pool.artifact.decode(function, answer)[0]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_an_exchange_equals_the_bytecode(
    backend: RevmBackend, code_of: Callable[[str], Artifact], row: Row, kind: str
) -> None:
    """2,600 states a kind: the amount paid, or a revert, in all three; and D where it is computed anew."""
    draw, template = random.Random(f"curve {kind}"), TEMPLATES[kind]
    contract = deployed(backend, code_of(kind), template.coins)
    paid = reverted = moving = 0
    for _ in range(CASES):
        state = draw_state(draw, kind)
        pool = pool_of(state)
        i, j = draw.sample(range(template.coins), 2)
        amount = draw_amount(draw, state.balances[i])
        facts = (
            list(state.balances),
            list(state.price_scale),
            list(state.precisions),
            [pool.ann, pool.gamma],
        )
        fees = [state.mid_fee, state.out_fee, state.fee_gamma]
        answer = said(backend, contract, "dy_of", i, j, amount, *facts, state.d, pool.d is None, fees)
        assert paid_by_reference(pool, i, j, amount) == answer, (state, i, j, amount)
        assert hot.quote(row.set(state), i, j, amount) == (answer or 0), (state, i, j, amount)
        if pool.d is None:
            moving += 1
            xp = reference.scaled(pool, pool.balances)
            invariant = said(backend, contract, "newton_D_of", pool.ann, pool.gamma, xp)
            assert unpack_d(row.raw(template.coins)) == (NOTHING if invariant is None else invariant)
        paid, reverted = paid + (answer is not None), reverted + (answer is None)
    print(f"{kind}: {paid} paid, {reverted} reverted, {moving} with D anew")  # noqa: T201 - shown with -s
    assert paid > CASES // 2
    assert min(reverted, moving) > CASES // 50


def paid_by_reference(pool: reference.Pool, i: int, j: int, amount: int) -> int | None:
    """Return what the reference says, or None where it reverts."""
    try:
        return reference.exchange(pool, i, j, amount)
    except Revert:
        return None
