"""Introspection and revocation: smart checks I01 to I06, V01 to V04."""

from __future__ import annotations

from pathlib import Path

from server.smart.bearer import Bearer
from server.smart.model import Approval, Code, Token
from tests.server.oauth.authorizing import SITE, World, basic, serving

OFFLINE = "launch/patient patient/*.rs offline_access"


def test_i01_i02_i03_a_good_token_is_told_to_its_client(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(method="client_secret_basic")
        code = await world.code(await world.person(), scope=OFFLINE + " openid fhirUser")
        tokens = (await world.exchange(code, basic("app"), client_id=None)).json
        told = (await world.post("/introspect", {"token": tokens["access_token"]}, **basic("app"))).json
        assert (told["active"], told["client_id"], told["token_type"]) == (True, "app", "Bearer")
        assert told["exp"] == world.clock.seconds + 3600
        assert set(told["scope"].split()) == set(tokens["scope"].split())
        assert (told["patient"], told["iss"], told["sub"]) == ("p1", SITE.issuer, "u1")
        assert told["fhirUser"] == SITE.resource("Practitioner/12")
        refresh = (await world.post("/introspect", {"token": tokens["refresh_token"]}, **basic("app"))).json
        assert (refresh["active"], "token_type" in refresh) == (True, False)

    serving(tmp_path, work)


def test_i04_i05_who_may_not_know_hears_no_more_than_of_an_unknown_token(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("other", "client_secret_basic")
        await world.client("gateway", "client_secret_basic", scopes=("__introspect",), grants=("client_credentials",))
        tokens = await world.tokens_of(await world.person(), scope=OFFLINE)
        access = tokens["access_token"]
        for token in ("made-up", "x" * 600, access):
            got = await world.post("/introspect", {"token": token}, **basic("other"))
            assert (got.status, got.json) == (200, {"active": False})
        assert (await world.post("/introspect", {"token": access}, **basic("gateway"))).json["active"]
        form = {"grant_type": "client_credentials", "scope": "__introspect"}
        bearer = (await world.post("/token", form, **basic("gateway"))).json["access_token"]
        by_bearer = await world.post("/introspect", {"token": access}, authorization=f"Bearer {bearer}")
        assert by_bearer.json["active"]
        own = await world.post("/introspect", {"token": tokens["refresh_token"]}, authorization=f"Bearer {access}")
        assert own.json["active"]
        for header in ({}, {"authorization": "Bearer made-up"}, basic("other", "wrong")):
            got = await world.post(
                "/introspect", {"token": access, "client_id": "app"} if not header else {"token": access}, **header
            )
            assert got.status == 401
            assert got.headers["www-authenticate"]
        assert (await world.post("/introspect", {}, **basic("gateway"))).error == "invalid_request"

    serving(tmp_path, work)


def test_i06_v02_v04_a_revoked_token_is_dead_everywhere_at_once(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(method="client_secret_basic")
        person = await world.person()
        another_process = Bearer(world.store, world.clock)
        for name in ("access_token", "refresh_token"):
            code = await world.code(person, scope=OFFLINE)
            tokens = (await world.exchange(code, basic("app"), client_id=None)).json
            for bearer in (world.bearer, another_process):
                assert (await bearer.authenticate(tokens["access_token"])).approval.patient == "p1"
            assert (await world.post("/revoke", {"token": tokens[name]}, **basic("app"))).status == 200
            world.bearer, another_process = another_process, world.bearer
            assert not await world.is_good(tokens["access_token"])
            world.bearer, another_process = another_process, world.bearer
            assert not await world.is_good(tokens["access_token"])
            refused = await world.refresh(tokens["refresh_token"], basic("app"), client_id=None)
            assert (refused.status, refused.error) == (400, "invalid_grant")
            told = await world.post("/introspect", {"token": tokens["access_token"]}, **basic("app"))
            assert told.json == {"active": False}
        for kind in (Approval, Code, Token):
            assert not await world.store.every(kind)

    serving(tmp_path, work)


def test_v01_an_unknown_token_is_no_error_and_another_clients_stays(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("other")
        tokens = await world.tokens_of(await world.person(), scope=OFFLINE)
        unknown = await world.post("/revoke", {"token": "made-up", "client_id": "app", "token_type_hint": "odd"})
        assert (unknown.status, unknown.body) == (200, b"")
        foreign = await world.post("/revoke", {"token": tokens["access_token"], "client_id": "other"})
        assert (foreign.status, foreign.error) == (400, "invalid_grant")
        assert await world.is_good(tokens["access_token"])
        assert (await world.post("/revoke", {"token": "x"})).status == 401
        assert (await world.post("/revoke", {"client_id": "app"})).error == "invalid_request"
        own = await world.post("/revoke", {"token": tokens["refresh_token"], "client_id": "app"})
        assert own.status == 200
        assert not await world.is_good(tokens["access_token"])

    serving(tmp_path, work)


def test_v03_a_user_takes_an_approval_back(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        tokens = await world.tokens_of(person, scope=OFFLINE)
        (held,) = await world.store.find(Approval, "user", "u1")
        await world.approvals.revoke(held.value.id, user=person[0])
        assert not await world.is_good(tokens["access_token"])
        assert world.told.events[-1].subtype == "revoke"
        await world.approvals.revoke(held.value.id)
        tokens = await world.tokens_of(person, scope=OFFLINE)
        await world.approvals.end_client("app")
        assert not await world.is_good(tokens["access_token"])

    serving(tmp_path, work)
