"""The account page: what is shown, what can be taken back, and what asks for the password first."""

from __future__ import annotations

from pathlib import Path

import pyotp
from msgspec.structs import replace

from server.kernel.clock import DAY, micros
from server.smart.model import Approval, User
from server.smart.second_factors import Policy
from tests.server.oauth.walking import APP, Browser, House, Seen, walk
from tests.server.smart.peopled import PASSWORD

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


async def _at_home(house: House, login: str = "anna") -> tuple[Browser, Seen, User]:
    user = await house.user(login)
    browser = house.browser()
    return browser, await house.signed_in(browser, login), user


async def _approval(house: House, user: User, id: str = "a1", **more: object) -> Approval:
    await house.store.save(APP)
    now = micros(house.clock)
    facts = {"patient": "anna", "created": now, "expires": now + DAY, "last_used": now, **more}
    made = replace(Approval(id, "app", ("patient/Observation.rs", "offline_access"), user.id), **facts)
    await house.store.save(made)
    return made


async def _user(house: House, user: User) -> User:
    found = await house.store.user(user.id)
    assert found is not None
    return found


def test_apps_are_listed_in_plain_words_and_removed_at_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        await _approval(house, user)
        await _approval(house, user, "old", expires=micros(house.clock) - 1)
        page = await browser.get("/oauth/account")
        for words in ("Growth Charts", "Anna Berg", "See measurements and findings of this patient", "last used"):
            assert words in page.text
        assert len(page.page.xpath("//form[@action='/oauth/account/app']")) == 1
        done = await browser.fill(page, "/oauth/account/app")
        assert "Done." in done.text
        assert await house.store.approval("a1") is None
        assert "revoke" in [each.subtype for each in house.told.events]

    walk(tmp_path, work)


def test_nobody_takes_back_what_is_anothers(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        other, _, bo = await _at_home(house, "bo")
        await _approval(house, bo)
        await _approval(house, user, "mine")
        page = await browser.get("/oauth/account")
        await browser.fill(page, "/oauth/account/app", approval="a1")
        theirs = (await house.people.sessions.of(bo.id))[0]
        await browser.fill(page, "/oauth/account/session", session=theirs.id)
        assert await house.store.approval("a1") is not None
        assert (await other.get("/oauth/account")).path == "/oauth/account"

    walk(tmp_path, work)


def test_a_patient_who_may_not_be_seen_now_has_no_name_here(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, _, user = await _at_home(house)
        await _approval(house, user)
        house.ward.hidden = frozenset({"anna"})
        page = await browser.get("/oauth/account")
        assert "one you may not see now" in page.text
        assert "Anna Berg" not in page.text

    walk(tmp_path, work)


def test_another_session_is_ended_from_here(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, _, user = await _at_home(house)
        own = (await house.people.sessions.of(user.id))[0]
        other = house.browser()
        await house.signed_in(other)
        page = await browser.get("/oauth/account")
        there = next(each for each in await house.people.sessions.of(user.id) if each.id != own.id)
        await browser.fill(page, "/oauth/account/session", having={"session": there.id})
        assert (await other.get("/oauth/account")).path == "/oauth/sign-in"
        gone = await browser.fill(page, "/oauth/account/session", having={"session": own.id})
        assert gone.path == "/oauth/signed-out"

    walk(tmp_path, work)


def test_a_new_password_needs_the_present_one(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        new, action = "four boats at dusk", "/oauth/account/password"
        refused = await browser.fill(page, action, present="wrong", password=new, again=new)
        assert "present password is not right" in refused.alert()
        refused = await browser.fill(page, action, present=PASSWORD, password=new, again="other")
        assert "not the same" in refused.alert()
        refused = await browser.fill(page, action, present=PASSWORD, password="short", again="short")
        assert "Too short" in refused.alert()
        done = await browser.fill(page, action, present=PASSWORD, password=new, again=new)
        assert (done.path, "Done." in done.text) == ("/oauth/account?done=yes", True)
        assert (await _user(house, user)).password != user.password

    walk(tmp_path, work)


def test_guessing_the_present_password_is_slowed_down(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, _ = await _at_home(house)
        for _ in range(4):
            await browser.fill(page, "/oauth/account/factors", present="wrong", act="add")
        refused = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="add")
        assert refused.status == 429
        assert "wait" in refused.alert()

    walk(tmp_path, work)


def test_a_factor_is_added_only_after_the_password(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        assert (await browser.get("/oauth/account/enrol")).path == "/oauth/account"
        refused = await browser.fill(page, "/oauth/account/factors", present="wrong", act="add")
        assert "nothing was changed" in refused.alert()
        page = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="add")
        assert page.path == "/oauth/account/enrol"
        secret = page.page.xpath("//code[@class='secret']")[0].text.replace(" ", "")
        wrong = await browser.fill(page, "/oauth/account/enrol", having={"proof": "app"}, code="000000")
        assert "does not fit" in wrong.alert()
        code = str(pyotp.TOTP(secret).at(house.clock.moment))
        codes = await browser.fill(page, "/oauth/account/enrol", having={"proof": "app"}, code=code)
        assert len(codes.page.xpath("//ol[@class='codes']/li")) == 8
        assert ((await _user(house, user)).totp, len((await _user(house, user)).recovery)) == (secret, 8)
        assert (await browser.get("/oauth/account/enrol")).path == "/oauth/account"

    walk(tmp_path, work)


def test_factors_are_removed_but_for_the_last_that_is_needed(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        await house.people.users.change(user.id, lambda user: replace(user, totp=SECRET))
        house.people.factors.policy = Policy.CLINICAL
        kept = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="remove app")
        assert "this is the last one" in kept.alert()
        house.people.factors.policy = Policy.OFF
        done = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="remove app")
        assert "password alone" in done.text
        assert (await _user(house, user)).totp == ""
        assert house.told.events[-1].entities[0].detail == "second factor removed"

    walk(tmp_path, work)


def test_new_recovery_codes_are_shown_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page, user = await _at_home(house)
        none = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="codes")
        assert not none.page.xpath("//ol[@class='codes']")
        await house.people.users.change(user.id, lambda user: replace(user, totp=SECRET, recovery=("old",)))
        codes = await browser.fill(page, "/oauth/account/factors", present=PASSWORD, act="codes")
        assert len(codes.page.xpath("//ol[@class='codes']/li")) == 8
        assert "old" not in (await _user(house, user)).recovery
        assert not codes.page.xpath("//nav")

    walk(tmp_path, work)
