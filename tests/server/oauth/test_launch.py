"""EHR launches and what tokens say of their context: smart checks L01 to L12."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from server.kernel.problem import Problem
from server.smart.approving import Chosen
from server.smart.digest import digest
from server.smart.model import Launch, Session, User
from server.smart.style import STYLE_NAME
from tests.server.oauth.authorizing import ORIGIN, SITE, World, basic, serving

STUDY = {"reference": "ImagingStudy/i1"}
CONTEXT = {"client_id": "app", "patient": "p1", "encounter": "e1", "imaging_study": "i1", "intent": "read-images"}


async def launched(world: World, person: tuple[User, Session], **changes: Any) -> str:
    """The launch value a signed-in user's page gets."""
    world.browser.at = person
    got = await world.send("/launch", {**CONTEXT, **changes})
    assert got.status == 201, got
    return str(got.json["launch"])


def test_l01_the_launch_url_is_the_registered_one_with_iss_and_launch(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(launch_url=ORIGIN + "/begin?theme=dark")
        world.browser.at = await world.person()
        got = await world.send("/launch", CONTEXT)
        url = urlsplit(got.headers["location"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == ORIGIN + "/begin"
        asked = dict(parse_qsl(url.query))
        assert asked == {"theme": "dark", "iss": SITE.fhir, "launch": got.json["launch"]}
        form = {"client_id": "app", "patient": "p1", "form_token": "own form"}
        opened = await world.post("/launch", form)
        assert opened.status == 303
        assert opened.headers["location"].startswith(ORIGIN + "/begin?theme=dark&iss=")
        assert (await world.post("/launch", {**form, "form_token": "other"})).status == 403

    serving(tmp_path, work)


def test_l04_l05_l06_l07_l10_l12_the_context_is_in_the_token_its_refresh_and_introspection(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(method="client_secret_basic")
        person = await world.person()
        launch = await launched(world, person)
        code = await world.code(
            person, Chosen(), scope="launch openid fhirUser patient/*.rs offline_access", launch=launch
        )
        tokens = (await world.exchange(code, basic("app"), client_id=None)).json
        refreshed = (await world.refresh(tokens["refresh_token"], basic("app"), client_id=None)).json
        told = (await world.post("/introspect", {"token": refreshed["access_token"]}, **basic("app"))).json
        for each in (tokens, refreshed, told):
            assert (each["patient"], each["encounter"], each["intent"]) == ("p1", "e1", "read-images")
            assert each["fhirContext"] == [STUDY]
            assert each["need_patient_banner"] is True
            assert each["smart_style_url"] == SITE.oauth(f"style/{STYLE_NAME}")
        assert set(told["scope"].split()) == set(refreshed["scope"].split())
        assert (told["iss"], told["sub"], told["client_id"]) == (SITE.issuer, "u1", "app")
        assert told["fhirUser"] == SITE.resource("Practitioner/12")

    serving(tmp_path, work)


def test_l02_a_launch_is_used_once_soon_by_its_user_and_client(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("other")
        person, stranger = await world.person(), await world.user("u2")
        launch = await launched(world, person)
        asked = {"scope": "launch patient/*.rs", "launch": launch}
        foreign = await world.authorize(**asked, client_id="other")
        assert foreign.sent_back["error"] == "invalid_request"
        with pytest.raises(Problem) as caught:
            await world.code((stranger, await world.session(stranger, "s2")), Chosen(), **asked)
        assert caught.value.issues[0].code == "access_denied"
        waiting = await world.authorize(**asked)
        await world.code(person, Chosen(), **asked)
        assert (await world.authorize(**asked)).sent_back["error"] == "invalid_request"
        with pytest.raises(Problem):
            await world.decide(person, waiting)
        late = await launched(world, person)
        world.clock.move(minutes=6)
        assert (await world.authorize(scope="launch", launch=late)).sent_back["error"] == "invalid_request"

    serving(tmp_path, work)


def test_who_may_create_a_launch(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        ehr = await world.client("ehr", scopes=("__launch", "user/*.rs"))
        await world.client("emr", "client_secret_basic", scopes=("__launch",), grants=("client_credentials",))
        person = await world.person()
        assert (await world.send("/launch", CONTEXT)).status == 401
        plain = await world.tokens_of(person)
        refused = await world.send("/launch", CONTEXT, authorization="Bearer " + plain["access_token"])
        assert (refused.status, refused.error) == (403, "insufficient_scope")
        code = await world.code(person, scope="__launch user/*.rs", client_id=ehr.id)
        token = (await world.exchange(code, client_id="ehr")).json["access_token"]
        got = await world.send("/launch", CONTEXT, authorization="Bearer " + token)
        assert (await launch_of(world, got.json["launch"])).user == "u1"
        form = {"grant_type": "client_credentials", "scope": "__launch"}
        token = (await world.post("/token", form, **basic("emr"))).json["access_token"]
        got = await world.send("/launch", {**CONTEXT, "user": "U1@hospital"}, authorization="Bearer " + token)
        assert (await launch_of(world, got.json["launch"])).user == "u1"
        nobody = await world.send("/launch", {**CONTEXT, "user": "nobody"}, authorization="Bearer " + token)
        assert (nobody.status, nobody.error) == (400, "invalid_request")
        world.browser.at = person
        assert (await world.send("/launch", {**CONTEXT, "user": "u1@hospital"})).status == 400
        assert (await world.send("/launch", CONTEXT, sec_fetch_site="cross-site")).status == 401

    serving(tmp_path, work)


ODD: dict[str, dict[str, Any]] = {
    "unknown app": {"client_id": "nobody"},
    "app without launch url": {"client_id": "plain"},
    "no id": {"patient": "Patient/1"},
    "not a string": {"patient": 1},
    "unknown member": {"patiant": "p1"},
    "context no object": {"fhir_context": ["ImagingStudy/1"]},
    "context empty": {"fhir_context": [{}]},
    "absolute": {"fhir_context": [{"reference": "https://x.example/ImagingStudy/1"}]},
    "unknown type": {"fhir_context": [{"reference": "Imaging/1"}]},
    "illegal id": {"fhir_context": [{"reference": "ImagingStudy/a b"}]},
    "type differs": {"fhir_context": [{"reference": "ImagingStudy/1", "type": "Observation"}]},
    "empty role": {"fhir_context": [{**STUDY, "role": ""}]},
    "role no uri": {"fhir_context": [{**STUDY, "role": "main"}]},
    "patient": {"fhir_context": [{"reference": "Patient/1"}]},
    "patient as launch": {"fhir_context": [{"reference": "Patient/1", "role": "launch"}]},
    "encounter": {"fhir_context": [{"identifier": {"value": "1"}, "type": "Encounter"}]},
    "canonical no text": {"fhir_context": [{"canonical": 1}]},
}


def test_l09_a_launch_holds_only_what_apps_can_read(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("plain", launch_url="")
        world.browser.at = await world.person()
        for name, changes in ODD.items():
            got = await world.send("/launch", {**CONTEXT, **changes})
            assert (got.status, got.error) == (400, "invalid_request"), name
        good = [
            {"canonical": "http://hl7.org/fhir/Questionnaire/1", "type": "Questionnaire"},
            {
                "identifier": {"system": "urn:x", "value": "1"},
                "type": "ServiceRequest",
                "role": "https://x.example/role",
            },
            {"reference": "Patient/2", "role": "https://x.example/twin"},
        ]
        launch = await launched(world, world.browser.at, fhir_context=good)
        tokens = await world.tokens_of(world.browser.at, Chosen(), scope="launch patient/*.rs", launch=launch)
        assert tokens["fhirContext"] == [STUDY, *good]
        for body in (b"", b"{", b"[]", b"\xff", b"[" * 60_000):
            assert (await world.call("POST", "/launch", body=body, content_type="application/json")).status == 400

    serving(tmp_path, work)


def test_l04_l08_a_standalone_launch_tells_the_patient_where_a_scope_is_about_one(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        assert (await world.tokens_of(person, scope="launch/patient"))["patient"] == "p1"
        assert (await world.tokens_of(person, scope="patient/Patient.r"))["patient"] == "p1"
        assert "patient" not in await world.tokens_of(person, scope="user/*.rs")
        assert "need_patient_banner" not in await world.tokens_of(person)

    serving(tmp_path, work)


def test_l10_l11_scopes_of_a_launch_are_granted_where_their_context_is_there(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        asked = "launch/patient?role=https://x.example/subject launch/imagingstudy launch/encounter user/*.rs"
        none = await world.tokens_of(person, Chosen("p1"), scope=asked)
        assert (none["patient"], "launch/imagingstudy" in none["scope"], "fhirContext" in none) == ("p1", False, False)
        all_of_it = await world.tokens_of(person, Chosen("p1", "e1", "i1"), scope=asked)
        assert (all_of_it["encounter"], all_of_it["fhirContext"]) == ("e1", [STUDY])
        assert all_of_it["scope"] == asked

    serving(tmp_path, work)


def test_an_ehr_launch_without_a_patient_lets_the_user_pick_one(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        launch = await launched(world, person, patient="", encounter="", imaging_study="")
        tokens = await world.tokens_of(person, Chosen("p9"), scope="launch patient/*.rs", launch=launch)
        assert (tokens["patient"], "encounter" in tokens) == ("p9", False)

    serving(tmp_path, work)


async def launch_of(world: World, value: str) -> Launch:
    (launch,) = [held.value for held in await world.store.every(Launch) if held.value.id == digest(value)]
    return launch
