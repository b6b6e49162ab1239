"""Pools of concentrated liquidity: exact quotes across any number of ticks, for every protocol that has them.

Layer: market. A protocol plugin packs what it read from the chain into a row, and hands its events to
the functions here; its own module adds the names and checks that the compiled ABI asks for. Modules:

    layout          the row, and `pack_row`, which makes one without what is derived
    reference_math  the contract's arithmetic in Python integers, function by function
    reference       a pool in Python integers: the specification of the compiled code
    amounts         the arithmetic in compiled code: prices, and amounts between them
    last_step       the last step of a swap, which is most of what a quote costs
    stops           where a swap stops, the sums up to there, and the search in them
    quotes          `quote`, `quote_exact_out`, `gas` and `curve`, as the compiled ABI wants them
    ticks           the table of initialised ticks
    laying, sums    the stops of a row and the sums between them, as far as a change of liquidity reaches
    changes         `rebuild`, `move_price`, `change_liquidity` and `set_fee`
"""
