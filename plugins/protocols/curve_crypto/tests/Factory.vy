# pragma version 0.4.3
"""
What discovery asks of a factory of CryptoSwap pools, for tests.
"""
pool_list: public(DynArray[address, 10])


@external
def add(pool: address):
    self.pool_list.append(pool)


@view
@external
def pool_count() -> uint256:
    return len(self.pool_list)
