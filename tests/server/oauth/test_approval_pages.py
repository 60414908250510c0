"""From a signed-in user to the app: who is picked, what stays ticked, and what an emergency changes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from server.kernel.clock import micros
from server.smart.model import Approval, Launch
from tests.server.oauth.walking import APP, SCOPES, Browser, House, Seen, walk

OBSERVATION = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION = "patient/Condition.rs?category=http://terminology.hl7.org/CodeSystem/condition-category"


async def _picking(house: House, **more: object) -> tuple[Browser, Seen]:
    """A nurse before the patient picker."""
    await house.user()
    browser = house.browser()
    page = await house.signed_in(browser, request=await house.request(**more))
    assert page.path == f"/oauth/patients?request={'r' * 43}"
    return browser, page


async def _asked(house: House, **more: object) -> tuple[Browser, Seen]:
    """The approval page, with a patient picked."""
    browser, page = await _picking(house, **more)
    found = await browser.fill(page, "/oauth/patients", text="anna")
    return browser, await browser.fill(found, "/oauth/patients", having={}, text="", patient="anna")


async def _decided(house: House, browser: Browser, page: Seen, *left_out: str, **added: str) -> Seen:
    pairs = [(name, value) for name, value in page.fields("/oauth/approve") if value not in left_out]
    return await browser.post(
        "/oauth/approve", [*pairs, *[("part", each) for each in added.values()], ("act", "allow")]
    )


async def _approval(house: House) -> Approval:
    (held,) = await house.store.every(Approval)
    return held.value


def _sent(seen: Seen) -> dict[str, list[str]]:
    assert (seen.status, seen.location.partition("?")[0]) == (302, APP.redirects[0])
    return parse_qs(urlsplit(seen.location).query)


def test_a_patient_is_picked_and_the_app_gets_a_code(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        assert page.path == f"/oauth/approve?request={'r' * 43}"
        assert "Anna Berg" in page.text
        told = _sent(await _decided(house, browser, page))
        assert told["state"] == ["state-1"]
        assert told["iss"] == ["http://localhost/oauth"]
        approval = await _approval(house)
        assert (approval.patient, set(approval.scopes)) == ("anna", set(SCOPES))
        assert (await browser.get(page.path)).status == 404

    walk(tmp_path, work)


def test_nothing_of_a_patient_is_in_any_url(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _picking(house)
        found = await browser.fill(page, "/oauth/patients", text="berg")
        assert [each.get("value") for each in found.page.xpath("//button[@name='patient']")] == ["anna", "bo"]
        asked = await browser.fill(found, "/oauth/patients", text="", patient="anna")
        assert not any("anna" in path for path in (found.path, asked.path))

    walk(tmp_path, work)


def test_the_picker_asks_with_the_users_own_rights_and_records_whom_it_shows(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _picking(house)
        await browser.fill(page, "/oauth/patients", text="berg")
        context = house.ward.contexts[-1]
        assert (context.actor.roles, context.purpose) == (frozenset({"nurse"}), "TREAT")
        assert [each.interactions for each in context.actor.grants] == [{"read", "search"}]
        assert [each.resource_types for each in context.actor.grants] == [{"Patient"}]
        event = house.told.events[-1]
        assert event.subtype == "search-type"
        assert "text=berg" in event.query
        assert "Patient/anna" in (event.patient, *event.others)

    walk(tmp_path, work)


def test_only_a_patient_who_may_be_seen_can_be_picked(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _picking(house)
        house.ward.hidden = frozenset({"bo"})
        for patient in ("bo", "nobody", "../x"):
            refused = await browser.fill(page, "/oauth/patients", patient=patient)
            assert refused.status == 400
        assert (await browser.get(f"/oauth/approve?request={'r' * 43}")).path.startswith("/oauth/patients")

    walk(tmp_path, work)


def test_a_patient_is_not_asked_who_they_are(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user("li", ("patient",), own_patients=("li",))
        browser = house.browser()
        page = await house.signed_in(browser, "li", await house.request())
        assert page.path.startswith("/oauth/approve")
        assert "李小明" in page.text
        assert "Choose another" not in page.text

    walk(tmp_path, work)


def test_a_proxy_chooses_among_those_they_act_for(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user("proxy", ("proxy",), own_patients=("li", "bo"))
        browser = house.browser()
        page = await house.signed_in(browser, "proxy", await house.request())
        assert {each.get("value") for each in page.page.xpath("//button[@name='patient']")} == {"li", "bo"}
        assert not page.page.xpath("//input[@type='search']")
        refused = await browser.fill(page, "/oauth/patients", patient="anna")
        assert refused.status == 400
        assert (await browser.fill(page, "/oauth/patients", patient="bo")).path.startswith("/oauth/approve")

    walk(tmp_path, work)


def test_what_is_unticked_is_not_given(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        _sent(await _decided(house, browser, page, "patient/Condition.rs", "offline_access"))
        kept = (await _approval(house)).scopes
        assert set(kept) == set(SCOPES) - {"patient/Condition.rs", "offline_access"}

    walk(tmp_path, work)


def test_kinds_take_the_place_of_the_whole_type(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        vital, survey, problems = (
            f"{OBSERVATION}|vital-signs",
            f"{OBSERVATION}|survey",
            f"{CONDITION}|problem-list-item",
        )
        _sent(await _decided(house, browser, page, a=vital, b=survey, c=problems))
        kept = set((await _approval(house)).scopes)
        assert {vital, survey, problems, "patient/Patient.rs"} < kept
        assert not {"patient/Observation.rs", "patient/Condition.rs"} & kept

    walk(tmp_path, work)


def test_nothing_ticked_is_a_refusal_and_so_is_the_button(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        assert _sent(await _decided(house, browser, page, *SCOPES))["error"] == ["access_denied"]
        again = await house.request("s" * 43)
        page = await browser.get(f"/oauth/patients?request={again}")
        page = await browser.fill(page, "/oauth/patients", patient="anna")
        denied = await browser.fill(page, "/oauth/approve", act="deny")
        assert _sent(denied)["error"] == ["access_denied"]
        assert not await house.store.every(Approval)

    walk(tmp_path, work)


def test_more_than_was_asked_for_is_left_out(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        fields = [
            *page.fields("/oauth/approve"),
            ("scope", "user/*.cruds"),
            ("part", "patient/*.cruds"),
            ("act", "allow"),
        ]
        _sent(await browser.post("/oauth/approve", fields))
        assert set((await _approval(house)).scopes) == set(SCOPES)

    walk(tmp_path, work)


def test_offline_access_is_said_plainly_in_both_languages(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        assert "also after you sign out" in page.text
        browser.language = "zh-CN"
        chinese = await browser.get(page.path)
        assert chinese.page.get("lang") == "zh-CN"
        assert "即使您已退出登录" in chinese.text
        without = await house.request("t" * 43, scopes=("user/Patient.rs",))
        assert "即使您已退出登录" not in (await browser.get(f"/oauth/approve?request={without}")).text

    walk(tmp_path, work)


@pytest.mark.parametrize(
    ("redirect", "allowed"),
    [
        ("https://app.example/back", "'self' https:"),
        ("http://127.0.0.1:4567/back", "'self' http: https:"),
        ("http://[::1]:4567/back", "'self' http: https:"),
        ("example.app.charts:/back", "'self' example.app.charts:"),
    ],
)
def test_only_the_approval_form_may_lead_out_and_only_as_the_app_does(
    tmp_path: Path, redirect: str, allowed: str
) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house, redirect=redirect)
        assert f"form-action {allowed};" in page.headers["content-security-policy"]
        for path in ("patients", "break-glass", "sign-in"):
            other = await browser.get(f"/oauth/{path}?request={'r' * 43}")
            assert "form-action 'self';" in other.headers["content-security-policy"]

    walk(tmp_path, work)


def test_an_emergency_needs_a_reason_first_and_opens_what_was_hidden(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        house.ward.hidden = frozenset({"bo"})
        await house.user()
        browser = house.browser()
        page = await house.signed_in(browser, request=await house.request(purpose="BTG"))
        assert page.path.startswith("/oauth/break-glass")
        assert "recorded with your name" in page.text
        short = await browser.fill(page, "/oauth/break-glass", reason="now", sure="yes")
        unsure = await browser.fill(page, "/oauth/break-glass", reason="Unconscious after a fall")
        assert (short.status, unsure.status) == (400, 400)
        page = await browser.fill(page, "/oauth/break-glass", reason="Unconscious after a fall", sure="yes")
        page = await browser.fill(page, "/oauth/patients", patient="bo")
        assert "Your reason: Unconscious after a fall" in page.text
        _sent(await _decided(house, browser, page))
        approval = await _approval(house)
        assert (approval.purpose, approval.break_glass) == ("BTG", "Unconscious after a fall")
        assert house.ward.contexts[-1].actor.break_glass == "Unconscious after a fall"

    walk(tmp_path, work)


def test_an_emergency_may_be_stated_on_the_way(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        assert page.page.xpath("//a[contains(@href, '/break-glass')]")
        glass = await browser.get(f"/oauth/break-glass?request={'r' * 43}")
        page = await browser.fill(glass, "/oauth/break-glass", reason="Unconscious after a fall", sure="yes")
        _sent(await _decided(house, browser, page))
        assert (await _approval(house)).purpose == "BTG"

    walk(tmp_path, work)


def test_a_role_without_emergency_access_has_none(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user("tech", ("technologist",))
        browser = house.browser()
        page = await house.signed_in(browser, "tech", await house.request(purpose="BTG"))
        assert "no emergency access" in page.alert()
        assert not page.page.xpath("//textarea")
        token = (await browser.get("/oauth/account")).fields("/oauth/sign-out")[0]
        fields = [token, ("request", "r" * 43), ("reason", "Unconscious after a fall"), ("sure", "yes")]
        assert (await browser.post("/oauth/break-glass", fields)).status == 403

    walk(tmp_path, work)


def test_a_launch_is_for_its_user_and_brings_its_patient(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        user = await house.user()
        await house.user("bo")
        launch = Launch("l" * 64, "app", user.id, patient="li", expires=micros(house.clock) + 10**9)
        await house.store.save(launch)
        request = await house.request(launch=launch.id, scopes=("launch", "patient/Patient.rs"))
        other = await house.signed_in(house.browser(), "bo", request)
        assert other.status == 403
        page = await house.signed_in(house.browser(), request=request)
        assert page.path.startswith("/oauth/approve")
        assert "李小明" in page.text

    walk(tmp_path, work)


def test_a_fresh_sign_in_is_asked_for_once(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        await house.signed_in(browser)
        house.clock.move(seconds=5)
        request = await house.request(prompts=("login",), scopes=("user/Patient.rs",))
        page = await browser.get(f"/oauth/approve?request={request}")
        assert page.path.startswith("/oauth/sign-in")
        assert "sign in once more" in page.text
        assert (await house.signed_in(browser, request=request)).path.startswith("/oauth/approve")

    walk(tmp_path, work)


def test_somebody_else_may_take_over_the_browser_but_not_the_choice(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        browser, page = await _asked(house)
        await house.user("bo", ("radiologist",))
        out = await browser.fill(page, "/oauth/sign-out", having={"request": "r" * 43})
        assert out.path.startswith("/oauth/sign-in?request=")
        assert (await house.signed_in(browser, "bo", "r" * 43)).path.startswith("/oauth/patients")

    walk(tmp_path, work)


@pytest.mark.parametrize(
    ("logo", "is_shown"),
    [
        ("https://app.example/logo.png", True),
        ("http://app.example/logo.png", False),
        ("javascript:alert(1)", False),
        ("https://app.example/logo.png; script-src *", False),
    ],
)
def test_the_apps_picture_opens_the_policy_for_itself_alone(tmp_path: Path, logo: str, is_shown: bool) -> None:
    async def work(house: House) -> None:
        await house.store.save(replace(APP, logo_url=logo, policy_url="javascript:alert(1)"))
        _, page = await _asked(house)
        policy = page.headers["content-security-policy"]
        assert (f"img-src 'self' data: {logo};" in policy) == is_shown
        assert "script-src" not in policy
        assert "javascript:" not in page.body.decode()

    walk(tmp_path, work)
