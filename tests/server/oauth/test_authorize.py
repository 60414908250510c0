"""The authorize endpoint: smart checks A01 to A17, and what it does with hostile requests."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.smart import authority
from server.smart.approving import Chosen
from server.smart.model import Approval
from tests.server.oauth.authorizing import APP, SITE, STATE, World, asking, serving


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a01_a02_a17_a_request_by_get_or_form_is_answered_with_code_state_and_issuer(
    tmp_path: Path, method: str
) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        begun = await world.authorize(method)
        assert begun.headers["location"].startswith(SITE.oauth("approve") + "?request=")
        assert begun.headers["cache-control"] == "no-store"
        assert begun.headers["referrer-policy"] == "no-referrer"
        location = await world.decide(person, begun, chosen=Chosen("p1"))
        assert location.startswith(APP + "&code=")
        told = dict(parse_qsl(urlsplit(location).query))
        assert told.keys() == {"from", "code", "state", "iss"}
        assert (told["state"], told["iss"]) == (STATE, SITE.issuer)

    serving(tmp_path, work)


def test_a03_a_refusal_goes_back_with_error_and_state(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        for kept in ([], ["launch/encounter"]):
            location = await world.decide(person, await world.authorize(scope="launch/encounter patient/*.rs"), kept)
            told = dict(parse_qsl(urlsplit(location).query))
            assert (told["error"], told["state"], told["iss"]) == ("access_denied", STATE, SITE.issuer)
            assert "code" not in told
        assert not await world.store.every(Approval)
        assert world.told.events[-1].outcome_text == "access_denied"

    serving(tmp_path, work)


INVALID = {
    "a04 another server": {"aud": "https://elsewhere.example/fhir"},
    "a04 resource of another server": {"resource": "https://elsewhere.example/fhir"},
    "a05 aud missing": {"aud": None},
    "a08 no challenge": {"code_challenge": None},
    "a08 no method": {"code_challenge_method": None},
    "a08 plain": {"code_challenge_method": "plain"},
    "a08 short challenge": {"code_challenge": "abc"},
    "a09 no state": {"state": None},
    "a10 no response type": {"response_type": None},
    "l03 launch scope without launch": {"scope": "launch patient/*.rs"},
    "l03 launch without its scope": {"launch": "abc"},
    "l02 unknown launch": {"launch": "abc", "scope": "launch patient/*.rs"},
    "response_mode": {"response_mode": "form_post"},
    "prompt": {"prompt": "none login"},
    "max_age": {"max_age": "soon"},
    "purpose": {"purpose_of_use": "urn:other|TREAT"},
    "state too long": {"state": "x" * 5000},
}


def test_a04_a05_a08_a09_l02_l03_what_is_wrong_goes_back_to_the_app_without_a_code(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        for name, changes in INVALID.items():
            told = (await world.authorize(**changes)).sent_back
            assert told["error"] == "invalid_request", name
            assert "code" not in told
            assert told["iss"] == SITE.issuer
            assert told.get("state") == changes.get("state", STATE), name

    serving(tmp_path, work)


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": '密码"\\'}),
        ("invalid_scope", {"scope": None}),
        ("invalid_scope", {"scope": "system/*.rs"}),
        ("invalid_scope", {"scope": "patient/Observation.dus unheard-of"}),
        ("invalid_scope", {"scope": "x" * 9000 + " patient/*.rs" * 500}),
        ("request_not_supported", {"request": "abc"}),
        ("request_uri_not_supported", {"request_uri": "https://app.example/r"}),
        ("login_required", {"prompt": "none"}),
    ],
)
def test_a10_b06_other_errors_have_the_code_of_their_rfc(tmp_path: Path, error: str, changes: dict[str, str]) -> None:
    async def work(world: World) -> None:
        await world.client(scopes=("patient/*.rs", "launch/patient", "system/*.rs"))
        assert (await world.authorize(**changes)).sent_back["error"] == error

    serving(tmp_path, work)


def test_prompt_none_of_a_signed_in_user_still_needs_the_approval(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        world.browser.at = await world.person()
        assert (await world.authorize(prompt="none")).sent_back["error"] == "consent_required"

    serving(tmp_path, work)


def test_a05_a_final_slash_and_the_name_resource_are_accepted(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        assert (await world.authorize(aud=SITE.fhir + "/")).status == 303
        assert (await world.authorize(aud=None, resource=SITE.fhir)).status == 303

    serving(tmp_path, work)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "waiting"},
        {"client_id": "app\0"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://evil.example/\"'é", "response_type": "token"},
        {"redirect_uri": APP + "#fragment"},
        {"redirect_uri": APP + "/"},
        {"redirect_uri": APP.upper()},
        {"redirect_uri": APP + "&more=1"},
        {"redirect_uri": " " + APP},
    ],
)
def test_a06_a07_an_unknown_client_or_redirect_gets_a_page_and_never_a_redirect(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("waiting", is_approved=False)
        got = await world.authorize(**changes)
        assert got.status == 400
        assert "location" not in got.headers
        assert got.headers["content-type"].startswith("text/html")
        assert b"evil" not in got.body

    serving(tmp_path, work)


@pytest.mark.parametrize("repeated", ["state", "client_id", "redirect_uri", "scope", "code_challenge", "aud", "nonce"])
def test_a11_a_repeated_parameter_is_refused(tmp_path: Path, repeated: str) -> None:
    async def work(world: World) -> None:
        await world.client()
        pairs = [*asking(nonce="n").items(), (repeated, "again")]
        for got in (await world.get("/authorize", pairs), await world.post("/authorize", pairs)):
            assert (got.status, "location" in got.headers) == (400, False)

    serving(tmp_path, work)


def test_a13_the_user_may_untick_and_narrow_scopes_but_not_widen_them(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        asked = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.read"
        kept = ["patient/Patient.rs", "patient/Observation.rs?category=vital-signs"]
        tokens = await world.tokens_of(person, scope=asked, kept=kept)
        assert tokens["scope"] == " ".join(kept)
        with pytest.raises(Problem) as caught:
            await world.code(person, scope=asked, kept=["patient/Observation.cruds"])
        assert caught.value.issues[0].code == "invalid_scope"

    serving(tmp_path, work)


def test_scopes_beyond_the_clients_are_left_out_of_what_is_asked(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client(scopes=("launch/patient", "patient/Observation.rs"))
        tokens = await world.tokens_of(await world.person(), scope="launch/patient patient/*.rs openid")
        assert tokens["scope"] == "launch/patient patient/Observation.rs"
        assert "id_token" not in tokens

    serving(tmp_path, work)


def test_a_request_is_decided_once_by_one_user_in_time(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person, other = await world.person(), await world.user("u2")
        begun = await world.authorize()
        value = begun.headers["location"].partition("request=")[2]
        pending = await world.authority.open(value)
        with pytest.raises(Problem) as unbound:
            await world.authority.approve(pending, *person, pending.scopes, Chosen("p1"))
        bound = await world.authority.bind(pending, *person)
        with pytest.raises(Problem) as foreign:
            await world.authority.bind(bound, other, await world.session(other, "s2"))
        assert {unbound.value.kind, foreign.value.kind} == {Kind.FORBIDDEN}
        later = await world.session(person[0], "s3")
        bound = await world.authority.bind(bound, person[0], later)
        await world.authority.approve(bound, person[0], later, pending.scopes, Chosen("p1"))
        with pytest.raises(Problem) as again:
            await world.authority.approve(bound, person[0], later, pending.scopes, Chosen("p1"))
        assert again.value.kind is Kind.NOT_FOUND
        value = (await world.authorize()).headers["location"].partition("request=")[2]
        world.clock.move(minutes=11)
        with pytest.raises(Problem):
            await world.authority.open(value)

    serving(tmp_path, work)


def test_prompt_login_and_max_age_want_a_new_sign_in(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        user, old = await world.person()
        world.clock.move(minutes=5)
        for changes in ({"prompt": "login"}, {"max_age": "60"}):
            begun = await world.authorize(**changes)
            pending = await world.authority.open(begun.headers["location"].partition("request=")[2])
            assert (await world.authority.asked(pending, user, old)).needs_sign_in
            with pytest.raises(Problem) as caught:
                await world.decide((user, old), begun, chosen=Chosen("p1"))
            assert caught.value.issues[0].code == "login_required"
            fresh = await world.session(user, f"fresh {changes}")
            assert not (await world.authority.asked(pending, user, fresh)).needs_sign_in
            assert "code=" in await world.decide((user, fresh), begun, chosen=Chosen("p1"))

    serving(tmp_path, work)


def test_l08_a_patient_scope_needs_a_patient_and_a_patients_own_at_that(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        await world.client("narrow", patients=("p1",))
        staff, patient = await world.person(), await world.user("u2", roles=("patient",), own_patients=("p2",))
        own = (patient, await world.session(patient, "s2"))
        for person, chosen, client in (
            (staff, "", "app"),
            (own, "p1", "app"),
            (staff, "p2", "narrow"),
            (staff, "../p", "app"),
        ):
            with pytest.raises(Problem):
                await world.code(person, Chosen(chosen), client_id=client)
        pending = await world.authority.open((await world.authorize()).headers["location"].partition("request=")[2])
        asked = await world.authority.asked(pending, *own)
        assert (asked.needs_patient, asked.patients, asked.may_break_glass) == (True, ("p2",), False)
        assert (await world.tokens_of(own, Chosen("p2")))["patient"] == "p2"
        assert (await world.tokens_of(staff, Chosen("p1")))["patient"] == "p1"

    serving(tmp_path, work)


def test_emergency_access_needs_a_role_and_a_reason_and_ends_within_the_hour(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        staff, clerk = await world.person(), await world.user("u2", roles=("administrator",))
        reason = {"purpose": "BTG", "break_glass": "unconscious, no relatives present"}
        for person, more in (
            ((clerk, await world.session(clerk, "s2")), reason),
            (staff, {"purpose": "BTG"}),
            (staff, {"break_glass": "just because it is so"}),
        ):
            with pytest.raises(Problem):
                await world.decide(person, await world.authorize(), chosen=Chosen("p1"), **more)
        location = await world.decide(
            staff, await world.authorize(scope="patient/*.rs offline_access"), chosen=Chosen("p1"), **reason
        )
        got = await world.exchange(dict(parse_qsl(urlsplit(location).query))["code"])
        access = await world.bearer.authenticate(got.json["access_token"])
        assert (access.purpose, access.actor.break_glass) == ("BTG", reason["break_glass"])
        assert any(reason["break_glass"] in str(event.entities) for event in world.told.events)
        world.clock.move(minutes=59)
        refreshed = await world.refresh(got.json["refresh_token"])
        assert refreshed.json["expires_in"] <= 60
        world.clock.move(minutes=2)
        assert not await world.is_good(refreshed.json["access_token"])
        assert (await world.refresh(refreshed.json["refresh_token"])).error == "invalid_grant"

    serving(tmp_path, work)


def test_a_stated_purpose_is_the_tokens(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        await world.client()
        person = await world.person()
        system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
        tokens = await world.tokens_of(person, purpose_of_use=system + "|HRESCH")
        assert (await world.bearer.authenticate(tokens["access_token"])).purpose == "HRESCH"
        tokens = await world.tokens_of(person)
        assert (await world.bearer.authenticate(tokens["access_token"])).purpose == "TREAT"

    serving(tmp_path, work)


def test_nobody_takes_all_the_places_where_requests_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(world: World) -> None:
        monkeypatch.setattr(authority, "_MOST_OF_ONE", 3)
        monkeypatch.setattr(authority, "_MOST_WAITING", 5)
        await world.client()
        world.peer = "2001:db8::1"
        assert [(await world.authorize()).status for _ in range(4)] == [303, 303, 303, 429]
        world.peer = "2001:db8::2"
        assert (await world.authorize()).status == 429, "the same customer's network"
        world.peer = "192.0.2.8"
        assert [(await world.authorize()).status for _ in range(3)] == [303, 303, 429]
        world.clock.move(minutes=11)
        await world.store.sweep(micros(world.clock))
        assert (await world.authorize()).status == 303

    serving(tmp_path, work)
