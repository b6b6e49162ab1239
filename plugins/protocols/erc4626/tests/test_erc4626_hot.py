"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_erc4626 import hot, reference
from tallyio_protocol_erc4626.layout import FOLLOWS, ROW_BYTES, Upkeep, pack_row
from tallyio_protocol_erc4626.reference import MOST, Vault

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.errors import ConfigError
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

TOTAL = st.one_of(st.integers(0, 2**127), st.integers(0, 127).map(lambda bits: 1 << bits), st.just(0))
LIMIT = st.one_of(st.just(MOST), st.integers(0, MOST), st.just(0))
AMOUNT = st.one_of(
    st.integers(0, MOST), st.integers(0, 2**256 - 1), st.integers(0, 129).map(lambda bits: 1 << bits)
)
VAULT = st.builds(
    Vault,
    total_assets=TOTAL,
    supply=TOTAL,
    virtual_shares=st.sampled_from((0, 1, 10**6, 10**18, 10**38)),
    max_deposit=LIMIT,
    max_mint=LIMIT,
    max_redeem=LIMIT,
    max_withdraw=LIMIT,
)
FOLLOWING = Upkeep(gas=(7, 8), read_at=1_000, max_age=30, follows=True)


class Row:
    """A row in native memory, and room for a log's data behind it."""

    def __init__(self) -> None:
        self.memory = Region(4096)
        self.address = self.memory.address

    def set(self, vault: Vault, upkeep: Upkeep = FOLLOWING) -> None:
        """Put a fresh row there."""
        self.memory.view("u1", ROW_BYTES)[:] = bytearray(pack_row(vault, upkeep))

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return self.memory.view("u1", ROW_BYTES).tobytes()

    def apply(self, event: int, data: bytes) -> int:
        """Apply a log with this data."""
        self.memory.view("u1", len(data), ROW_BYTES)[:] = bytearray(data)
        status: int = hot.apply_log(self.address, event, 0, self.address + ROW_BYTES, len(data))
        return status


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.quote_exact_out, hot.curve, hot.gas, hot.apply_log, hot.advance])
    made = Row()
    yield made
    made.memory.close()


@given(vault=VAULT, i=st.integers(0, 1), amount=AMOUNT)
def test_quotes_equal_the_reference(row: Row, vault: Vault, i: int, amount: int) -> None:
    row.set(vault)
    assert hot.quote(row.address, i, 1 - i, amount) == reference.quote(vault, i, amount)
    assert hot.quote_exact_out(row.address, i, 1 - i, amount) == reference.quote_exact_out(vault, i, amount)


@given(vault=VAULT, i=st.integers(0, 1), amounts=st.tuples(AMOUNT, AMOUNT))
def test_a_larger_input_never_pays_less_within_the_limits(
    row: Row, vault: Vault, i: int, amounts: tuple[int, int]
) -> None:
    row.set(vault)
    paid = [hot.quote(row.address, i, 1 - i, amount) for amount in sorted(amounts)]
    assert paid[0] <= paid[1] or paid[1] == 0


@given(vault=VAULT, i=st.integers(0, 1), amount=AMOUNT)
def test_an_exact_output_costs_enough_and_not_one_unit_too_much(
    row: Row, vault: Vault, i: int, amount: int
) -> None:
    free = Vault(total_assets=vault.total_assets, supply=vault.supply, virtual_shares=vault.virtual_shares)
    row.set(free)
    cost = hot.quote_exact_out(row.address, i, 1 - i, amount)
    if cost:
        assert hot.quote(row.address, i, 1 - i, cost) >= amount
        assert hot.quote(row.address, i, 1 - i, cost - 1) < amount


def test_the_float_curve_is_within_its_promise(row: Row) -> None:
    draw = random.Random(5)
    for _ in range(5_000):
        total, supply = (draw.getrandbits(draw.randrange(1, 120)) + 1 for _ in range(2))
        vault = Vault(total_assets=total, supply=supply, virtual_shares=draw.choice((0, 1, 10**12)))
        row.set(vault)
        i = draw.randrange(2)
        amount = draw.getrandbits(draw.randrange(1, 121))
        exact = hot.quote(row.address, i, 1 - i, amount)
        out, slope = hot.curve(row.address, i, 1 - i, float(amount))
        assert abs(out - exact) <= 1e-9 * exact + 2
        assert slope >= 0.0


