"""Settings: read from the environment, overridden by options, refused with a text that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.commands.configuration import setting_lines, settings_help
from server.settings import MOST_MESSAGES, Settings, SettingsError, read_settings


def test_defaults_serve_loopback_from_the_data_folder() -> None:
    settings = read_settings({})
    assert settings == Settings()
    assert settings.host == "127.0.0.1"
    assert settings.records_url == f"sqlite:///{Path('data/weft.sqlite').resolve()}"
    assert settings.blobs_url == f"file://{Path('data/blobs').resolve()}"
    assert settings.key_file == Path("data/master.key")


def test_variables_are_read() -> None:
    given = {"WEFT_DATA": "/archive", "WEFT_PORT": "9000", "WEFT_RECORDS": "mongodb://db/weft", "HOME": "/nowhere"}
    settings = read_settings(given)
    assert (settings.data, settings.port, settings.records_url) == (Path("/archive"), 9000, "mongodb://db/weft")


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("2k", 2048), ("3m", 3 << 20), ("1G", 1 << 30)])
def test_sizes_take_a_suffix(text: str, value: int) -> None:
    assert read_settings({"WEFT_MAX_PART": text}).max_part == value


def test_the_longest_submission_may_take_all_the_room_there_is() -> None:
    assert read_settings({"WEFT_MAX_SUBMISSION": "256m"}).max_submission == MOST_MESSAGES


def test_options_win_over_variables() -> None:
    settings = read_settings({"WEFT_PORT": "9000", "WEFT_WORKERS": "3"}, port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 3)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"WEFT_PORT": "many"}, "WEFT_PORT"),
        ({"WEFT_MAX_PART": "10x"}, "WEFT_MAX_PART"),
        ({"WEFT_AUTH": "basic"}, "WEFT_AUTH"),
        ({"WEFT_HOST": "0.0.0.0"}, "WEFT_TLS_CERTIFICATE"),
        ({"WEFT_HOST": "0.0.0.0", "WEFT_TLS_CERTIFICATE": "c", "WEFT_TLS_KEY": "k"}, "WEFT_BASE_URL"),
        ({"WEFT_BASE_URL": "http://archive.example"}, "in the clear"),
        ({"WEFT_LOG_LEVEL": "trace"}, "WEFT_LOG_LEVEL"),
        ({"WEFT_PROXIES": "*"}, "WEFT_PROXIES"),
        ({"WEFT_PROXIES": "127.0.0.1, proxy.example"}, "WEFT_PROXIES"),
        ({"WEFT_HOST": "archive.example", "WEFT_BASE_URL": "http://archive.example"}, "in the clear"),
        ({"WEFT_HOST": "0.0.0.0", "WEFT_AUTH": "off"}, "loopback"),
        ({"WEFT_BASE_URL": "archive.example"}, "WEFT_BASE_URL"),
        ({"WEFT_BASE_URL": "https://archive.example/?a=b"}, "WEFT_BASE_URL"),
        ({"WEFT_SECOND_FACTOR": "some"}, "WEFT_SECOND_FACTOR"),
        ({"WEFT_SESSION_HOURS": "0"}, "WEFT_SESSION_HOURS"),
        ({"WEFT_REGISTRATION": "open"}, "WEFT_REGISTRATION"),
        ({"WEFT_CONSENT_POLICY": "allow"}, "WEFT_CONSENT_POLICY"),
        ({"WEFT_CONSENT_PURPOSES": "none"}, "WEFT_CONSENT_PURPOSES"),
        ({"WEFT_MAX_SUBMISSION": "257m"}, "WEFT_MAX_SUBMISSION: at most 256m, the room"),
        ({"WEFT_UNLABELLED": "V"}, "WEFT_UNLABELLED"),
        ({"WEFT_AUDIT_SYSLOG": "tls://host"}, "WEFT_AUDIT_SYSLOG"),
        ({"WEFT_AUDIT_WORKING_HOURS": "9-5"}, "WEFT_AUDIT_WORKING_HOURS"),
        ({"WEFT_AUDIT_ALERT_PATIENTS": "-1"}, "WEFT_AUDIT_ALERT_PATIENTS"),
        ({"WEFT_AUDIT_FAILURE": "ignore"}, "WEFT_AUDIT_FAILURE"),
        ({"WEFT_AUDIT_RETENTION_DAYS": "179"}, "WEFT_AUDIT_RETENTION_DAYS"),
        ({"WEFT_TLS_KEY": "key.pem"}, "WEFT_TLS_CERTIFICATE"),
        ({"WEFT_ENCRYPTION": "rot13"}, "WEFT_ENCRYPTION"),
        ({"WEFT_WORKERS": "0"}, "WEFT_WORKERS"),
        ({"WEFT_QUERY_LIMIT": "0"}, "WEFT_QUERY_LIMIT"),
        ({"WEFT_PROT": "8080"}, "WEFT_PROT"),
        ({"WEFT_REFERENCES": "strict"}, "WEFT_REFERENCES"),
        ({"WEFT_PROFILES": "ignored"}, "WEFT_PROFILES"),
        ({"WEFT_MAX_RESOURCE": "0"}, "WEFT_MAX_RESOURCE"),
        ({"WEFT_BUNDLE_ENTRIES": "0"}, "WEFT_BUNDLE_ENTRIES"),
        ({"WEFT_CONDITIONAL_DELETES": "-1"}, "WEFT_CONDITIONAL_DELETES"),
        ({"WEFT_TIME_ZONE": "Mars/Olympus"}, "WEFT_TIME_ZONE"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings(given)


@pytest.mark.parametrize("auth", ["off", "smart"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_may_listen_to_itself(host: str, auth: str) -> None:
    assert read_settings({"WEFT_HOST": host, "WEFT_AUTH": auth}).host == host


@pytest.mark.parametrize(
    "secured",
    [{}, {"WEFT_TLS_CERTIFICATE": "c.pem", "WEFT_TLS_KEY": "k.pem"}],
)
def test_with_sign_in_others_are_served_over_https(secured: dict[str, str]) -> None:
    named = {"WEFT_HOST": "0.0.0.0", "WEFT_BASE_URL": "https://archive.example/weft"}
    assert read_settings({**named, **secured}).auth == "smart"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"WEFT_DATA": "/archive"}, "file:///archive/audit"),
        ({"WEFT_RECORDS": "mongodb://db/weft"}, "mongodb://db/weft"),
        ({"WEFT_RECORDS": "mongodb://db/weft", "WEFT_AUDIT_LOG": "file:///log"}, "file:///log"),
    ],
)
def test_the_audit_journal_has_its_place(given: dict[str, str], url: str) -> None:
    assert read_settings(given).audit_log_url == url


def test_help_lists_every_setting_with_its_meaning() -> None:
    text = settings_help()
    for line in setting_lines():
        assert line.variable in text
        assert line.meaning in text
    assert "at rest" in text.lower()
