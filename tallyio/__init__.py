"""TallyIO: a plugin framework for on-chain opportunities.

Layers, from the ground (a policy test holds them):

    native, model      nothing of ours below them
    kernel             the machine: topology, placement, lanes, rings
    hooks              plugin contracts; uses model
    market             state in native memory, fused quoting; uses native, model
    engine, risk,
    ledger             the way of one opportunity
    lab, bench,
    testing, cli       on top

Nothing is imported here, so that `tallyio --help` stays quick.
"""

__version__ = "0.1.0"