def test_the_last_shares_have_a_curve_too(row: Row) -> None:
    for total in (3, 10**18 + 1, 2**100 - 7, 7 * 10**30):
        row.set(
            Vault(
                total_assets=total,
                supply=3 * total // 2,
                virtual_shares=0,
                max_redeem=3 * total // 2,
                max_withdraw=total,
            )
        )
        assert hot.curve(row.address, 1, 0, float(3 * total // 2))[0] == pytest.approx(total, rel=1e-12)


def test_beyond_a_limit_there_is_no_curve(row: Row) -> None:
    row.set(Vault(total_assets=10**9, supply=10**9, virtual_shares=0, max_deposit=10**6, max_redeem=10**5))
    assert hot.curve(row.address, 0, 1, 1e6)[0] > 0
    assert hot.curve(row.address, 0, 1, 1e6 + 1) == (0.0, 0.0)
    assert hot.curve(row.address, 1, 0, 1e5)[0] > 0
    assert hot.curve(row.address, 1, 0, 1e5 + 1) == hot.curve(row.address, 1, 0, -1.0) == (0.0, 0.0)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (2, 3)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set(Vault(total_assets=10**9, supply=10**9, virtual_shares=1))
    assert hot.quote(row.address, i, j, 10) == hot.quote_exact_out(row.address, i, j, 10) == 0
    assert hot.gas(row.address, i, j, 10) == 0
    assert hot.curve(row.address, i, j, 10.0) == (0.0, 0.0)


def test_gas_is_what_the_row_says_of_the_direction(row: Row) -> None:
    row.set(Vault(total_assets=1, supply=1, virtual_shares=1))
    assert (hot.gas(row.address, 0, 1, 5), hot.gas(row.address, 1, 0, 5)) == (7, 8)


# --- events and age --------------------------------------------------------------------------


def words(assets: int, shares: int) -> bytes:
    return assets.to_bytes(32) + shares.to_bytes(32)


@given(
    total=st.integers(0, 10**30),
    supply=st.integers(0, 10**30),
    moved=st.tuples(*[st.integers(0, 10**30)] * 2),
)
def test_events_add_and_subtract_what_they_say(
    row: Row, total: int, supply: int, moved: tuple[int, int]
) -> None:
    """Limits on what leaves are the totals, before and after."""

    def vault(total: int, supply: int) -> Vault:
        return Vault(
            total_assets=total, supply=supply, virtual_shares=10**6, max_redeem=supply, max_withdraw=total
        )

    row.set(vault(total, supply))
    assert row.apply(0, words(*moved)) == LOG_APPLIED
    assert row.raw == pack_row(vault(total + moved[0], supply + moved[1]), FOLLOWING)
    assert row.apply(1, words(*moved)) == LOG_APPLIED
    assert row.raw == pack_row(vault(total, supply), FOLLOWING)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (0, bytes(63)),
        (0, bytes(96)),
        (2, words(1, 1)),
        (-1, words(1, 1)),
        (0, words(MOST, 1)),
        (0, words(1, MOST)),
        (0, words(MOST + 1, 1)),
        (0, words(1, 2**255)),
        (1, words(101, 1)),
        (1, words(1, 201)),
    ],
)
def test_an_event_that_cannot_be_asks_for_a_reload_and_changes_nothing(
    row: Row, event: int, data: bytes
) -> None:
    row.set(Vault(total_assets=100, supply=200, virtual_shares=1))
    before = row.raw
    assert row.apply(event, data) == LOG_RELOAD
    assert row.raw == before


def test_a_vault_that_is_not_followed_asks_for_a_reload(row: Row) -> None:
    row.set(Vault(total_assets=100, supply=200, virtual_shares=1), Upkeep())
    assert row.raw[FOLLOWS] == 0
    assert row.apply(0, words(1, 1)) == LOG_RELOAD


def test_a_row_is_believed_until_it_is_too_old(row: Row) -> None:
    row.set(Vault(total_assets=100, supply=200, virtual_shares=1))
    before = row.raw
    assert [hot.advance(row.address, time) for time in (1_000, 1_030)] == [LOG_IGNORED, LOG_IGNORED]
    assert hot.advance(row.address, 1_031) == LOG_RELOAD
    assert row.raw == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_assets": MOST + 1},
        {"supply": MOST},
        {"supply": -1},
        {"max_redeem": 2**129},
        {"virtual_shares": 2**128},
    ],
)
def test_an_impossible_row_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be below"):
        pack_row(Vault(**{"total_assets": 1, "supply": 1, "virtual_shares": 1, **wrong}), Upkeep())


# --- settings --------------------------------------------------------------------------------

ADDRESS = "0x" + "11" * 20


@pytest.mark.parametrize(
    ("vaults", "message"),
    [
        ([], "names no vault; add"),
        ([{"address": "vault"}], r"\[protocols.erc4626.vaults.address\]"),
        ([{"address": ADDRESS, "holder": "me"}], r"\[protocols.erc4626.vaults.holder\]"),
        ([{"address": ADDRESS, "kind": "virtuel"}], r"unknown kind 'virtuel' \(did you mean \"virtual\"\?\)"),
        ([{"address": ADDRESS, "max_age_seconds": 0}], "wants max_age_seconds above 0"),
        ([{"address": ADDRESS, "gas_redeem": -1}], "gas not below it"),
        ([{"address": ADDRESS}, {"address": ADDRESS}], "names a vault twice"),
        ([{"address": ADDRESS, "idel": True}], r"unknown key 'idel' \(did you mean \"idle\"\?\)"),
    ],
)
def test_a_wrong_table_is_refused_by_key(vaults: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PluginHost(Catalog.scan()).protocol("erc4626", {"vaults": vaults})
