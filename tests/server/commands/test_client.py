"""`weft client` and `weft key`: apps, backend services and signing keys at the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from server.groundwork import Groundwork
from server.smart.digest import is_secret
from server.smart.model import Client
from tests.server.commands.administering import asking, refused, told
from tests.server.smart.keeping import rsa_key

APP = (
    "client",
    "add",
    "Growth chart",
    "--scope",
    "launch/patient openid patient/*.rs",
    "--redirect",
    "https://app.example/",
)


def clients_of(data: Path) -> list[Client]:
    async def question(ground: Groundwork) -> list[Client]:
        return [held.value for held in await ground.smart.store.every(Client)]

    return asking(data, question)


def test_a_public_app_is_let_in(tmp_path: Path) -> None:
    text = told(tmp_path, *APP)
    (client,) = clients_of(tmp_path)
    assert f"client_id {client.id}" in text
    assert "client_secret" not in text
    assert (client.method, client.redirects, client.is_approved) == ("none", ("https://app.example/",), True)
    assert client.scopes == ("launch/patient", "openid", "patient/*.rs")


def test_a_secret_is_shown_once_and_kept_as_its_digest(tmp_path: Path) -> None:
    text = told(tmp_path, *APP, "--by", "secret", "--id", "chart")
    (client,) = clients_of(tmp_path)
    found = re.search(r"client_secret, shown only now: (\S+)", text)
    assert found is not None
    assert is_secret(found[1], client.secret)
    assert found[1] not in told(tmp_path, "client", "list")


def test_a_backend_service_proves_itself_by_key(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [rsa_key().public]}))
    more = ("--backend", "--by", "key", "--jwks", str(keys), "--scope", "system/*.rs", "--purpose", "HRESCH")
    told(tmp_path, "client", "add", "Store", *more, "--role", "researcher", "--patient", "ward-03")
    (client,) = clients_of(tmp_path)
    assert (client.method, client.grants, client.purpose) == ("private_key_jwt", ("client_credentials",), "HRESCH")
    assert (client.roles, client.patients) == (("researcher",), ("ward-03",))
    assert "of 1.9.1, 1.9.2" in told(tmp_path, "client", "feeds", client.id, "urn:oid:1.9.1", "1.9.2")
    assert clients_of(tmp_path)[0].feeds == ("1.9.1", "1.9.2")
    assert "no client" in refused(tmp_path, "client", "feeds", "nobody", "1.9.1")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (("--redirect", "http://app.example/"), "redirect"),
        (("--by", "magic"), "public, secret or key"),
        (("--by", "key"), "jwks"),
        (("--jwks-url", "http://app.example/keys", "--by", "key"), "jwks_uri"),
        (("--backend",), "key"),
        (("--role", "king"), "no such role"),
        (("--id", "two words"), "letters"),
    ],
)
def test_what_no_client_may_have_is_refused(tmp_path: Path, changed: tuple[str, ...], named: str) -> None:
    assert named in refused(tmp_path, *APP, *changed)
    assert clients_of(tmp_path) == []


def test_a_service_without_keys_and_an_app_without_an_address_are_told_what_they_lack(tmp_path: Path) -> None:
    scope = ("--scope", "system/*.rs")
    assert "--jwks" in refused(tmp_path, "client", "add", "Store", "--backend", *scope)
    assert "--redirect" in refused(tmp_path, "client", "add", "Chart", *scope)
    assert "no scope" in refused(tmp_path, *APP[:3], "--scope", "all of it", *APP[-2:])


def test_an_id_is_given_once(tmp_path: Path) -> None:
    told(tmp_path, *APP, "--id", "chart")
    assert "client of this id" in refused(tmp_path, *APP, "--id", "chart")


def test_a_mistyped_scope_is_told_of(tmp_path: Path) -> None:
    assert "left out: patient/Observation.sr" in told(tmp_path, *APP, "--scope", "patient/Observation.sr")


def test_an_app_is_shut_out_and_let_in_again(tmp_path: Path) -> None:
    told(tmp_path, *APP, "--id", "chart")
    told(tmp_path, "client", "revoke", "chart")
    assert "shut out" in told(tmp_path, "client", "list")
    told(tmp_path, "client", "approve", "chart")
    assert clients_of(tmp_path)[0].is_approved
    assert "no client of this id" in refused(tmp_path, "client", "revoke", "nobody")


def test_a_key_is_rotated(tmp_path: Path) -> None:
    assert "no key yet" in told(tmp_path, "key", "list")
    told(tmp_path, "key", "rotate")
    kid = told(tmp_path, "key", "rotate").split()[1]
    lines = told(tmp_path, "key", "list").splitlines()
    assert [("in use" in line, kid in line) for line in lines[1:2]] == [(True, True)]
    assert "PRIVATE" not in "".join(lines)


def test_the_keys_of_key_files_are_renewed_and_what_was_kept_stays_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(tmp_path, *APP, "--id", "chart")
    for what, file in (("archive", "master.key"), ("audit", "audit.key")):
        before = (tmp_path / file).read_bytes()
        id_ = told(tmp_path, "key", "renew", what).split()[1]
        assert (tmp_path / file).read_bytes() != before
        assert id_ in (tmp_path / file).read_text() or what == "audit"
        assert "chart" in told(tmp_path, "client", "list")
    told(tmp_path, "client", "revoke", "chart")
    assert "sound" in told(tmp_path, "audit", "verify")
    monkeypatch.setenv("WEFT_ENCRYPTION", "off")
    assert "nothing is sealed" in refused(tmp_path / "clear", "key", "renew", "archive")
