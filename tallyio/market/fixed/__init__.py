"""Fixed-point numbers with 18 decimals, as weighted and stable pools of one family compute with them.

Layer: market. `reference` is the specification in Python integers; `arithmetic` and `powers` are the same in
compiled code. Several protocol plugins share them.
"""
