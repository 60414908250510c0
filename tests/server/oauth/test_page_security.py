"""What every page promises a browser: its policy, its cookies, and forms that only our own pages can have filled in."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.oauth import static_files
from server.oauth.csrf import FormTokens
from server.oauth.words import LANGUAGES
from server.smart.second_factors import Policy
from tests.server.oauth.walking import Browser, House, Seen, walk
from tests.server.smart.keeping import HeldClock
from tests.server.smart.peopled import PASSWORD

POSTS = (
    "/sign-in", "/second-factor", "/new-password", "/enrol", "/sign-out", "/approve", "/patients", "/break-glass",
    "/account/app", "/account/session", "/account/password", "/account/factors", "/account/enrol",
)  # fmt: skip


def _policy(seen: Seen) -> dict[str, str]:
    parts = (each.strip().partition(" ") for each in seen.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


async def _pages(house: House, browser: Browser) -> list[Seen]:
    """One of each kind that can be had without much ado."""
    await house.user()
    request = await house.request()
    pages = [
        await browser.get("/oauth/start"),
        await browser.get("/oauth/sign-in"),
        await browser.get("/oauth/signed-out"),
    ]
    pages += [await house.signed_in(browser, request=request), await browser.get("/oauth/account")]
    page = await browser.get(f"/oauth/patients?request={request}")
    pages += [page, await browser.fill(page, "/oauth/patients", text="nobody")]
    pages += [await browser.fill(page, "/oauth/patients", patient="anna")]
    pages += [
        await browser.get(f"/oauth/break-glass?request={request}"),
        await browser.get("/oauth/approve?request=no"),
    ]
    return [*pages, await browser.get("/oauth/none"), await browser.post("/oauth/sign-in", [])]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_closed_to_others(tmp_path: Path, language: str) -> None:
    async def work(house: House) -> None:
        for seen in await _pages(house, house.browser("https://weft.example", language)):
            policy = _policy(seen)
            assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
            assert policy["style-src"] == "'self'"
            assert "script-src" not in policy
            assert policy["form-action"].startswith("'self'")
            assert seen.headers["cache-control"] == "no-store"
            assert seen.headers["referrer-policy"] == "no-referrer"
            assert seen.headers["x-frame-options"] == "DENY"
            assert seen.headers["x-content-type-options"] == "nosniff"
            assert seen.headers["strict-transport-security"].startswith("max-age=")
            assert seen.headers["content-type"] == "text/html; charset=utf-8"

    walk(tmp_path, work)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_sound_and_takes_nothing_from_elsewhere(tmp_path: Path, language: str) -> None:
    async def work(house: House) -> None:
        for seen in await _pages(house, house.browser("https://weft.example", language)):
            page = seen.page
            assert page.get("lang") == ("zh-CN" if language == "zh" else "en")
            assert len(page.xpath("//h1")) == 1
            assert len(page.xpath("//main")) == 1
            assert page.xpath("//meta[@name='viewport']")
            assert not page.xpath("//@style | //style | //@onclick | //@onload")
            sources = [*page.xpath("//link[@rel='stylesheet']/@href"), *page.xpath("//script/@src | //img/@src")]
            assert all(each.startswith("/oauth/static/") for each in sources)
            for field in page.xpath("//input[not(@type='hidden') and not(@hidden)] | //textarea"):
                assert page.xpath(f"//label[@for='{field.get('id')}']"), field.get("name")
            ids = page.xpath("//@id")
            assert len(ids) == len(set(ids))
            named = " ".join(page.xpath("//@aria-describedby | //@aria-labelledby")).split()
            assert set(named) <= set(ids)
            assert all(each.text_content().strip() for each in page.xpath("//button | //a | //label | //h2"))

    walk(tmp_path, work)


def test_a_script_runs_only_where_keys_need_it_and_by_its_nonce(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        first, second = [await house.signed_in(house.browser()) for _ in range(2)]
        for seen in (first, second):
            (script,) = seen.page.xpath("//script")
            assert script.get("src").startswith("/oauth/static/keys.")
            assert _policy(seen)["script-src"] == f"'nonce-{script.get('nonce')}'"
        assert _policy(first)["script-src"] != _policy(second)["script-src"]
        bare = await house.signed_in(house.browser("http://127.0.0.1:8080"))
        assert not bare.page.xpath("//script | //form[@data-ceremony]")

    walk(tmp_path, work, Policy.CLINICAL)


def test_cookies_are_bound_to_the_host_wherever_there_is_https(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        safe, local = house.browser("https://weft.example"), house.browser("http://localhost:8080")
        for browser, prefix in ((safe, "__Host-weft-"), (local, "weft-")):
            account = await house.signed_in(browser)
            await browser.get("/oauth/account?lang=zh")
            await browser.fill(account, "/oauth/sign-out")
            assert {each.partition("=")[0] for each in browser.set} == {
                f"{prefix}{name}" for name in ("form", "session", "visit", "language", "device")
            }
            for header in browser.set:
                assert "; Path=/; HttpOnly; SameSite=Lax" in header
                assert ("; Secure" in header) == (browser is safe)
                assert "Domain" not in header
            lasting = [each for each in browser.set if "Max-Age" in each and "Max-Age=0" not in each]
            assert all(each.startswith((f"{prefix}language=zh", f"{prefix}device=")) for each in lasting)

    walk(tmp_path, work)


def test_a_cookie_for_plain_http_opens_nothing_over_https(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        await house.signed_in(browser)
        other = house.browser("https://weft.example")
        other.cookies = dict(browser.cookies)
        assert (await other.get("/oauth/account")).path == "/oauth/sign-in"

    walk(tmp_path, work)


@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_its_token_is_refused(tmp_path: Path, path: str) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        account = await house.signed_in(browser)
        stranger = house.browser()
        theirs = (await stranger.get("/oauth/sign-in")).fields("/oauth/sign-in")[0]
        for pairs in ([], [("form_token", "")], [("form_token", "x" * 600)], [theirs]):
            refused = await browser.post(f"/oauth{path}", [*pairs, ("request", "r" * 43)])
            assert refused.status == 403
            assert "did not come from this page" in refused.text
        own = account.fields("/oauth/sign-out")[0]
        crossed = await browser.post(f"/oauth{path}", [own], sec_fetch_site="cross-site")
        assert crossed.status == 403
        assert (await browser.post(f"/oauth{path}", [own, own])).status == 400

    walk(tmp_path, work)


def test_a_form_of_before_the_sign_in_is_worth_nothing_after_it(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        before = await browser.get("/oauth/sign-in")
        account = await browser.fill(before, "/oauth/sign-in", login="anna", password=PASSWORD)
        assert account.path == "/oauth/account"
        assert (await browser.post("/oauth/sign-out", before.fields("/oauth/sign-in"))).status == 403

    walk(tmp_path, work)


def test_forms_are_bounded_and_of_one_kind(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser = house.browser()
        assert (await browser.post("/oauth/sign-in", [("login", "x" * 70_000)])).status == 413
        assert (await browser.post("/oauth/sign-in", [], content_type="application/json")).status == 415
        assert (await browser.post("/oauth/sign-in", [("a", "b")] * 500)).status == 400

    walk(tmp_path, work)


def test_tokens_differ_each_time_and_end() -> None:
    clock = HeldClock()
    tokens = FormTokens(b"s" * 32, clock)
    first, second = tokens.new("session a"), tokens.new("session a")
    assert first != second
    assert tokens.is_own(first, "session a")
    assert not tokens.is_own(first, "session b")
    assert not tokens.is_own(first, "")
    assert not FormTokens(b"t" * 32, clock).is_own(first, "session a")
    assert "session" not in first
    clock.move(hours=12)
    assert not tokens.is_own(first, "session a")


@pytest.mark.parametrize("token", ["", ".", "a.b", "WzFd.x", "\x00", "é", "[]"])
def test_whatever_is_sent_as_a_token_is_none(token: str) -> None:
    assert not FormTokens(b"s" * 32, HeldClock()).is_own(token, "session a")


def test_style_and_script_are_kept_by_browsers_under_names_of_their_content(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser = house.browser()
        for name, kept in static_files.files().items():
            seen = await browser.get(f"/oauth/static/{name}")
            assert (seen.status, seen.headers["content-type"]) == (200, kept.media_type)
            assert "immutable" in seen.headers["cache-control"]
        for name in ("pages.css", "..%2fpage.py", "none"):
            assert (await browser.get(f"/oauth/static/{name}")).status == 404

    walk(tmp_path, work)


def test_what_a_person_typed_comes_back_as_text(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser, bad = house.browser(), "\"'><script>alert(1)</script>"
        page = await browser.fill(await browser.get("/oauth/sign-in"), "/oauth/sign-in", login=bad, password="x")
        assert page.page.xpath("//input[@name='login']/@value") == [bad]
        assert b"<script>" not in page.body
        page = await house.signed_in(browser, request=await house.request())
        page = await browser.fill(page, "/oauth/patients", text=bad)
        assert b"<script>" not in page.body
        glass = await browser.get(f"/oauth/break-glass?request={'r' * 43}")
        assert b"<script>" not in (await browser.fill(glass, "/oauth/break-glass", reason=bad)).body

    walk(tmp_path, work)


@pytest.mark.parametrize("between", [",", ", ", "%2C"])
def test_no_cookie_of_another_name_holds_one_of_ours(tmp_path: Path, between: str) -> None:
    """A host beside this one may set cookies for both, but none whose name begins with `__Host-`."""

    async def work(house: House) -> None:
        await house.user()
        browser = house.browser("https://weft.example")
        await house.signed_in(browser)
        cookie = f"__Host-weft-session={browser.cookies['__Host-weft-session']}"
        other = house.browser("https://weft.example")
        assert (await other.get("/oauth/account", cookie=f"theme=dark{between}{cookie}")).path == "/oauth/sign-in"
        assert (await other.get("/oauth/account", cookie=f"theme=dark; {cookie}")).path == "/oauth/account"

    walk(tmp_path, work)
