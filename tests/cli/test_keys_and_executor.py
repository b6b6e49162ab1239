"""What a live configuration needs first: a key, and an executor to deploy."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tallyio.cli import main
from tallyio.cli.output import console
from tallyio.engine.executor import deployment
from tallyio.model.units import address, hex_text

OWNER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def config(folder: Path, signer: str) -> Path:
    path = folder / "tallyio.toml"
    path.write_text(
        f'[chains.a]\n[protocols.b]\n[strategies.c]\n[execution]\nnative_token = "{OWNER}"\n{signer}'
    )
    return path


def test_a_key_is_made_where_the_configuration_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = f'keystore = "{tmp_path}/key.json"\npassword_file = "{tmp_path}/pw"\nscrypt_n = 4096\n'
    path = config(tmp_path, f'[signers.hot]\nplugin = "local_key"\n{keys}')
    assert main(["keys", "new", str(path), "--json"]) == 0
    account = json.loads(capsys.readouterr().out)["account"]
    assert json.loads((tmp_path / "key.json").read_text())["address"] == address(account).hex()
    assert main(["keys", "new", str(path)]) == 5
    assert "a key is never overwritten" in capsys.readouterr().err


def test_without_a_signer_there_is_no_key_to_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", str(config(tmp_path, ""))]) == 3
    assert "names no signer" in capsys.readouterr().err


def test_the_executor_is_printed_as_what_deploys_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["executor", OWNER]) == 0
    assert capsys.readouterr().out.strip() == hex_text(deployment(address(OWNER)))


def test_what_is_copied_stays_one_line_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    keys = f'keystore = "{tmp_path}/key.json"\npassword_file = "{tmp_path}/pw"\nscrypt_n = 4096\n'
    path = config(tmp_path, f'[signers.hot]\nplugin = "local_key"\n{keys}')
    for words in (["executor", OWNER], ["keys", "new", str(path)]):
        assert main(words) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert len(line) > 40


def test_only_the_stream_that_is_written_to_says_whether_lines_are_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert not console().soft_wrap
    assert console(stderr=True).soft_wrap


def test_an_owner_with_a_wrong_checksum_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["executor", OWNER.replace("5aA", "5aa")]) == 3
    assert "wrong EIP-55 checksum" in capsys.readouterr().err
