"""Quotes of degenbot's Rust core on request, in a process of its own: run by `session.py`, not by hand.

Runs under the interpreter of degenbot's environment, and imports nothing of ours; `serving.py` says how it is
asked.
"""

from __future__ import annotations

import time
from typing import Any

from degenbot import _ffi  # type: ignore[import-not-found]  # of another environment
from serving import serve  # type: ignore[import-not-found]  # beside this script

FEE = (997, 1000)
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
FACTORY, TOKEN0, TOKEN1 = 3, 1, 2
USER = {
    "id": 1,
    "address": "0x0000000000000000000000000000000000000001",
    "market_id": 1,
    "e_mode": 0,
    "is_isolation_mode": False,
    "isolation_mode_debt": 0,
    "isolation_debt_ceiling": 0,
}


def address(number: int) -> str:
    """Return the checksummed address with this number."""
    return str(_ffi.to_checksum_address(f"0x{number:040x}"))


class Driver:
    """Pools and amounts that were prepared, and the functions that are measured on them."""

    def __init__(self) -> None:
        self.bot = _ffi.Bot(1)
        self.engine = _ffi.ArbitrageEngine(self.bot)
        self.free = 1_000
        self.block = 1
        self.quotes: dict[str, list[tuple[int, bool, int]]] = {}
        self.pairs: list[tuple[int, str, list[int]]] = []
        self.logs: list[tuple[str, str]] = []
        self.search: tuple[Any, ...] = ()
        self.mixed = _ffi.Bot(1)
        """Paths through concentrated pools are solved apart from those of pairs."""
        self.mixed_engine = _ffi.ArbitrageEngine(self.mixed)
        self.mixed_paths: list[int] = []
        self.turns: list[list[tuple[str, list[str], str]]] = []
        self.borrowers: list[tuple[Any, ...]] = []

    def version(self) -> str:
        """Say who answers."""
        from importlib.metadata import version  # noqa: PLC0415 - once

        return version("degenbot")

    def v2(self, name: str, reserves: list[list[int]], sides: list[int], amounts: list[int]) -> list[int]:
        """Prepare a quote per pool, under a name; return the answers."""
        pools = [self._pair(self.bot, each)[1] for each in reserves]
        self.quotes[name] = [
            (pool, side == 0, amount) for pool, side, amount in zip(pools, sides, amounts, strict=True)
        ]
        return self._answers(name)

    def v3(self, name: str, pool: dict[str, Any], sides: list[int], amounts: list[int]) -> list[int]:
        """Prepare quotes on one pool with all of its ticks; return the answers."""
        _, number = self._concentrated(self.bot, pool)
        self.quotes[name] = [(number, side == 0, amount) for side, amount in zip(sides, amounts, strict=True)]
        return self._answers(name)

    def quotes_ns(self, name: str) -> float:
        """Make every quote under this name once."""
        quotes, quote = self.quotes[name], self.bot.calculate_tokens_out
        start = time.process_time_ns()
        for pool, zero_for_one, amount in quotes:
            quote(pool, zero_for_one, amount)
        return (time.process_time_ns() - start) / len(quotes)

    def optimum(self, reserves: list[list[list[int]]]) -> list[list[int]]:
        """Prepare two-pool paths that start with token 0; return input and profit of each, or nothing."""
        for first, second in reserves:
            (place, pool), (_, other) = self._pair(self.bot, first), self._pair(self.bot, second)
            path, _ = self.engine.register_path([(pool, True), (other, False)])
            self.pairs.append((path, place, first))
        self.engine.solve_all_paths(self.block)
        return _solved(self.engine, [path for path, _, _ in self.pairs])

    def optimum_ns(self) -> float:
        """Solve every prepared path after its first pool changed: unchanged ones come from a memory."""
        self.block += 1
        for _, place, (reserve0, reserve1) in self.pairs:
            self.bot.update_v2_pool(place, reserve0 + self.block, reserve1, self.block)
        start = time.process_time_ns()
        self.engine.solve_all_paths(self.block)
        return (time.process_time_ns() - start) / len(self.pairs)

    def optimum_v3(
        self,
        reserves: list[list[int]],
        pools: list[dict[str, Any]],
        turns: list[list[list[tuple[list[str], str]]]],
    ) -> list[list[list[int]]]:
        """Prepare paths that sell token 0 in a pair and buy it in a pool, and turns of logs of each pool.

        Return what `optimum` does after each turn.
        """
        places = []
        for pair, pool in zip(reserves, pools, strict=True):
            place, number = self._concentrated(self.mixed, pool)
            places.append(place)
            path, _ = self.mixed_engine.register_path(
                [(self._pair(self.mixed, pair)[1], True), (number, False)]
            )
            self.mixed_paths.append(path)
        self.mixed_engine.release_all_v3_v4_quarantined()
        self.turns = [
            [(place, topics, data) for place, logs in zip(places, turn, strict=True) for topics, data in logs]
            for turn in turns
        ]
        answers = []
        for _ in self.turns:
            self.optimum_v3_ns()
            answers.append(_solved(self.mixed_engine, self.mixed_paths))
        return answers

    def optimum_v3_ns(self) -> float:
        """Dispatch the logs of the next turn and solve every path."""
        turn = self.turns.pop(0)
        self.turns.append(turn)
        self.block += 1
        dispatch, start = self.mixed.dispatch_log, time.process_time_ns()
        for place, topics, data in turn:
            dispatch(place, topics, data, self.block)
        self.mixed_engine.solve_all_paths(self.block)
        return (time.process_time_ns() - start) / len(self.mixed_paths)

    def paths(self, pools: list[list[int]], base: int, max_legs: int) -> list[list[int]]:
        """Prepare a search for cycles of pairs from one token on; return the pools of each, sorted."""
        kind = _ffi.PoolKind.V2
        edges = [(token0, token1, number, kind) for number, (token0, token1) in enumerate(pools)]
        self.search = edges, base, base, 2, max_legs, False
        return sorted([pool for pool, _ in path] for path in _ffi.find_paths_rust(*self.search))

    def paths_ns(self) -> float:
        """Search and take every path."""
        count, start = 0, time.process_time_ns()
        for _ in _ffi.find_paths_rust(*self.search):
            count += 1
        return (time.process_time_ns() - start) / count

    def syncs(self, reserves: list[list[int]]) -> list[list[int]]:
        """Prepare a pair and a Sync for each of these, and apply them; return the reserves after that."""
        pools = []
        for each in reserves:
            place, pool = self._pair(self.bot, [1, 1])
            pools.append(pool)
            self.logs.append((place, "0x" + "".join(f"{reserve:064x}" for reserve in each)))
        self.syncs_ns()
        views = [self.bot.get_pool(pool).reserve_pair() for pool in pools]
        return [[int(view.reserve0), int(view.reserve1)] for view in views]

    def syncs_ns(self) -> float:
        """Dispatch every prepared log once."""
        self.block += 1
        dispatch, topics, start = self.bot.dispatch_log, [SYNC], time.process_time_ns()
        for place, data in self.logs:
            dispatch(place, topics, data, self.block)
        return (time.process_time_ns() - start) / len(self.logs)

    def aave(self, reserves: list[list[int]], positions: list[list[list[int]]]) -> list[float]:
        """Prepare positions of (reserve, collateral, debt), scaled; return their health.

        Reserves are (price, income, debt index, threshold). It knows no decimals: all have the same.
        """
        prices = {address(number + 1): price for number, (price, _, _, _) in enumerate(reserves)}
        enabled = dict.fromkeys(range(len(reserves)), True)
        for each in positions:
            held = [_collateral(balance[0], balance[1], reserves) for balance in each if balance[1]]
            owed = [_debt(balance[0], balance[2], reserves) for balance in each if balance[2]]
            self.borrowers.append((USER, held, owed, enabled, prices))
        analyse = _ffi.db.analyze_aave_user_position
        return [float(analyse(*borrower).health_factor) for borrower in self.borrowers]

    def aave_ns(self) -> float:
        """Analyse every prepared position once."""
        analyse, start = _ffi.db.analyze_aave_user_position, time.process_time_ns()
        for borrower in self.borrowers:
            analyse(*borrower)
        return (time.process_time_ns() - start) / len(self.borrowers)

    def _address(self) -> str:
        self.free += 1
        return address(self.free)

    def _pair(self, bot: Any, reserves: list[int]) -> tuple[str, int]:
        place = self._address()
        tokens = address(TOKEN0), address(TOKEN1)
        number = bot.register_v2_pool(place, *tokens, *reserves, *FEE, *FEE, address(FACTORY))
        return place, number

    def _concentrated(self, bot: Any, pool: dict[str, Any]) -> tuple[str, int]:
        place = self._address()
        number = bot.register_v3_pool(
            place,
            address(TOKEN0),
            address(TOKEN1),
            pool["fee_pips"],
            pool["tick_spacing"],
            address(FACTORY),
            pool["sqrt_price_x96"],
            pool["liquidity"],
            pool["tick"],
            tick_data={int(tick): (gross, net, 0) for tick, gross, net in pool["ticks"]},
            coverage="tracked",
        )
        return place, number

    def _answers(self, name: str) -> list[int]:
        return [int(self.bot.calculate_tokens_out(*quote)) for quote in self.quotes[name]]


def _asset(number: int, balance: int) -> dict[str, Any]:
    facts = {"asset_id": number, "balance": balance, "underlying_address": address(number + 1)}
    return {**facts, "underlying_symbol": str(number), "e_mode_category_id": None}


def _collateral(number: int, balance: int, reserves: list[list[int]]) -> dict[str, Any]:
    _, income, _, threshold = reserves[number]
    bounds = {"asset_lt": threshold, "asset_ltv": threshold, "emode_lt": None, "emode_ltv": None}
    return {**_asset(number, balance), "liquidity_index": income, **bounds}


def _debt(number: int, balance: int, reserves: list[list[int]]) -> dict[str, Any]:
    return {**_asset(number, balance), "borrow_index": reserves[number][2]}


def _solved(engine: Any, paths: list[int]) -> list[list[int]]:
    found = {result[0]: [int(result[1]), int(result[2])] for result in engine.latest_results()[0]}
    return [found.get(path, []) for path in paths]


if __name__ == "__main__":
    serve(Driver())
