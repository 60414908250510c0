"""What keeps a server from starting is told in one sentence, and by the name of its setting."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from server.commands.listening import check_machine
from server.settings import Settings
from tests.server.commands.administering import weft


def _told(capsys: pytest.CaptureFixture[str], settings: Settings) -> str:
    with pytest.raises(BaseException) as ended:
        check_machine(settings)
    assert type(ended.value).__name__ == "Exit"
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_port_that_is_free_is_fine() -> None:
    check_machine(Settings(port=0))


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in _told(capsys, Settings(port=port))


def test_an_address_of_another_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "WEFT_HOST=203.0.113.9" in _told(capsys, Settings(host="203.0.113.9", port=0))


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"tls_certificate": "{file}", "tls_key": "{file}"}, "WEFT_TLS_KEY: not a certificate"),
        ({"tls_certificate": "{file}.pem", "tls_key": "{file}"}, "WEFT_TLS_KEY: there is no such file"),
        ({"audit_syslog_authority": "{file}.pem"}, "WEFT_AUDIT_SYSLOG_AUTHORITY: there is no such file"),
        ({"audit_syslog_certificate": "{file}"}, "WEFT_AUDIT_SYSLOG_KEY: not a certificate"),
    ],
)
def test_files_that_are_no_certificates_are_told(
    members: dict[str, str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "text"
    file.write_text("nothing of the kind")
    given = {name: value.format(file=file) for name, value in members.items()}
    assert named in _told(capsys, Settings(port=0, **given))  # type: ignore[arg-type]


def test_serve_looks_before_it_starts(tmp_path: Path) -> None:
    ended = weft(tmp_path, "serve", "--tls-certificate", "nothing.pem", "--tls-key", "nothing.pem", "--port", "0")
    assert ended.exit_code == 2
    assert "WEFT_TLS_CERTIFICATE" in ended.stderr
    assert not list(tmp_path.iterdir())
