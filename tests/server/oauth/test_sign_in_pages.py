"""Sign-in as a person walks through it: every step, wrong turns, and what a stranger can learn."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest

from server.smart.second_factors import Policy
from tests.server.oauth.walking import Browser, House, Seen, walk
from tests.server.smart.authenticator import Authenticator
from tests.server.smart.peopled import BY, PASSWORD


def _code(house: House, secret: str) -> str:
    return str(pyotp.TOTP(secret).at(house.clock.moment))


async def _enrolled(house: House, browser: Browser, page: Seen) -> tuple[str, Seen]:
    """Through the page of a first second factor; the secret, and the page of recovery codes."""
    secret = page.page.xpath("//code[@class='secret']")[0].text.replace(" ", "")
    codes = await browser.fill(page, "/oauth/enrol", having={"proof": "app"}, code=_code(house, secret))
    return secret, codes


def test_password_alone_where_no_second_factor_is_asked_for(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        account = await house.signed_in(browser)
        assert (account.status, account.path) == (200, "/oauth/account")
        assert "Anna Andersson" in account.text
        assert "weft-session" in browser.cookies

    walk(tmp_path, work)


def test_first_sign_in_leads_to_a_second_factor_and_the_next_asks_for_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        page = await house.signed_in(browser)
        assert page.path == "/oauth/enrol"
        assert "weft-session" not in browser.cookies
        secret, codes = await _enrolled(house, browser, page)
        assert len(codes.page.xpath("//ol[@class='codes']/li")) == 8
        assert (await browser.get(codes.page.xpath("//a[contains(@class, 'main')]/@href")[0])).path == "/oauth/account"

        other = house.browser()
        page = await house.signed_in(other)
        assert page.path == "/oauth/second-factor"
        assert "weft-session" not in other.cookies
        house.clock.move(seconds=30)
        account = await other.fill(page, "/oauth/second-factor", having={"proof": "app"}, code=_code(house, secret))
        assert account.path == "/oauth/account"
        assert house.told.events[-1].entities[0].reference == "pwd otp mfa"

    walk(tmp_path, work, Policy.CLINICAL)


def test_wrong_unknown_and_inactive_get_the_same_page(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        await house.user("off")
        await house.people.users.set_active(BY, "off", False)
        pages = []
        for login, password in (("anna", "wrong"), ("off", PASSWORD), ("nobody", PASSWORD)):
            browser = house.browser()
            page = await browser.fill(
                await browser.get("/oauth/sign-in"), "/oauth/sign-in", login=login, password=password
            )
            assert page.status == 400
            pages.append((page.text, page.page.xpath("//input/@name"), browser.cookies.keys()))
        assert pages[0] == pages[1] == pages[2]
        assert "User name or password is not right." in pages[0][0]

    walk(tmp_path, work)


def test_too_many_attempts_tell_how_long_to_wait(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser = house.browser()
        page = await browser.get("/oauth/sign-in")
        for _ in range(4):
            await browser.fill(page, "/oauth/sign-in", login="nobody", password="wrong")
        refused = await browser.fill(page, "/oauth/sign-in", login="nobody", password="wrong")
        assert (refused.status, refused.headers["retry-after"]) == (429, "2")
        assert "wait 2 s" in refused.alert()

    walk(tmp_path, work)


def test_a_session_never_has_a_cookie_that_was_there_before(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        planted = "p" * 43
        browser.cookies = {"weft-session": planted, "weft-visit": planted, "weft-form": planted}
        account = await house.signed_in(browser)
        assert account.path == "/oauth/account"
        assert planted not in (browser.cookies["weft-session"], browser.cookies.get("weft-visit"))
        first = browser.cookies["weft-session"]
        house.clock.move(seconds=5)
        await house.signed_in(browser, request=await house.request(prompts=("login",)))
        assert browser.cookies["weft-session"] != first
        assert await house.people.sessions.find(first) is None

    walk(tmp_path, work)


def test_a_temporary_password_is_changed_before_anything_else(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user(must_change=True)
        browser = house.browser()
        page = await house.signed_in(browser)
        assert page.path == "/oauth/new-password"
        for path in ("/oauth/account", "/oauth/enrol", "/oauth/second-factor"):
            assert (await browser.get(path)).path in ("/oauth/sign-in", "/oauth/new-password")
        differing = await browser.fill(page, "/oauth/new-password", password="four boats at dusk", again="five")
        assert "not the same" in differing.alert()
        weak = await browser.fill(page, "/oauth/new-password", password="qwerty123", again="qwerty123")
        assert "Everybody tries" in weak.alert()
        done = await browser.fill(
            page, "/oauth/new-password", password="four boats at dusk", again="four boats at dusk"
        )
        assert done.path == "/oauth/account"

    walk(tmp_path, work)


def test_a_replayed_code_is_refused_on_the_page(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        secret, _ = await _enrolled(house, browser, await house.signed_in(browser))
        other = house.browser()
        page = await house.signed_in(other)
        used = _code(house, secret)
        refused = await other.fill(page, "/oauth/second-factor", having={"proof": "app"}, code=used)
        assert refused.status == 400
        assert "A code works once" in refused.alert()
        assert "weft-session" not in other.cookies

    walk(tmp_path, work, Policy.CLINICAL)


def test_a_key_is_registered_and_signs_in(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        device = Authenticator("http://localhost", "localhost")
        browser = house.browser()
        page = await house.signed_in(browser)
        options = json.loads(page.page.xpath("//form[@data-ceremony='create']/@data-options")[0])
        codes = await browser.fill(
            page, "/oauth/enrol", having={"proof": "key"}, answer=device.created(options), name="blue"
        )
        assert "recovery codes" in codes.text
        other = house.browser()
        page = await house.signed_in(other)
        options = json.loads(page.page.xpath("//form[@data-ceremony='get']/@data-options")[0])
        answer = device.proved(options)
        account = await other.fill(page, "/oauth/second-factor", having={"proof": "key"}, answer=answer)
        assert "Security key: blue" in account.text

    walk(tmp_path, work, Policy.CLINICAL)


def test_a_recovery_code_stands_in_for_a_lost_phone(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        _, codes = await _enrolled(house, browser, await house.signed_in(browser))
        code = codes.page.xpath("//ol[@class='codes']//code")[0].text
        other = house.browser()
        page = await house.signed_in(other)
        account = await other.fill(page, "/oauth/second-factor", having={"proof": "recovery"}, code=code)
        assert "Recovery codes left: 7" in account.text

    walk(tmp_path, work, Policy.CLINICAL)


def test_steps_cannot_be_jumped_over(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        stranger = house.browser()
        for path in ("/oauth/account", "/oauth/second-factor", "/oauth/enrol", "/oauth/new-password"):
            assert (await stranger.get(path)).path == "/oauth/sign-in"
        browser = house.browser()
        await house.signed_in(browser)
        for path in ("/oauth/second-factor", "/oauth/new-password"):
            assert (await browser.get(path)).path == "/oauth/enrol"
        assert (await browser.get("/oauth/account")).path == "/oauth/sign-in"
        house.clock.move(minutes=11)
        late = await browser.get("/oauth/enrol")
        assert late.path == "/oauth/sign-in"
        assert "took too long" in late.alert()
        assert "weft-visit" not in browser.cookies

    walk(tmp_path, work, Policy.CLINICAL)


def test_sign_out_ends_the_session_and_everywhere_ends_all(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        one, other = house.browser(), house.browser()
        account = await house.signed_in(one)
        await house.signed_in(other)
        cookie = one.cookies["weft-session"]
        out = await one.fill(account, "/oauth/sign-out")
        assert (out.path, "weft-session" in one.cookies) == ("/oauth/signed-out", False)
        assert await house.people.sessions.find(cookie) is None
        assert (await other.get("/oauth/account")).path == "/oauth/account"
        account = await house.signed_in(one)
        await one.fill(account, "/oauth/sign-out", everywhere="yes")
        assert (await other.get("/oauth/account")).path == "/oauth/sign-in"
        assert house.told.texts[-1] == "110123 0 asked"

    walk(tmp_path, work)


def test_what_the_app_hints_at_is_used(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        request = await house.request(login_hint="anna", locales="fr zh-CN en")
        page = await house.browser().get(f"/oauth/sign-in?request={request}")
        assert page.page.get("lang") == "zh-CN"
        assert page.page.xpath("//input[@name='login']/@value") == ["anna"]
        assert "Growth Charts" in page.text

    walk(tmp_path, work)


@pytest.mark.parametrize("request_value", ["gone", "x" * 200, "a b", "../account", "%00", "//evil.example"])
def test_a_request_that_is_none_is_an_error_page_and_no_way_out(tmp_path: Path, request_value: str) -> None:
    async def work(house: House) -> None:
        for path in ("approve", "patients", "break-glass"):
            page = await house.browser().get(f"/oauth/{path}?{urlencode({'request': request_value})}")
            assert page.status == 404
            assert not page.location

    walk(tmp_path, work)
