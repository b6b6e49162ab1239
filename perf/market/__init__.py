"""The kernels that `bench_market.py` measures: one function per row of its table, grouped by what they use.

To add a row, write a function in one of these modules, or in a new one beside them, and decorate it with
`perf.market.row.row`; it is found by that. It returns a `Case`: ours, and what it is measured beside.
"""
