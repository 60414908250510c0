"""Users as administrators and the users themselves change them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from server.kernel.problem import Kind, Problem
from server.smart.model import User
from server.smart.recording import Caller
from server.smart.sign_in import Entered, Halfway, Step
from tests.server.smart.peopled import BY, CALLER, PASSWORD, Peopled, peopled


async def _code_of(here: Peopled, user: User, password: str) -> str | None:
    with pytest.raises(Problem) as caught:
        await here.people.users.set_password(BY, user, password)
    assert caught.value.kind is Kind.INVALID
    return caught.value.issues[0].code


def test_a_login_is_taken_once_however_it_is_cased(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        outcomes = await asyncio.gather(here.user("anna"), here.user("Anna"), return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, Problem)]
        assert [each.kind for each in refused] == [Kind.CONFLICT]

    peopled(tmp_path, work)


@pytest.mark.parametrize("login", ["", " ", " anna", "anna\n", "a" * 65, "an\x00na", "an\u202ena"])
def test_a_login_can_be_typed(tmp_path: Path, login: str) -> None:
    async def work(here: Peopled) -> None:
        with pytest.raises(Problem) as caught:
            await here.user(login)
        assert caught.value.kind is Kind.INVALID

    peopled(tmp_path, work)


def test_only_roles_that_people_have(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        for roles in (("server",), ("nurse", "system"), ("king",)):
            with pytest.raises(Problem):
                await here.user(roles=roles)
        await here.user()
        with pytest.raises(Problem):
            await here.people.users.set_roles(BY, "anna", ["server"])

    peopled(tmp_path, work)


def test_new_roles_end_what_the_old_ones_opened(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        entered = await here.people.sign_in.begin("anna", PASSWORD, CALLER) if await here.user() else None
        assert isinstance(entered, Entered)
        user = await here.people.users.set_roles(BY, "anna", ["auditor"])
        assert user.roles == ("auditor",)
        assert await here.people.sessions.find(entered.cookie) is None
        assert [each.subtype for each in here.told.events[-2:]] == ["110136", "110123"]

    peopled(tmp_path, work)


def test_a_reset_password_works_once_and_must_be_changed(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        await here.people.users.change(user.id, lambda user: replace(user, totp="A" * 32))
        once = await here.people.users.reset(BY, "anna", keeps_factors=False)
        assert once not in str(here.told.events)
        with pytest.raises(Problem):
            await here.people.sign_in.begin("anna", PASSWORD, CALLER)
        step = await here.people.sign_in.begin("anna", once, CALLER)
        assert isinstance(step, Halfway)
        assert step.step is Step.RENEWAL
        assert isinstance(await here.people.sign_in.new_password(step, "four boats at dusk", CALLER), Entered)
        with pytest.raises(Problem):
            await here.people.sign_in.begin("anna", once, CALLER)

    peopled(tmp_path, work)


def test_a_reset_may_keep_the_second_factor(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        await here.people.users.change(user.id, lambda user: replace(user, totp="A" * 32))
        step = await here.people.sign_in.begin("anna", await here.people.users.reset(BY, "anna"), CALLER)
        assert isinstance(step, Halfway)
        assert step.step is Step.FACTOR

    peopled(tmp_path, work)


def test_a_new_password_ends_the_other_sessions(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        steps = [await here.people.sign_in.begin("anna", PASSWORD, Caller()) for _ in range(2)]
        here_, there = (each for each in steps if isinstance(each, Entered))
        await here.people.users.set_password(BY, user, "four boats at dusk", here_.session.id)
        assert await here.people.sessions.find(here_.cookie) is not None
        assert await here.people.sessions.find(there.cookie) is None

    peopled(tmp_path, work)


def test_a_new_password_is_new_and_not_weak(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()
        assert await _code_of(here, user, PASSWORD) == "same"
        assert await _code_of(here, user, "short") == "short"
        assert await _code_of(here, user, "x" * 129) == "long"
        assert await _code_of(here, user, "qwerty123") == "common"

    peopled(tmp_path, work)


def test_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    async def work(here: Peopled) -> None:
        user = await here.user()

        def counted(user: User) -> User:
            return replace(user, totp_step=user.totp_step + 1)

        await asyncio.gather(*(here.people.users.change(user.id, counted) for _ in range(4)))
        assert (await here.now(user)).totp_step == 4

    peopled(tmp_path, work)
