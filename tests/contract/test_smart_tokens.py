"""Codes, refresh tokens and revocation with two processes over the same records, on every store."""

from __future__ import annotations

import asyncio

from server.smart.model import Approval
from server.smart.stores import SmartStore
from tests.contract.conftest import Archive
from tests.server.oauth.authorizing import World
from tests.server.smart.keeping import HeldClock, Kept

OFFLINE = "launch/patient patient/*.rs offline_access"


def worlds(archive: Archive) -> tuple[World, World]:
    clock = HeldClock()
    one, other = (World(Kept(SmartStore(archive.open()), clock, archive.threads)) for _ in range(2))
    return one, other


def test_of_exchanges_of_one_code_in_two_processes_none_lasts(archive: Archive) -> None:
    async def work(one: World, other: World) -> None:
        await one.client()
        code = await one.code(await one.person())
        got = await asyncio.gather(*(world.exchange(code) for world in (one, other, one, other)))
        assert sorted(each.status for each in got)[1:] == [400] * 3
        assert not await one.store.every(Approval)
        for each in got:
            assert each.status == 400 or not await other.is_good(each.json["access_token"])

    archive.run(work(*worlds(archive)))


def test_refresh_and_revocation_count_in_the_other_process(archive: Archive) -> None:
    async def work(one: World, other: World) -> None:
        await one.client()
        tokens = await one.tokens_of(await one.person(), scope=OFFLINE)
        assert await other.is_good(tokens["access_token"])
        got = await asyncio.gather(*(world.refresh(tokens["refresh_token"]) for world in (one, other)))
        assert [each.status for each in got] == [200, 200]
        one.clock.move(seconds=11)
        assert (await other.refresh(tokens["refresh_token"])).error == "invalid_grant"
        one.clock.move(seconds=1)
        for each in got:
            for world in (one, other):
                assert not await world.is_good(each.json["access_token"])
                assert (await world.refresh(each.json["refresh_token"])).error == "invalid_grant"

    archive.run(work(*worlds(archive)))
