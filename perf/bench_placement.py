"""How long placing takes, and how much cheaper the placement is than naive ones.

    python perf/bench_placement.py [--lanes N] [--repeat N] [--json]

Places lanes on the EPYC 9454P as its profile describes it: with stated distances, and with a measured
matrix (made up here: 25 ns under one L3, 105 ns beyond, within 10 %). The reference is one pass
over the same number of core pairs in Python, measured in the same run; the cost is compared with that
of the first cores in order and with the best of 1,000 random placements.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.lane_graph import LaneGraph, standard_graph
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.placement_cost import Board, Reach
from tallyio.kernel.placement_grant import grant, housekeeping_core
from tallyio.kernel.placement_solve import FORBIDDEN, Problem
from tallyio.kernel.profile import Profile, load_profile

GOAL_MS = 50.0
_SHARES = {"hot": 8, "feeds": 8, "risk": 4, "network": 4, "simulation": 2, "analytics": 4}
"""Lanes of each role in forty; control is one, background what is left."""


def profile_of(lanes: int) -> Profile:
    """Return the machine's profile with so many lanes, most of them with a core of their own."""
    epyc = load_profile("epyc_9454p")
    counts = {role: max(1, share * lanes // 40) for role, share in _SHARES.items()} | {"control": 1}
    counts["background"] = max(0, lanes - sum(counts.values()))
    needs = {
        role: msgspec.structs.replace(needs, count=counts[role], cores=1, l3="share")
        for role, needs in epyc.lanes.items()
    }
    return msgspec.structs.replace(epyc, lanes=needs)


def made_up_matrix(machine: Machine) -> CoreMatrix:
    """Return measurements as a machine of this kind gives them."""
    chance = random.Random(7)
    pus = tuple(core.pus[0] for core in machine.cores)
    rows = [[0.0] * len(pus) for _ in pus]
    for row, here in enumerate(pus):
        for column, there in enumerate(pus[:row]):
            near = 25.0 if machine.same_l3(here, there) else 105.0
            rows[row][column] = rows[column][row] = near * chance.uniform(0.9, 1.1)
    return CoreMatrix(
        topology_hash=machine.topology_hash,
        model=machine.model,
        pus=pus,
        one_way_ns=tuple(tuple(row) for row in rows),
        spread_ns=tuple((0.0,) * len(pus) for _ in pus),
        rounds=1,
        measured_at=0,
    )


def times_ms(work: Callable[[], object], repeat: int) -> list[float]:
    """Return the CPU time of each of `repeat` calls."""
    found = []
    for _ in range(repeat):
        # Time on the CPU: what others do on this machine meanwhile is not placing.
        start = time.process_time_ns()
        work()
        found.append((time.process_time_ns() - start) / 1e6)
    return found


def reference(cores: int) -> float:
    """Return a sum over pairs of cores: what a look at every pair costs in Python."""
    distance = [[abs(a - b) * 1.0 for b in range(cores)] for a in range(cores)]
    return sum(distance[a][b] for a in range(cores) for b in range(a))


def problem_of(machine: Machine, asked: Profile, graph: LaneGraph, matrix: CoreMatrix | None) -> Problem:
    """Return the assignment problem that `place` solves."""
    keeper = housekeeping_core(machine)
    grants = grant(machine.allowed_cores(), keeper, asked, graph)
    return Board(machine, keeper, grants, graph, Reach(machine, matrix)).problem()


def naive_costs(problem: Problem) -> tuple[float, float]:
    """Return the cost of taking cores in order, and the least of 1,000 random placements."""
    seats = [place for place, room in enumerate(problem.room) for _ in range(room)]
    allowed = [seat for seat in seats if problem.own_cost[0][seat] < FORBIDDEN]
    barred = [seat for seat in seats if seat not in allowed]

    def cost(order: Sequence[int]) -> float:
        return problem.cost([*order, *barred][: len(problem.links)])

    chance = random.Random(7)
    return cost(allowed), min(cost(chance.sample(allowed, len(allowed))) for _ in range(1_000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lanes", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=31)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    asked = profile_of(options.lanes)
    machine, graph = asked.machine.read(), standard_graph(asked)
    unit = statistics.median(times_ms(lambda: reference(len(machine.cores)), options.repeat))
    found: list[dict[str, object]] = []
    for name, matrix in (("stated distances", None), ("measured matrix", made_up_matrix(machine))):

        def work(matrix: CoreMatrix | None = matrix) -> None:
            place(machine, asked, graph, matrix)

        work()
        spent = sorted(times_ms(work, options.repeat))
        in_order, best_random = naive_costs(problem_of(machine, asked, graph, matrix))
        cost = place(machine, asked, graph, matrix).cost
        found.append(
            {
                "name": name,
                "lanes": len(graph.lanes),
                "rings": len(graph.rings),
                "median_ms": round(statistics.median(spent), 2),
                "p95_ms": round(spent[int(0.95 * len(spent))], 2),
                "least_ms": round(spent[0], 2),
                "goal_ms": GOAL_MS,
                "pair_scans": round(statistics.median(spent) / unit, 1),
                "cost": cost,
                "cost_in_order": round(in_order, 1),
                "cost_best_of_1000_random": round(best_random, 1),
            }
        )
    if options.json:
        print(msgspec.json.encode(found).decode())
        return
    print(f"{options.lanes} lanes on {len(machine.cores)} cores; one scan of all pairs takes {unit:.3f} ms")
    for each in found:
        print(
            f"  {each['name']:<18} median {each['median_ms']:>6} ms, p95 {each['p95_ms']} ms, least "
            f"{each['least_ms']} ms = {each['pair_scans']} scans; goal {GOAL_MS:g} ms\n"
            f"  {'':<18} cost {each['cost']}, in order {each['cost_in_order']}, "
            f"best of 1,000 random {each['cost_best_of_1000_random']}"
        )


if __name__ == "__main__":
    main()
