"""Refreshing: smart checks F01 to F12, and what spent tokens come to."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.smart.model import Approval, Token
from tests.server.oauth.authorizing import World, basic, serving

OFFLINE = "launch/patient patient/*.rs offline_access"


def test_f02_to_f05_f10_a_refresh_may_narrow_but_never_widen(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        token = (await world.tokens_of(await world.person(), scope=OFFLINE))["refresh_token"]
        for wider in ("patient/*.cruds", "user/*.rs", "patient/*.rs unheard-of", "openid"):
            got = await world.refresh(token, scope=wider)
            assert (got.status, got.error) == (400, "invalid_scope")
        narrowed = await world.refresh(token, scope="patient/Observation.read patient/Patient.r")
        assert narrowed.json["scope"] == "patient/Observation.read patient/Patient.r"
        access = await world.bearer.authenticate(narrowed.json["access_token"])
        assert {next(iter(grant.resource_types or ())) for grant in access.actor.grants} == {"Observation", "Patient"}
        whole = await world.refresh(narrowed.json["refresh_token"])
        assert whole.json["scope"] == OFFLINE
        same = await world.refresh(whole.json["refresh_token"], scope=OFFLINE)
        assert same.json["scope"] == OFFLINE

    serving(tmp_path, work)


def test_f06_a_bad_refresh_token_is_refused(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("other")
        tokens = await world.tokens_of(await world.person(), scope=OFFLINE)
        for token, client in (
            ("made-up", "app"),
            ("made-up", None),
            (tokens["access_token"], "app"),
            (tokens["refresh_token"], "other"),
        ):
            got = await world.refresh(token, client_id=client)
            assert (got.status, got.error) == (400, "invalid_grant")
        assert (await world.refresh(tokens["refresh_token"])).status == 200

    serving(tmp_path, work)


def test_f08_a_public_client_may_leave_out_its_id_and_no_other_may(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("secret", "client_secret_basic")
        person = await world.person()
        token = (await world.tokens_of(person, scope=OFFLINE))["refresh_token"]
        assert (await world.refresh(token, client_id=None)).status == 200
        got = await world.exchange(
            await world.code(person, scope=OFFLINE, client_id="secret"), basic("secret"), client_id=None
        )
        refused = await world.refresh(got.json["refresh_token"], client_id=None)
        assert (refused.status, refused.error) == (401, "invalid_client")

    serving(tmp_path, work)


def test_f09_a_spent_refresh_token_is_answered_for_seconds_and_then_ends_all(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        first = await world.tokens_of(await world.person(), scope=OFFLINE)
        second = (await world.refresh(first["refresh_token"])).json
        world.clock.move(seconds=9)
        third = (await world.refresh(first["refresh_token"])).json
        assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
        world.clock.move(seconds=2)
        assert await world.is_good(third["access_token"])
        assert (await world.refresh(first["refresh_token"], client_id=None)).error == "invalid_grant"
        for each in (first, second, third):
            assert not await world.is_good(each["access_token"])
            assert (await world.refresh(each["refresh_token"])).error == "invalid_grant"
        assert not await world.store.every(Token)

    serving(tmp_path, work)


def test_f09_refreshes_at_once_all_get_an_answer(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        token = (await world.tokens_of(await world.person(), scope=OFFLINE))["refresh_token"]
        got = await asyncio.gather(*(world.refresh(token) for _ in range(3)))
        assert [each.status for each in got] == [200] * 3
        assert all([await world.is_good(each.json["access_token"]) for each in got])

    serving(tmp_path, work)


def test_f11_refreshing_has_an_absolute_end_no_sooner_than_three_months(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        tokens = await world.tokens_of(await world.person(), scope=OFFLINE)
        world.clock.move(days=100)
        tokens = (await world.refresh(tokens["refresh_token"])).json
        world.clock.move(days=79, hours=23, minutes=30)
        tokens = (await world.refresh(tokens["refresh_token"])).json
        assert tokens["expires_in"] <= 1800
        world.clock.move(minutes=31)
        assert (await world.refresh(tokens["refresh_token"])).error == "invalid_grant"
        assert not await world.is_good(tokens["access_token"])

    serving(tmp_path, work)


def test_f12_online_access_ends_with_the_session(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        online = await world.tokens_of(person, scope="patient/*.rs online_access")
        offline = await world.tokens_of(person, scope="patient/*.rs online_access offline_access")
        assert offline["scope"] == "patient/*.rs offline_access"
        online = (await world.refresh(online["refresh_token"])).json
        world.clock.move(minutes=20)
        assert (await world.refresh(online["refresh_token"])).error == "invalid_grant"
        await world.approvals.end_session(person[1].id)
        assert not await world.is_good(online["access_token"])
        assert (await world.refresh(offline["refresh_token"])).status == 200
        await world.approvals.end_user(person[0].id)
        assert not await world.store.every(Approval)

    serving(tmp_path, work)
