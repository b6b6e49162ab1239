# pragma version 0.4.3
"""
What discovery asks of `CurveStableSwapFactoryNG`, for tests.
"""
pool_list: public(DynArray[address, 10])
metas: HashMap[address, bool]
types: HashMap[address, DynArray[uint8, 8]]


@external
def add(pool: address, is_meta: bool, asset_types: DynArray[uint8, 8]):
    self.pool_list.append(pool)
    self.metas[pool] = is_meta
    self.types[pool] = asset_types


@view
@external
def pool_count() -> uint256:
    return len(self.pool_list)


@view
@external
def is_meta(pool: address) -> bool:
    return self.metas[pool]


@view
@external
def get_pool_asset_types(pool: address) -> DynArray[uint8, 8]:
    return self.types[pool]
