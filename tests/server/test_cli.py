"""The command line: what it says, what it does with settings it cannot use, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.main import get_group
from typer.testing import CliRunner, Result

from server.cli import Later, main
from server.commands import bring_in as bring_in_command
from server.commands.configuration import setting_lines
from tests.data.instances import instance, write_instances


def weft(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], env={"WEFT_DATA": None, **environment})


def test_help_names_every_command() -> None:
    told = weft("--help").stdout
    for command in ("serve", "import", "verify", "reindex", "statements", "demo", "user", "client", "key"):
        assert f"\n  {command} " in told


@pytest.mark.parametrize("command", get_group(main).commands.values(), ids=lambda each: each.name)
def test_help_says_of_a_command_what_its_own_help_begins_with(command: Later) -> None:
    assert command.get_short_help_str(200) == command.loaded().get_short_help_str(200)
    assert str(command.name) in weft(str(command.name), "--help").stdout.splitlines()[0]


def test_help_loads_no_command() -> None:
    """Loading them takes a second."""
    script = "import sys; from server.cli import Later, main; main(sys.argv[1:], standalone_mode=False)"
    told = subprocess.run([sys.executable, "-Ximporttime", "-c", script, "--help"], capture_output=True, text=True)
    assert "server.cli" in told.stderr
    assert "server.commands." not in told.stderr
    assert "starlette" not in told.stderr


def test_the_help_of_serve_lists_every_setting() -> None:
    told = weft("serve", "--help").stdout
    assert not [line.variable for line in setting_lines() if line.variable not in told]


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (["serve", "--port", "8080"], {"WEFT_HOST": "0.0.0.0"}, "WEFT_HOST"),
        (["serve", "--auth", "off"], {"WEFT_HOST": "0.0.0.0"}, "loopback"),
        (["serve", "--workers", "0"], {}, "WEFT_WORKERS"),
        (["serve"], {"WEFT_NONSENSE": "1"}, "WEFT_NONSENSE"),
        (["serve", "--records", "oracle://db"], {}, "oracle"),
        (["verify", "--blobs", "ftp://host"], {}, "ftp"),
        (["serve", "--tls-key", "key.pem"], {}, "WEFT_TLS_CERTIFICATE"),
    ],
)
def test_settings_that_cannot_be_used_end_in_one_sentence(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], named: str
) -> None:
    ended = weft(*arguments, "--data", tmp_path, **environment)
    assert ended.exit_code == 2
    assert named in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_import_and_verify_tell_what_they_did(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 3)
    (tmp_path / "in/readme.txt").write_text("no image")
    with zipfile.ZipFile(tmp_path / "in/more.zip", "w") as archive:
        archive.writestr("4.dcm", instance(4).data())
    ended = weft("import", tmp_path / "in", "--data", tmp_path / "data", "--report", tmp_path / "report")
    assert ended.exit_code == 1
    assert "stored 4, already there 0, refused 1" in ended.stdout
    assert str(tmp_path / "in/readme.txt") in ended.stdout
    lines = [json.loads(line) for line in (tmp_path / "report").read_text().splitlines()]
    assert sorted(line["outcome"] for line in lines) == ["refused", *["stored"] * 4]
    verified = weft("verify", "--decode", "--data", tmp_path / "data")
    assert (verified.exit_code, verified.stdout.split(":")[1].strip()) == (0, "clean")


def test_verify_lists_damage(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 1)
    assert weft("import", tmp_path / "in", "--data", tmp_path / "data").exit_code == 0
    (file,) = (path for path in (tmp_path / "data/blobs").rglob("*") if path.is_file())
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    ended = weft("verify", "--data", tmp_path / "data")
    assert ended.exit_code == 1
    assert f"file damaged: {instance(1).instance}" in ended.stdout


def test_nothing_to_import_is_told_apart(tmp_path: Path) -> None:
    assert weft("import", tmp_path, "--data", tmp_path / "data").exit_code == 2
    assert weft("import", tmp_path / "absent").exit_code == 2
    (tmp_path / "note").write_text("text")
    assert weft("import", tmp_path / "note", "--data", tmp_path / "data").exit_code == 2


def test_many_reasons_are_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring_in_command, "_REASONS_TOLD", 1)
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.zip").write_text("text")
    (tmp_path / "c.dcm").write_bytes(instance(1).data())
    told = weft("import", tmp_path, "--data", tmp_path / "data").stdout
    assert "and 1 other reasons" in told


def test_an_archive_of_another_key_is_refused(tmp_path: Path) -> None:
    write_instances(tmp_path / "in", 1)
    assert weft("import", tmp_path / "in", "--data", tmp_path / "data").exit_code == 0
    (tmp_path / "data/master.key").unlink()
    ended = weft("verify", "--data", tmp_path / "data")
    assert ended.exit_code == 2
    assert "key" in ended.stderr
