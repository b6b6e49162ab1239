"""What `bench_lending.py` measures: one function per row of its table."""
