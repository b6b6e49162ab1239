"""Settings are strict, and an endpoint keeps its secrets."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_chain_evm.chain import EvmChain
from tallyio_chain_evm.endpoint import parse_endpoint, redact
from tallyio_chain_evm.plugin import tallyio_chain
from tallyio_chain_evm.settings import read_settings

from tallyio.model.errors import ConfigError

SECRET_URL = "wss://user:pa55word@node.example:8546/v3/0123456789abcdef?token=qwertyuiop"  # noqa: S105 - made up


def test_two_keys_are_enough() -> None:
    settings, endpoint = read_settings({"url": "ws://127.0.0.1:8545", "chain_id": 1})
    assert settings.deadline_s == 5
    assert settings.max_bytes == 64 * 2**20
    assert str(endpoint) == "ws://127.0.0.1:8545"
    assert isinstance(tallyio_chain({"url": "ws://127.0.0.1:8545", "chain_id": 1}), EvmChain)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"chain_id": 1}, "url"),
        ({"url": "ws://localhost"}, "chain_id"),
        ({"url": "ws://localhost", "chain_id": "1"}, "chain_id"),
        ({"url": "ws://localhost", "chain_id": 0}, "chain_id"),
        ({"url": "ws://localhost", "chain_id": 1, "patience": 3}, 'did you mean "patience_s"'),
        ({"url": "ws://localhost", "chain_id": 1, "deadline_s": 0}, "deadline_s"),
        ({"url": "ws://localhost", "chain_id": 1, "max_bytes": 1}, "max_bytes"),
        ({"url": "http://localhost", "chain_id": 1}, "is not a WebSocket URL"),
        ({"url": "ws://", "chain_id": 1}, "is not a WebSocket URL"),
        ({"url": "ws://h:99999", "chain_id": 1}, "is not a WebSocket URL"),
        ({"url": "ws://h:0", "chain_id": 1}, "is not a WebSocket URL"),
        ({"url": "ws://node.example", "chain_id": 1}, "allow_plain = true"),
    ],
)
def test_a_mistake_is_one_error_that_names_the_key(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as fault:
        read_settings(table)
    assert fault.value.exit_code == 3


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "ws://127.9.9.9", "ws://[::1]:1", "ws://localhost:1/x"])
def test_plain_text_may_stay_on_this_machine(url: str) -> None:
    read_settings({"url": url, "chain_id": 1})


def test_plain_text_may_leave_it_if_the_user_says_so() -> None:
    read_settings({"url": "ws://10.0.0.2:8546", "chain_id": 1, "allow_plain": True})


def test_nothing_that_prints_shows_a_secret() -> None:
    settings, endpoint = read_settings({"url": SECRET_URL, "chain_id": 1})
    shown = f"{settings!r} {settings.__rich_repr__()} {endpoint!r} {endpoint} {redact(SECRET_URL)}"
    for secret in ("user:", "pa55word", "0123456789abcdef", "qwertyuiop"):
        assert secret not in shown
    assert str(endpoint) == "wss://node.example:8546/…"


def test_an_error_about_a_url_hides_its_key() -> None:
    with pytest.raises(ConfigError) as fault:
        read_settings({"url": "https://node.example/v3/0123456789abcdef", "chain_id": 1})
    assert "0123456789abcdef" not in str(fault.value)


@pytest.mark.parametrize(
    "url",
    [
        "wss://node.example/v3/0123456789 abcdef",
        "wss://node.example/v3/0123456789abcdef ",
        " wss://node.example/v3/0123456789abcdef",
        "wss://node.example/v3/0123456789abcdef\n",
        "wss://node.example/v3/0123456789abcdef\x7f",
        "wss://node.example/v3/\u200b0123456789abcdef",
        "wss://usér:pa55word@node.example/v3/0123456789abcdef",
        "wss://bücher.example/v3/0123456789abcdef",
        "wss://node\u2028.example/v3/0123456789abcdef",
        "wss://*.example/v3/0123456789abcdef",
        "wss://node..example/v3/0123456789abcdef",
        "wss://a..b/v3/0123456789abcdef",
        "wss://node.example\\v3\\0123456789abcdef",
        "wss://" + "a" * 64 + ".example/v3/0123456789abcdef",
        "wss://" + "abcdefghi." * 26 + "example/v3/0123456789abcdef",
    ],
)
def test_a_url_that_no_request_can_hold_is_refused_without_its_key(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^\[chains.evm.url\] .*; give the node's WebSocket address"
    ) as fault:
        read_settings({"url": url, "chain_id": 1})
    assert str(fault.value).isprintable()
    for secret in ("0123456789", "pa55word"):
        assert secret not in str(fault.value)


@pytest.mark.parametrize("host", ["node_1", "xn--bcher-kva.example", "node.example.", "[fe80::1%Eth0]"])
def test_other_names_of_hosts_are_taken(host: str) -> None:
    assert parse_endpoint(f"wss://{host}/").host == host.strip("[]")


def test_an_endpoint_is_taken_apart() -> None:
    endpoint = parse_endpoint(SECRET_URL)
    assert (endpoint.tls, endpoint.host, endpoint.port) == (True, "node.example", 8546)
    assert endpoint.target == "/v3/0123456789abcdef?token=qwertyuiop"
    assert endpoint.authorization == "Basic dXNlcjpwYTU1d29yZA=="
    assert endpoint.host_header == "node.example:8546"
    assert parse_endpoint("ws://[::1]").host_header == "[::1]"
    assert parse_endpoint("wss://h").port == 443


@given(st.text(max_size=60))
def test_no_text_breaks_redaction(url: str) -> None:
    assert redact(url).isprintable()


@given(st.text(max_size=1_000))
def test_a_cleaned_text_is_short_and_printable(text: str) -> None:
    cleaned = parse_endpoint(SECRET_URL).clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= 401


def test_the_contract_names_scripts_that_are_there() -> None:
    package = files("tallyio_chain_evm")
    contract = tomllib.loads((package / "contract.toml").read_text())
    assert (contract["kind"], contract["name"]) == ("chain", "evm")
    for bench in contract["bench"]:
        source = (package / bench["script"]).read_text()
        assert f'"{bench["name"]}"' in source
        assert f'"{bench["reference"]}"' in source
