"""Sessions: how they end, and what ends with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from server.kernel.clock import HOUR, MINUTE
from server.smart.model import Approval, Session, User
from server.smart.sessions import Lifetimes
from tests.server.smart.peopled import BY, Peopled, peopled


async def _opened(here: Peopled, user: User) -> tuple[str, Session]:
    return await here.people.sessions.open(user, ("pwd",))


async def _left(here: Peopled, *approvals: Approval) -> list[bool]:
    return [await here.people.store.approval(each.id) is not None for each in approvals]


def test_use_prolongs_a_session_and_rest_ends_it(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        cookie, session = await _opened(here, await here.user())
        for _ in range(3):
            here.clock.move(minutes=14)
            assert await here.people.sessions.find(cookie) is not None
        assert await here.people.live.is_live(session.id)
        here.clock.move(minutes=15)
        assert not await here.people.live.is_live(session.id)
        assert await here.people.sessions.find(cookie) is None
        assert here.told.texts[-1] == "110123 0 inactivity"
        assert await here.people.store.session(session.id) is None

    peopled(tmp_path, work)


def test_a_session_ends_however_much_it_is_used(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        cookie, _ = await _opened(here, await here.user())
        for _ in range(11):
            here.clock.move(minutes=5)
            assert await here.people.sessions.find(cookie) is not None
        here.clock.move(minutes=5)
        assert await here.people.sessions.find(cookie) is None
        assert here.told.texts[-1] == "110123 0 time-out"

    peopled(tmp_path, work, lifetimes=Lifetimes(15 * MINUTE, HOUR))


def test_what_is_kept_opens_nothing(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        cookie, session = await _opened(here, await here.user())
        assert cookie not in str(session)
        for wrong in ("", session.id, cookie + "x", cookie[:-1], "\udcff"):
            assert await here.people.sessions.find(wrong) is None

    peopled(tmp_path, work)


def test_looking_often_writes_seldom(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        cookie, _ = await _opened(here, await here.user())
        before = await here.people.store.records.revision()
        for _ in range(5):
            here.clock.move(seconds=10)
            assert await here.people.sessions.find(cookie) is not None
        assert await here.people.store.records.revision() == before

    peopled(tmp_path, work)


def test_sign_out_ends_what_was_approved_in_the_session_but_for_offline_access(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        (cookie, session), (_, other) = await _opened(here, user), await _opened(here, user)
        online = await here.approved(user, session.id, "user/*.rs")
        offline = await here.approved(user, session.id, "user/*.rs", "offline_access")
        elsewhere = await here.approved(user, other.id, "user/*.rs", "online_access", "openid")
        await here.people.sessions.end(session)
        assert await _left(here, online, offline, elsewhere) == [False, True, True]
        assert await here.people.sessions.find(cookie) is None
        assert await here.people.live.is_live(other.id)

    peopled(tmp_path, work)


def test_sign_out_everywhere_ends_every_session_and_approval(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user, bo = await here.user(), await here.user("bo")
        (first, one), (second, _) = await _opened(here, user), await _opened(here, user)
        others, _ = await _opened(here, bo)
        offline = await here.approved(user, one.id, "user/*.rs", "offline_access")
        await here.people.sessions.end_everything(user.id)
        assert await _left(here, offline) == [False]
        assert await here.people.sessions.find(first) is None
        assert await here.people.sessions.find(second) is None
        assert await here.people.sessions.find(others) is not None

    peopled(tmp_path, work)


@pytest.mark.parametrize("how", ["deactivated", "dropped", "by hand"])
def test_a_session_dies_with_its_user(tmp_path: Path, how: str) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        cookie, _ = await _opened(here, user)
        if how == "deactivated":
            await here.people.users.set_active(BY, "anna", False)
        elif how == "dropped":
            await here.people.store.commit(here.people.store.delete(User, user.id))
        else:
            await here.people.users.change(user.id, lambda user: replace(user, is_active=False))
        assert await here.people.sessions.find(cookie) is None

    peopled(tmp_path, work)


def test_sweeping_ends_what_nobody_came_back_to(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        await _opened(here, user)
        here.clock.move(minutes=10)
        _, live = await _opened(here, user)
        here.clock.move(minutes=6)
        assert await here.people.sessions.sweep() == 1
        assert [each.id for each in await here.people.sessions.of(user.id)] == [live.id]
        assert await here.people.sessions.sweep() == 0
        assert here.told.texts.count("110123 0 inactivity") == 1

    peopled(tmp_path, work)
