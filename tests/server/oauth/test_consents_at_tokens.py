"""What consents have to say when a token is issued, refreshed and asked about; the numbers are the decision table's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from server.audit.codes import EMERGENCY_OVERRIDE_STARTED
from server.audit.event import Event
from server.smart.model import Approval, Code
from tests.data.consents import TPO, Json, deny, permit
from tests.server.oauth.authorizing import PICKED, SITE, World, basic, serving
from tests.server.oauth.consented import agreed
from tests.server.oauth.walking import House, walk

REASON = "He is unconscious and bleeding."
FOCUSED = permit(TPO, labels=["N"], nested=[permit(["BTG"], labels=["R"], actors=["Practitioner/dr-a"])])
OFFLINE = "launch/patient patient/*.rs offline_access"


def _sent(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))


def _attempts(events: list[Event]) -> list[Event]:
    return [each for each in events if each.subtype == EMERGENCY_OVERRIDE_STARTED]


async def _in_an_emergency(world: World, reference: str) -> dict[str, str]:
    await world.client()
    person = await world.person(fhir_user=reference)
    begun = await world.authorize()
    return _sent(await world.decide(person, begun, chosen=PICKED, purpose="BTG", break_glass=REASON))


def test_case_8_no_code_is_given_for_a_purpose_that_the_consent_shuts(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", deny(TPO))
        await world.client()
        sent = _sent(await world.decide(await world.person(), await world.authorize(), chosen=PICKED))
        assert (sent["error"], "code" in sent, sent["iss"]) == ("access_denied", False, SITE.issuer)
        assert not await world.store.every(Approval)
        assert not await world.store.every(Code)
        [event] = [each for each in world.told.events if each.subtype == "authorize"]
        assert (event.outcome, event.patient) == (4, "Patient/p1")
        assert event.outcome_text == "access_denied: not permitted by consent"
        assert not _attempts(world.told.events)

    serving(tmp_path, work)


def test_case_8_without_a_patient_the_consent_speaks_with_each_request(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", deny(TPO))
        await world.client()
        assert (await world.tokens_of(await world.person(), scope="user/*.rs"))["access_token"]

    serving(tmp_path, work)


def test_case_8_a_code_and_a_refresh_token_give_nothing_while_the_consent_forbids(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        records = world.store.records
        await world.client()
        person = await world.person()
        tokens = await world.tokens_of(person, scope=OFFLINE)
        code = await world.code((person[0], await world.session(person[0], "s2")), scope=OFFLINE)
        await agreed(records, "p1", deny(TPO))
        for got in (await world.exchange(code), await world.refresh(tokens["refresh_token"])):
            assert (got.status, got.error) == (400, "invalid_grant")
            assert b"p1" not in got.body
        assert [each.outcome_text for each in world.told.events if each.outcome] == ["invalid_grant"]
        await agreed(records, "p1", permit(TPO))
        assert (await world.refresh(tokens["refresh_token"])).status == 200

    serving(tmp_path, work)


def test_case_28_whom_the_consent_names_may_declare_an_emergency(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", FOCUSED)
        sent = await _in_an_emergency(world, "Practitioner/dr-a")
        assert (await world.exchange(sent["code"])).json["access_token"]
        assert [each.outcome for each in _attempts(world.told.events)] == [0]

    serving(tmp_path, work)


def test_case_29_nobody_else_gets_a_token_for_it(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", FOCUSED)
        sent = await _in_an_emergency(world, "Practitioner/dr-b")
        assert (sent["error"], "code" in sent) == ("access_denied", False)
        [tried] = _attempts(world.told.events)
        assert (tried.outcome, tried.patient, tried.purpose) == (4, "Patient/p1", "BTG")
        assert tried.entities[0].detail == REASON
        other = await world.user("u2")
        assert (await world.tokens_of((other, await world.session(other, "s2"))))["patient"] == "p1"

    serving(tmp_path, work)


def test_case_29_an_emergency_ends_when_the_consent_no_longer_names_who_declared_it(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", FOCUSED)
        sent = await _in_an_emergency(world, "Practitioner/dr-a")
        others = permit(["BTG"], labels=["R"], actors=["Practitioner/dr-b"])
        await agreed(world.store.records, "p1", permit(TPO, labels=["N"], nested=[others]))
        assert (await world.exchange(sent["code"])).error == "invalid_grant"
        assert [each.outcome for each in _attempts(world.told.events)] == [0, 4]

    serving(tmp_path, work)


def test_an_emergency_is_for_whoever_may_where_no_consent_speaks_of_it(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await agreed(world.store.records, "p1", permit(TPO, labels=["N", "R"]))
        assert "code" in await _in_an_emergency(world, "Practitioner/dr-b")

    serving(tmp_path, work)


async def _extensions(world: World, *roots: Json, scope: str = OFFLINE) -> Any:
    await agreed(world.store.records, "p1", *roots)
    client = {} if await world.store.client("app") else {"method": "client_secret_basic"}
    if client:
        await world.client(**client)
        await world.person()
    user = await world.store.user("u1")
    session = await world.store.session("s1")
    assert user is not None
    assert session is not None
    code = await world.code((user, session), scope=scope)
    token = (await world.exchange(code, basic("app"), client_id=None)).json["access_token"]
    return (await world.post("/introspect", {"token": token}, **basic("app"))).json.get("extensions")


ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
YEAR = {"start": "2022-01-01T00:00:00.000Z", "end": "2022-12-31T23:59:59.999Z"}


def test_introspection_tells_what_a_filter_consent_leaves(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        case_16 = await _extensions(world, permit(TPO, within=("2022", "2022")))
        assert case_16 == {
            "ihe_iua": {"purpose_of_use": [{"system": ACT_REASON, "code": "TREAT"}]},
            "ihe_pcf": {
                "patient_id": SITE.resource("Patient/p1"),
                "doc_id": [SITE.resource("Consent/c1")],
                "acp": ["https://policies.example/privacy"],
                "residual": [{"type": "forbid"}, {"type": "permit", "dataPeriod": YEAR}],
            },
        }
        case_17 = await _extensions(world, permit(TPO, nested=[deny(within=("2022", "2022"))]))
        assert case_17["ihe_pcf"]["residual"] == [{"type": "forbid", "dataPeriod": YEAR}]
        case_19 = await _extensions(world, permit(TPO, nested=[deny(data=[("instance", "Observation/n")])]))
        named = {"meaning": "instance", "reference": {"reference": SITE.resource("Observation/n")}}
        assert case_19["ihe_pcf"]["residual"] == [{"type": "forbid", "data": [named]}]
        case_26 = await _extensions(
            world, permit(TPO, labels=["N"], nested=[permit(labels=["PSY"], actors=["Practitioner/12"])])
        )
        assert case_26["ihe_pcf"]["residual"] == [
            {"type": "forbid"},
            {"type": "permit", "securityLabel": [{"system": LEVEL, "code": "N"}]},
            {"type": "permit", "securityLabel": [{"system": SENSITIVITY, "code": "PSY"}]},
        ]

    serving(tmp_path, work)


def test_introspection_says_nothing_of_consents_where_nothing_rests_on_them(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        assert set(await _extensions(world)) == {"ihe_iua"}
        told = await _extensions(world, permit(TPO))
        assert set(told["ihe_pcf"]) == {"patient_id", "doc_id", "acp"}
        assert await _extensions(world, scope="user/*.rs") is None

    serving(tmp_path, work)


def test_a_prohibition_that_cuts_into_a_permission_is_told_as_more(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        told = await _extensions(world, permit(TPO, labels=["N"]), deny(TPO, data=[("instance", "Observation/n")]))
        assert told["ihe_pcf"]["residual"] == [{"type": "forbid"}]
        assert len(told["ihe_pcf"]["doc_id"]) == 2

    serving(tmp_path, work)


SAID = {
    "en": "This app cannot be given access: the consent in force does not permit it for this purpose.",
    "zh": "无法授权该应用：现行的知情同意不允许以此目的访问。",
}


def test_case_8_the_page_says_plainly_that_it_is_not_permitted_and_nothing_of_the_patient(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await house.user()
        browser = house.browser()
        page = await house.signed_in(browser, request=await house.request())
        await browser.fill(page, "/oauth/patients", text="", patient="anna")
        await agreed(house.store.records, "anna", deny(TPO))
        for language, text in SAID.items():
            browser.language = language
            page = await browser.get(f"/oauth/approve?request={'r' * 43}")
            assert (page.status, page.alert()) == (403, text)
            assert "Anna" not in page.text
            assert not page.page.xpath("//button[@value='allow']")
        left = await browser.fill(page, "/oauth/approve", act="deny")
        assert parse_qs(urlsplit(left.location).query)["error"] == ["access_denied"]

    walk(tmp_path, work)


def test_case_29_the_page_of_an_emergency_says_so_and_the_attempt_is_recorded(tmp_path: Path) -> None:
    async def work(house: House) -> None:
        await agreed(house.store.records, "anna", FOCUSED)
        await house.user()
        browser = house.browser()
        page = await house.signed_in(browser, request=await house.request())
        await browser.fill(page, "/oauth/patients", text="", patient="anna")
        page = await browser.get(f"/oauth/break-glass?request={'r' * 43}")
        page = await browser.fill(page, "/oauth/break-glass", reason=REASON, sure="yes")
        assert page.status == 403
        assert "leaves it to others" in page.alert()
        assert "Anna" not in page.text
        [tried] = _attempts(house.told.events)
        assert (tried.outcome, tried.patient) == (4, "Patient/anna")
        sent = await browser.fill(page, "/oauth/approve", act="allow", scope="patient/Patient.rs")
        assert parse_qs(urlsplit(sent.location).query)["error"] == ["access_denied"]
        assert not await house.store.every(Approval)

    walk(tmp_path, work)
