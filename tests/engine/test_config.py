"""A configuration file: every mistake names file, table, key and way out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tallyio.engine.config import load_config, parse_config
from tallyio.engine.outcomes import HEADS_KEPT
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError

ADDRESS = "0x" + "11" * 20
GOOD = f"""
[chains.lab]
plugin = "evm"
url = "ws://127.0.0.1:1"
[protocols.pools]
[strategies.s]
[execution]
native_token = "{ADDRESS}"
executor = "{ADDRESS}"
account = "{ADDRESS}"
"""


def parse(text: str) -> object:
    return parse_config(text, source="bot.toml", folder=Path("/somewhere"))


def test_a_table_names_its_plugin_or_is_its_name() -> None:
    config = parse_config(GOOD, source="bot.toml", folder=Path("/somewhere"))
    assert (config.chain.name, config.chain.plugin) == ("lab", "evm")
    assert config.chain.settings == {"url": "ws://127.0.0.1:1"}
    assert config.protocols[0].plugin == "pools"
    assert config.data_dir == Path("/somewhere/tallyio-data")
    assert config.signer is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("[execution]", "[executoin]"),
            r"bot.toml: \[top level\].*'executoin' \(did you mean \"execution\"\?\)",
        ),
        (
            ("executor =", "exector ="),
            r"bot.toml: \[execution\].*'exector' \(did you mean \"executor\"",
        ),
        (
            (f'account = "{ADDRESS}"', 'account = "0x12"'),
            r"\[execution.account\] an address is '0x' and 40 hex",
        ),
        (
            ("[chains.lab]", "[chains.a]\n[chains.lab]"),
            r"\[chains\] names a, lab; one process watches one chain",
        ),
        (("[strategies.s]", "[strategies]"), r"\[strategies\] is empty; add a table \[strategies.NAME\]"),
        (('plugin = "evm"', "plugin = 3"), r"\[chains.lab.plugin\] expected the name of a plugin, not 3"),
        (("[execution]", "[execution"), r"bot.toml is not TOML: .*line"),
        (("[execution]", f"[x]\na = {'9' * 5_000}\n[execution]"), "bot.toml is not TOML that .* too long"),
        (
            ("[execution]", '[run]\ndata_dir = "a\\u0000b"\n[execution]'),
            r"\[run.data_dir\] .* is no path: emb",
        ),
        (("[execution]", "[signers.a]\n[signers.b]\n[execution]"), r"\[signers\] names more than one signer"),
    ],
)
def test_each_mistake_is_explained(change: tuple[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(GOOD.replace(*change, 1))


@pytest.mark.parametrize("deep", [f"[x]\na = {'[' * 3_000}{']' * 3_000}\n", f"[x{'.a' * 5_000}]\n"])
def test_what_is_nested_too_deep_for_python_is_refused(deep: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)  # Python's own; libraries of other tests raise it
    try:
        with pytest.raises(ConfigError, match=r"bot\.toml is not TOML that can be read: .* nested too deep"):
            parse(GOOD + deep)
    finally:
        sys.setrecursionlimit(limit)


def test_a_missing_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tallyio init DIR"):
        load_config(tmp_path / "none.toml")


def test_the_shipped_template_parses() -> None:
    config = load_config(data_path("examples") / "arbitrage" / "tallyio.toml")
    assert config.chain.plugin == "evm"


def test_a_strategy_has_limits_of_its_own_below_those_of_the_run() -> None:
    own = GOOD.replace("[strategies.s]", "[strategies.s]\nmax_pending = 2\nmax_gas = 9_000_000\ntop_k = 3")
    config = parse_config(own + "[strategies.t]\n", source="bot.toml", folder=Path("/somewhere"))
    assert config.strategies[0].settings == {"top_k": 3}
    assert config.max_pending == {"s": 2, "t": 16}
    assert config.max_gas == {"s": 1_500_000, "t": 1_500_000}
    # 960,000 used and refunded a fifth of the whole, with a margin of 25 percent, is the limit.
    assert config.usable_gas == {"s": 960_000, "t": 960_000}


@pytest.mark.parametrize(
    ("table", "setting", "rule"),
    [
        ("execution", "inclusion_blocks = 0", "`int` >= 1"),
        ("execution", "inclusion_blocks = 1_000_000", "`int` <= 128"),
        ("execution", "gas_margin_percent = -50", "`int` >= 0"),
        ("execution", "gas_margin_percent = 1_001", "`int` <= 1000"),
        ("execution", "settle_blocks = 0", "`int` >= 1"),
        ("execution", f"settle_blocks = {HEADS_KEPT}", "`int` <= 128"),
        ("limits", "max_fee_gwei = 0.0", "`float` > 0.0"),
        ("limits", "max_fee_gwei = nan", "`float` > 0.0"),
        ("limits", "max_fee_gwei = inf", "`float` <= 1000000000.0"),
        ("limits", "max_gas = 0", "`int` >= 1"),
        ("limits", f"max_gas = {2**70}", "`int` <= 1000000000000"),
        ("limits", "max_value_wei = -1", "`int` >= 0"),
        ("limits", "max_pending = 0", "`int` >= 1"),
        ("limits", "max_gas_spend_wei = -1", "`int` >= 0"),
        ("limits", "max_reverts = 0", "`int` >= 1"),
        ("limits", "min_net_wei = -1", "`int` >= 0"),
        ("strategies.s", "max_pending = -1", "`int` >= 0"),
        ("strategies.s", "max_gas = 0", "`int` >= 1"),
    ],
)
def test_a_number_out_of_range_is_refused_from_file_and_environment(
    table: str, setting: str, rule: str, tmp_path: Path
) -> None:
    key, _, value = setting.partition(" = ")
    says = re.escape(f"bot.toml: [{table}.{key}] expected {rule}")
    text = GOOD if table in GOOD else f"{GOOD}[{table}]\n"
    with pytest.raises(ConfigError, match=says):
        parse(text.replace(f"[{table}]", f"[{table}]\n{setting}"))
    if value in {"nan", "inf"}:
        return  # a variable cannot say these: they are text there
    (tmp_path / "bot.toml").write_text(text)
    variable = f"TALLYIO__{table.replace('.', '__')}__{key}".upper()
    with pytest.raises(ConfigError, match=says):
        load_config(tmp_path / "bot.toml", {variable: value})


def test_amounts_may_pass_64_bits() -> None:
    large = parse_config(f"{GOOD}[limits]\nmax_value_wei = {10**20}\n", source="", folder=Path())
    assert large.limits.max_value_wei == 10**20
