"""What else people use for the same work, beside ours: one function per row, as in `perf.market`.

`perf/peers/table.py` measures these rows and some of the market's, and prints the README's table.
"""
