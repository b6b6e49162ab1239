"""What compiled code is built from.

Layer: native, the lowest; it imports nothing else of ours. Modules:

    jit          `hot`, the one decorator of compiled code
    signature    what its signatures may say
    cache        where compiled code is kept between runs
    primitive    single machine operations for hot functions
    atomics      loads, stores and atomics by address; libc's read and write without the GIL
    memory       `Region`, memory that outlives a lane and has a fixed address
    arena        memory in one piece, given out by moving an address, taken back all at once
    cells        memory of one size, given out and taken back cell by cell
    keccak       Keccak-256
    clock        the processor's cycle counter, and what a cycle is worth
    u256         wide unsigned integers as values: the door to wide, arithmetic, funnel, divide, wider,
                 muldiv, root and floats, which make them
    columns      arrays of wide integers, from and to Python integers
    reference    the same arithmetic on Python integers: what `u256` must equal
    histogram    latencies in fixed memory, with a stated relative error

Nothing is imported here, because numba takes part of a second and the command line is not to wait.
"""
