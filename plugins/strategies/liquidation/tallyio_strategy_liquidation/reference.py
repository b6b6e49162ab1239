"""The same choice by trying amounts one after the other: slow, and plainly right."""

from __future__ import annotations

from tallyio.hooks.search import BookView, Scene
from tallyio.lending.abi import LAWFUL
from tallyio.lending.loans import choose_loan
from tallyio.model.lending import PositionKey


def best_net(scene: Scene, number: int, book: BookView, key: PositionKey, *, gas: int, steps: int) -> float:
    """Return the highest net profit over every pair of reserves and `steps` amounts of each."""
    position = book.position(key)
    nets = [
        _net(scene, number, book, key, collateral.reserve, debt.reserve, step, steps, gas)
        for collateral in (position.balances if position else ())
        for debt in (position.balances if position else ())
        if collateral.collateral and debt.debt
        for step in range(1, steps + 1)
    ]
    return max(nets, default=float("-inf"))


def _net(  # noqa: PLR0913, PLR0917 - one amount of one pair
    scene: Scene,
    number: int,
    book: BookView,
    key: PositionKey,
    collateral: int,
    debt: int,
    step: int,
    steps: int,
    gas: int,
) -> float:
    where = {"collateral": collateral, "debt": debt, "time": scene.time, "number": scene.number}
    most = book.liquidate(key, **where).repay
    terms = book.liquidate(key, **where, repay=most * step // steps)
    sold, token = book.spec.reserves[collateral].collateral, book.spec.reserves[debt].debt
    if terms.verdict != LAWFUL or sold is None or token is None or terms.repay == 0:
        return float("-inf")
    sale = scene.best_sale(sold, token, terms.seize)
    worth = scene.native_per_unit(token)
    loan = choose_loan(
        scene.loans, token, terms.repay, native_per_unit=worth, gas_price_wei=scene.gas_price_wei
    )
    if sale is None or (loan is None and not scene.calls_back[number]):
        return float("-inf")
    paid = 0 if scene.calls_back[number] or loan is None else loan.fee
    spent = gas + sale.gas + (0 if scene.calls_back[number] or loan is None else loan.offer.gas)
    return (sale.amount_out - terms.repay - paid) * worth - spent * scene.gas_price_wei
