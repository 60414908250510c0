"""Dynamic registration: smart checks N01 to N03."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.smart.model import Client
from server.smart.registration import is_safe_url
from tests.server.oauth.authorizing import APP, World, basic, serving
from tests.server.smart.keeping import ec_key

METADATA = {
    "client_name": "Growth\n Chart",
    "redirect_uris": [APP],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "openid patient/*.rs system/*.rs __register unheard-of",
    "software_id": "ignored",
}
KEYS = {"keys": [ec_key().public]}


def test_n01_registration_is_off_unless_it_is_let_in(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        got = await world.send("/register", METADATA)
        assert (got.status, got.error) == (403, "access_denied")

    serving(tmp_path, work)


def test_n01_with_an_initial_access_token_an_app_registers_and_waits(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(
            "admin", "client_secret_basic", scopes=("__register", "system/*.rs"), grants=("client_credentials",)
        )
        form = {"grant_type": "client_credentials", "scope": "__register"}
        token = (await world.post("/token", form, **basic("admin"))).json["access_token"]
        other = (await world.post("/token", {**form, "scope": "system/*.rs"}, **basic("admin"))).json["access_token"]
        assert (await world.send("/register", METADATA)).status == 401
        refused = await world.send("/register", METADATA, authorization=f"Bearer {other}")
        assert (refused.status, refused.error) == (403, "insufficient_scope")
        got = await world.send("/register", METADATA, authorization=f"Bearer {token}")
        assert (got.status, got.headers["cache-control"]) == (201, "no-store")
        assert got.json["client_name"] == "Growth Chart"
        assert got.json["scope"] == "openid patient/*.rs"
        assert "client_secret" not in got.json
        client = await world.store.client(got.json["client_id"])
        assert client is not None
        assert not client.is_approved
        assert (await world.authorize(client_id=client.id)).status == 400

    serving(tmp_path, work, policy="token")


def test_n03_the_method_decides_the_kind_of_client(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        secret = await world.send("/register", {"redirect_uris": [APP]})
        assert secret.json["token_endpoint_auth_method"] == "client_secret_basic"
        assert secret.json["client_secret_expires_at"] == 0
        kept = await world.store.client(secret.json["client_id"])
        assert kept is not None
        assert secret.json["client_secret"] not in repr(kept)
        backend = {"token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"], "jwks": KEYS}
        got = await world.send("/register", {**backend, "scope": "system/*.rs"})
        assert (got.json["scope"], got.json["response_types"]) == ("system/*.rs", [])
        refused: list[dict[str, Any]] = [
            {**backend, "jwks_uri": "https://app.example/jwks"},
            {**backend, "jwks": None},
            {**backend, "jwks": {"keys": []}},
            {**backend, "jwks": None, "jwks_uri": "http://localhost/jwks"},
            {**backend, "token_endpoint_auth_method": "client_secret_basic"},
            {**METADATA, "token_endpoint_auth_method": "client_secret_post"},
            {**METADATA, "grant_types": ["implicit"]},
            {**METADATA, "grant_types": []},
            {**METADATA, "response_types": ["token"]},
            {**METADATA, "client_name": "x" * 300},
            {**METADATA, "logo_uri": "javascript:alert(1)"},
            {**METADATA, "redirect_uris": APP},
        ]
        for each in refused:
            got = await world.send("/register", each)
            assert (got.status, got.error) == (400, "invalid_client_metadata"), each
        for body in (b"", b"[]", b"\xff\xfe", b'{"scope":' + b"[" * 50_000):
            assert (await world.call("POST", "/register", body=body, content_type="application/json")).status == 400

    serving(tmp_path, work, policy="approval")


def test_n02_redirects_that_could_leak_a_code_are_refused(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        for redirects in ([], ["http://app.example/"], [APP, "https://*.example/"], [APP] * 21):
            got = await world.send("/register", {**METADATA, "redirect_uris": redirects})
            assert (got.status, got.error) == (400, "invalid_redirect_uri")
        native = ["http://127.0.0.1:7777/back", "http://[::1]/back", "http://localhost:1/"]
        assert (await world.send("/register", {**METADATA, "redirect_uris": native})).status == 201

    serving(tmp_path, work, policy="approval")


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/",
        "https://app.example/#part",
        "https://*.example/",
        "https://user@app.example/",
        "https://user:word@app.example/",
        "https:///back",
        "https://",
        "//app.example/",
        "app:/back",
        "javascript:alert(1)",
        "https://app.example\\@evil.example/",
        "https://app.example/\n",
        "https://app.example/ x",
        "https://bücher.example/",
        "https://app.example:0/",
        "https://app.example:99999/",
        "https://[::1",
        "http://localhost.evil.example/",
        "https://app.example/" + "x" * 3000,
    ],
)
def test_n02_what_is_no_safe_url(url: str) -> None:
    assert not is_safe_url(url)


def test_only_so_many_apps_wait(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        acts = [world.store.put(Client(f"c{n}", "x", "none", (), is_approved=False)) for n in range(200)]
        await world.store.commit(*acts)
        got = await world.send("/register", METADATA)
        assert (got.status, got.error) == (429, "temporarily_unavailable")
        assert got.headers["retry-after"]

    serving(tmp_path, work, policy="approval")


@pytest.mark.parametrize("name", ["Growth\x1b[2J", "Bank\u202etrahC", "a\u0000b", "\u2066App", "A\u200bpp"])
def test_a_name_is_what_it_looks_like(tmp_path: Path, name: str) -> None:
    async def work(world: World) -> None:
        got = await world.send("/register", {**METADATA, "client_name": name})
        assert (got.status, got.error) == (400, "invalid_client_metadata")

    serving(tmp_path, work, policy="approval")
