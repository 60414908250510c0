"""Clients that act for themselves: smart checks B01 to B06, K02, K03 and K05 at the endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.oauth.authorizing import World, proven, serving
from tests.server.smart.keeping import rsa_key


@pytest.mark.parametrize("key", [None, rsa_key])
def test_b02_b03_b04_a_backend_service_gets_a_short_token_of_its_own(
    tmp_path: Path, key: Callable[[], Any] | None
) -> None:
    async def work(world: World) -> None:
        await backend(world)
        form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
        got = await world.post("/token", {**form, **proven(world.clock, "etl", "1", key and key())})
        assert got.status == 200
        assert set(got.json) == {"access_token", "token_type", "expires_in", "scope"}
        assert (got.json["token_type"], got.json["expires_in"], got.json["scope"]) == ("Bearer", 300, "system/*.rs")
        access = await world.bearer.authenticate(got.json["access_token"])
        assert (access.actor.client, access.actor.user, access.purpose) == ("etl", "", "HRESCH")
        assert access.actor.roles == {"system"}
        world.clock.move(minutes=5)
        assert not await world.is_good(got.json["access_token"])

    serving(tmp_path, work)


def test_k02_k03_k05_gi13_an_assertion_is_good_once_as_what_it_is_and_for_its_client(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await backend(world)
        form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
        good = proven(world.clock, "etl", "1")
        wrong = [
            {**good, "client_assertion_type": "urn:other"},
            {"client_assertion_type": good["client_assertion_type"]},
            {**good, "client_assertion": "not.a.jwt"},
            {**good, "client_assertion": good["client_assertion"][:-8] + "AAAAAAAA"},
            proven(world.clock, "nobody", "2"),
        ]
        for each in wrong:
            got = await world.post("/token", {**form, **each})
            assert (got.status, got.error) == (401, "invalid_client")
        assert (await world.post("/token", {**form, **good, "client_id": "other"})).error == "invalid_request"
        assert (await world.post("/token", {**form, **good})).status == 200
        assert (await world.post("/token", {**form, **good})).error == "invalid_client"
        assert not await world.is_good(proven(world.clock, "etl", "3")["client_assertion"])

    serving(tmp_path, work)


def test_b01_b05_b06_a_backend_service_gets_no_more_than_agreed(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await backend(world, scopes=("system/Observation.rs", "patient/*.rs"))
        asked = {
            "system/*.rs": "system/Observation.rs",
            "system/Observation.cruds": "system/Observation.rs",
            "system/Observation.r system/Patient.r": "system/Observation.r",
            "patient/*.rs": None,
            "user/*.rs": None,
            "": None,
        }
        for number, (scope, granted) in enumerate(asked.items()):
            form = {"grant_type": "client_credentials", "scope": scope, **proven(world.clock, "etl", f"{number}")}
            got = await world.post("/token", form)
            if granted is None:
                assert (got.status, got.error) == (400, "invalid_scope")
            else:
                assert got.json["scope"] == granted
        other = {"grant_type": "authorization_code", "code": "x", **proven(world.clock, "etl", "last")}
        assert (await world.post("/token", other)).error == "unauthorized_client"

    serving(tmp_path, work)


def test_no_registration_gives_emergency_access(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await backend(world, purpose="BTG")
        form = {"grant_type": "client_credentials", "scope": "system/*.rs", **proven(world.clock, "etl", "1")}
        token = (await world.post("/token", form)).json["access_token"]
        assert (await world.bearer.authenticate(token)).purpose == ""

    serving(tmp_path, work)


async def backend(world: World, scopes: tuple[str, ...] = ("system/*.rs",), purpose: str = "HRESCH") -> None:
    grants = ("client_credentials",)
    await world.client("etl", "private_key_jwt", scopes=scopes, grants=grants, redirects=(), purpose=purpose)
