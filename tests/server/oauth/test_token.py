"""The token endpoint: smart checks T01 to T16, and what codes come to."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from server.oauth import form
from server.smart.approving import Chosen
from server.smart.model import Approval, Token
from storage.query import EVERYTHING
from tests.server.oauth.authorizing import (
    CHALLENGE,
    ORIGIN,
    SECRET,
    SITE,
    VERIFIER,
    World,
    basic,
    proven,
    serving,
)

METHODS = ("none", "client_secret_basic", "private_key_jwt")
OFFLINE = "launch/patient patient/*.rs offline_access"


def own_proof(world: World, method: str, jti: str) -> dict[str, Any]:
    """How a client of this method proves itself, as arguments of a request."""
    if method == "client_secret_basic":
        return {"headers": basic("app"), "client_id": None}
    return proven(world.clock, "app", jti) if method == "private_key_jwt" else {}


@pytest.mark.parametrize("method", METHODS)
def test_t01_t02_t04_t14_f01_f03_f07_each_kind_of_client_exchanges_and_refreshes(tmp_path: Path, method: str) -> None:
    async def work(world: World) -> None:
        await world.client(method=method)
        code = await world.code(await world.person(), scope=OFFLINE)
        got = await world.exchange(code, **own_proof(world, method, "1"))
        refreshed = await world.refresh(got.json["refresh_token"], **own_proof(world, method, "2"))
        for each in (got, refreshed):
            assert each.status == 200
            assert (each.headers["cache-control"], each.headers["pragma"]) == ("no-store", "no-cache")
            assert each.json["token_type"] == "Bearer"
            assert 0 < each.json["expires_in"] <= 3600
            assert each.json["scope"] == OFFLINE
            assert each.json["patient"] == "p1"
            assert await world.is_good(each.json["access_token"])
        assert refreshed.json["refresh_token"] != got.json["refresh_token"]

    serving(tmp_path, work)


def test_t03_t15_openid_gives_an_id_token_and_no_offline_scope_no_refresh_token(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        tokens = await world.tokens_of(await world.person(), scope="openid fhirUser patient/*.rs", nonce="n-1")
        assert tokens["id_token"] == f"{SITE.issuer} u1 n-1"
        assert "refresh_token" not in tokens
        assert not await world.store.find(Token, "approval", "nothing")

    serving(tmp_path, work)


def test_a12_a_code_is_good_once_and_for_a_minute(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        code = await world.code(person, scope=OFFLINE)
        tokens = (await world.exchange(code)).json
        assert await world.is_good(tokens["access_token"])
        again = await world.exchange(code)
        assert (again.status, again.error) == (400, "invalid_grant")
        assert not await world.is_good(tokens["access_token"])
        assert (await world.refresh(tokens["refresh_token"])).error == "invalid_grant"
        assert world.told.events[-2].outcome == 8
        late = await world.code(person)
        world.clock.move(seconds=61)
        assert (await world.exchange(late)).error == "invalid_grant"

    serving(tmp_path, work)


def test_a12_two_exchanges_of_one_code_at_once_give_no_tokens_that_last(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        code = await world.code(await world.person())
        got = await asyncio.gather(*(world.exchange(code) for _ in range(5)))
        assert sorted(each.status for each in got)[1:] == [400] * 4
        for each in got:
            assert each.status == 400 or not await world.is_good(each.json["access_token"])
        assert not await world.store.every(Approval)

    serving(tmp_path, work)


REFUSED: dict[str, dict[str, str | None]] = {
    "t07 wrong code": {"code": "made-up"},
    "t07 no code": {"code": None},
    "t08 wrong client": {"client_id": "nobody"},
    "t08 no client": {"client_id": None},
    "t11 another client": {"client_id": "other"},
    "t09 no verifier": {"code_verifier": None},
    "t09 blank": {"code_verifier": ""},
    "t09 wrong": {"code_verifier": VERIFIER[::-1]},
    "t09 the challenge itself": {"code_verifier": CHALLENGE},
    "t09 not ascii": {"code_verifier": "密" * 50},
    "t10 another redirect": {"redirect_uri": ORIGIN},
    "t10 no redirect": {"redirect_uri": None},
    "b01 unknown grant": {"grant_type": "password"},
    "b01 odd grant": {"grant_type": '密码"\\'},
    "no grant": {"grant_type": None},
    "secret in the body": {"client_secret": SECRET},
    "public client by itself": {"grant_type": "client_credentials", "scope": "patient/*.rs"},
}


def test_t07_to_t11_what_is_wrong_is_refused_and_the_code_stays_good(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("other")
        code = await world.code(await world.person())
        for name, changes in REFUSED.items():
            got = await world.exchange(**{"code": code, **changes})
            assert got.status in (400, 401), name
            assert got.error in (
                "invalid_grant",
                "invalid_client",
                "invalid_request",
                "unsupported_grant_type",
                "unauthorized_client",
            ), name
            assert set(got.json) == {"error", "error_description"}
            told = got.body.decode()
            told, own = got.body.decode(), (code, SECRET, VERIFIER, VERIFIER[::-1], CHALLENGE, "密")
            assert not [each for each in own if each in told], name
        t10 = await world.exchange(code, redirect_uri=ORIGIN)
        t11 = await world.exchange(code, client_id="other")
        assert (t10.error, t11.error) == ("invalid_grant", "invalid_grant")
        assert (await world.exchange(code)).status == 200

    serving(tmp_path, work)


def test_t16_a_body_that_is_no_form_is_refused(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        got = await world.send("/token", {"grant_type": "client_credentials"})
        assert (got.status, got.error) == (400, "invalid_request")
        repeated = await world.post("/token", [("grant_type", "refresh_token"), ("grant_type", "refresh_token")])
        assert (repeated.status, repeated.error) == (400, "invalid_request")
        too_much = await world.post("/token", {"code": "x" * (1 << 17)})
        assert too_much.status == 413

    serving(tmp_path, work)


def test_t12_basic_decodes_what_was_form_encoded(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client("an app:1", "client_secret_basic")
        code = await world.code(await world.person(), client_id="an app:1")
        assert (await world.exchange(code, basic("an app:1"), client_id="an app:1")).status == 200

    serving(tmp_path, work)


def test_t13_who_must_prove_itself_hears_how_but_no_browser_asks_for_a_password(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client("public")
        await world.client("secret", "client_secret_basic")
        await world.client("key", "private_key_jwt")
        await world.client("waiting", "client_secret_basic", is_approved=False)
        wrong = {
            "unknown": basic("nobody"),
            "wrong secret": basic("secret", "wrong"),
            "empty secret": basic("secret", ""),
            "waiting": basic("waiting"),
            "public with a secret": basic("public"),
            "by key with a secret": basic("key"),
            "no base64": {"authorization": "Basic %%%"},
            "no utf-8": {"authorization": "Basic /////w=="},
            "no colon": {"authorization": "Basic YWJj"},
            "another scheme": {"authorization": "Negotiate abc"},
        }
        answers = set()
        for name, header in wrong.items():
            got = await world.exchange("code", header, client_id=None)
            assert (got.status, got.error) == (401, "invalid_client"), name
            assert got.headers["www-authenticate"].startswith("Basic "), name
            answers.add(got.body)
        assert len(answers) == 1
        for client in ("secret", "nobody"):
            assert (await world.exchange("code", client_id=client)).headers["www-authenticate"].startswith("Basic ")
            scripted = await world.exchange("code", {"origin": ORIGIN}, client_id=client)
            assert scripted.headers["www-authenticate"].startswith("Bearer ")
        public = await world.exchange("code", client_id="public")
        assert (public.status, "www-authenticate" in public.headers) == (400, False)
        both = await world.exchange("code", basic("secret"), client_id=None, **proven(world.clock, "key", "1"))
        assert both.error == "invalid_request"
        assert (await world.exchange("code", basic("secret"), client_id="public")).error == "invalid_request"

    serving(tmp_path, work)


def test_t05_t06_pages_of_registered_origins_may_ask(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        for origin, allowed in ((ORIGIN, True), ("https://evil.example", False)):
            for got in (
                await world.exchange("wrong", {"origin": origin}),
                await world.refresh("wrong", {"origin": origin}),
            ):
                assert (got.headers.get("access-control-allow-origin") == origin) is allowed
            asked = {"origin": origin, "access_control_request_method": "POST"}
            preflight = await world.call("OPTIONS", "/token", **asked)
            assert preflight.status == (204 if allowed else 403)
            if allowed:
                assert "POST" in preflight.headers["access-control-allow-methods"]
                named = preflight.headers["access-control-allow-headers"].lower()
                assert "authorization" in named
                assert "content-type" in named

    serving(tmp_path, work)


def test_a_client_or_user_that_may_no_longer_act_opens_nothing(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        client = await world.client()
        user, session = await world.person()
        tokens = await world.tokens_of((user, session), scope=OFFLINE)
        for fields in ({"is_active": False},):
            await world.store.save(type(user)(**{**fields_of(user), **fields}))
            assert not await world.is_good(tokens["access_token"])
            assert (await world.refresh(tokens["refresh_token"])).error == "invalid_grant"
            await world.store.save(user)
        assert await world.is_good(tokens["access_token"])
        await world.store.save(type(client)(**{**fields_of(client), "is_approved": False}))
        assert not await world.is_good(tokens["access_token"])
        assert (await world.refresh(tokens["refresh_token"])).error == "invalid_client"

    serving(tmp_path, work)


def test_s15_no_code_or_token_comes_into_log_or_audit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        code = await world.code(person, scope=OFFLINE)
        tokens = (await world.exchange(code)).json
        tokens2 = (await world.refresh(tokens["refresh_token"])).json
        secrets = [
            code,
            VERIFIER,
            *(each[name] for each in (tokens, tokens2) for name in ("access_token", "refresh_token")),
        ]
        told = caplog.text + repr(world.told.events)
        assert not [each for each in secrets if each in told]
        kinds = ["smart-code", "smart-token", "smart-approval", "smart-request"]
        kept = [await world.store.records.find(kind, EVERYTHING, limit=100) for kind in kinds]
        assert not [each for each in secrets if each in repr(kept)]

    with caplog.at_level(logging.DEBUG):
        serving(tmp_path, work)


def test_n04_an_app_limited_to_patients_reaches_no_others_with_a_users_scopes(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(patients=("p1", "p3"))
        tokens = await world.tokens_of(await world.person(), Chosen("p1"), scope="user/*.rs patient/*.rs")
        actor = (await world.bearer.authenticate(tokens["access_token"])).actor
        assert {grant.patient for grant in actor.grants} == {"p1", "p3"}
        assert actor.own_patients == {"p1", "p3"}

    serving(tmp_path, work)


def fields_of(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_refusals_are_told_of_each_time_to_clients_and_once_a_minute_to_strangers(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(method="client_secret_basic")
        for _ in range(3):
            await world.exchange("made-up", basic("app"), client_id=None)
        assert [event.client for event in world.told.events] == ["app"] * 3
        for _ in range(5):
            await world.exchange("made-up", client_id="nobody")
        assert [event.outcome_text for event in world.told.events[3:]] == ["invalid_client"]
        world.clock.move(minutes=2)
        await world.exchange("made-up", client_id="nobody")
        counted, last = world.told.events[4:]
        assert "4 more requests" in counted.entities[-1].detail
        assert last.peer == "192.0.2.7"

    serving(tmp_path, work)


def test_who_sends_a_body_too_slowly_holds_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(world: World) -> None:
        monkeypatch.setattr(form, "_SECONDS", 0.01)
        world.is_slow = True
        for path, kind in (("/token", "application/x-www-form-urlencoded"), ("/register", "application/json")):
            got = await world.call("POST", path, content_type=kind)
            assert (got.status, got.error, got.headers["connection"]) == (400, "invalid_request", "close")

    serving(tmp_path, work)
