"""What a token opens on FHIR: section 9 of the SMART checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.smart.stage import Json, Stage
from tests.e2e.smart.ward import LOINC, OBSERVATION_CATEGORY, observation
from tests.server.commands.administering import told

VITAL = f"category={OBSERVATION_CATEGORY}|vital-signs"
LABORATORY = f"category={OBSERVATION_CATEGORY}|laboratory"
REFUSED = (401, 403, 404)
VITAL_SIGNS = ["Observation/anna-pulse", "Observation/anna-weight"]


@pytest.mark.parametrize("path", ["/fhir/Patient/anna", "/fhir/Observation", "/fhir/Patient/nobody", "/fhir"])
def test_s01_without_a_good_token_401(stage: Stage, path: str) -> None:
    for token in ("", "wrong", "x" * 9000):
        answer = stage.get(path, token)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["resourceType"] == "OperationOutcome"
    for header in ("Basic YTpi", "Bearer", "bearer  x", "Token x"):
        assert stage.get(path, Authorization=header).status_code == 401


def test_s02_only_access_tokens_of_this_server_open(stage: Stage) -> None:
    granted = stage.granted("openid offline_access patient/Patient.rs")
    code = stage.decided(stage.ask("patient/Patient.rs"))["code"]
    cookies = [str(each.value) for each in stage.browser().client.cookies.jar]
    for token in (granted["refresh_token"], granted["id_token"], code, *cookies):
        assert stage.get("/fhir/Patient/anna", token).status_code == 401
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 200
    stage.send(stage.apps["public"], {"token": granted["access_token"]}, "revoke")
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 401


def test_s03_what_was_not_granted_is_refused_and_never_empty(stage: Stage) -> None:
    token = stage.token("patient/Patient.rs patient/Observation.rs")
    assert stage.get("/fhir/Observation/anna-pulse", token).status_code == 200
    assert len(stage.found("/fhir/Observation?patient=anna", token)) == 4
    for kind in ("Condition", "Encounter", "ImagingStudy", "Consent", "AuditEvent"):
        assert stage.get(f"/fhir/{kind}?patient=anna", token).status_code in (401, 403)
        assert stage.get(f"/fhir/{kind}", token).status_code in (401, 403)
        assert stage.call("POST", f"/fhir/{kind}/_search", token, headers=_FORM).status_code in (401, 403)
        assert stage.get(f"/fhir/Patient/anna/{kind}", token).status_code in (401, 403)
    assert stage.get("/fhir/Condition/anna-asthma", token).status_code in REFUSED


def test_s03_no_list_goes_round_what_was_not_granted(stage: Stage) -> None:
    token = stage.token("patient/Observation.rs")
    whole = stage.found("/fhir/Observation", token)
    assert whole
    assert stage.found("/fhir/Observation?_include=*&_revinclude=*", token) == whole
    assert stage.found("/fhir/Observation?_include:iterate=Observation:encounter", token) == whole
    for query in ("encounter.class=IMP", "encounter:Encounter.status=in-progress", "subject:Patient.name=Anna"):
        answer = stage.get(f"/fhir/Observation?{query}", token)
        assert answer.status_code == 403 or not answer.json().get("entry"), query
    patients = stage.token("patient/Patient.rs")
    for query in ("_has:Condition:patient:_id=anna-asthma", "_has:Observation:subject:code=8867-4"):
        answer = stage.get(f"/fhir/Patient?{query}", patients)
        assert answer.status_code == 403 or not answer.json().get("entry"), query
    everything = stage.get("/fhir/Patient/anna/$everything", patients)
    assert everything.status_code == 403 or "Observation/" not in everything.text


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("letters", ["dus", "sr", "cc", "rr", "x", "", "rsx", "READ", "cruds?"])
def test_s04_other_letters_give_no_right(stage: Stage, letters: str) -> None:
    granted = stage.granted(f"patient/Patient.rs patient/Observation.{letters}")
    assert "Observation" not in granted["scope"]
    assert stage.get("/fhir/Observation?patient=anna", granted["access_token"]).status_code == 403


INTERACTIONS = {
    "create": ("c", "POST", "/fhir/Observation"),
    "update-as-create": ("u", "PUT", "/fhir/Observation/carl-new"),
    "read": ("r", "GET", "/fhir/Observation/anna-pulse"),
    "vread": ("r", "GET", "/fhir/Observation/anna-pulse/_history/1"),
    "history-instance": ("r", "GET", "/fhir/Observation/anna-pulse/_history"),
    "update": ("u", "PUT", "/fhir/Observation/carl-kept"),
    "patch": ("u", "PATCH", "/fhir/Observation/carl-kept"),
    "delete": ("d", "DELETE", "/fhir/Observation/carl-gone"),
    "search-type": ("s", "GET", "/fhir/Observation"),
    "search-post": ("s", "POST", "/fhir/Observation/_search"),
    "search-system": ("s", "GET", "/fhir?_type=Observation"),
    "history-type": ("s", "GET", "/fhir/Observation/_history"),
    "history-system": ("s", "GET", "/fhir/_history?_type=Observation"),
}
PATCH = [{"op": "replace", "path": "/status", "value": "amended"}]


@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_s05_each_letter_opens_its_interactions(stage: Stage, interaction: str) -> None:
    letter, method, path = INTERACTIONS[interaction]
    token = {each: stage.token(f"user/Observation.{each}", login="radiologist") for each in "cruds"}
    for id in ("carl-kept", "carl-gone"):
        if id in path:
            stage.call("PUT", f"/fhir/Observation/{id}", stage.service_token(), observation("carl", id, "exam", "x"))

    def status(each: str) -> int:
        return _carried(stage, method, path, token[each])

    for other in "cruds":
        if other != letter:
            assert status(other) in REFUSED, (interaction, other)
    assert status(letter) < 300


def _carried(stage: Stage, method: str, path: str, token: str) -> int:
    body: Any = None
    headers: dict[str, str] = {}
    id = path.rsplit("/", 1)[-1]
    match method:
        case "PUT":
            body = observation("carl", id, "exam", "x")
        case "POST" if path.endswith("_search"):
            headers = _FORM
        case "POST":
            body = observation("carl", "", "exam", "x")
        case "PATCH":
            body, headers = PATCH, {"Content-Type": "application/json-patch+json"}
    return stage.call(method, path, token, body, headers).status_code


def test_s06_the_first_version_is_answered_in_the_first_version(stage: Stage) -> None:
    granted = stage.granted("patient/Observation.read patient/Patient.* patient/Condition.write")
    assert set(granted["scope"].split()) == {"patient/Observation.read", "patient/Patient.*", "patient/Condition.write"}
    token = granted["access_token"]
    assert stage.get("/fhir/Observation?patient=anna", token).status_code == 200
    assert stage.get("/fhir/Observation/anna-pulse", token).status_code == 200
    assert stage.get("/fhir/Condition?patient=anna", token).status_code == 403
    assert stage.call("POST", "/fhir/Observation", token, observation("anna", "", "exam", "x")).status_code == 403


def test_s07_a_query_in_a_scope_limits_every_way_to_read(stage: Stage) -> None:
    token = stage.token(f"patient/Patient.rs patient/Encounter.rs patient/Observation.rs?{VITAL}")
    assert stage.get("/fhir/Observation/anna-pulse", token).status_code == 200
    for path in ("anna-glucose", "anna-glucose/_history/1", "anna-glucose/_history"):
        assert stage.get(f"/fhir/Observation/{path}", token).status_code in REFUSED
    assert stage.get("/fhir/Observation/anna-pulse/_history/1", token).status_code == 200
    for query in (
        "",
        "?patient=anna",
        "?code=2345-7,8867-4,29463-7",
        "?_sort=-date",
        "?_id=anna-glucose,anna-pulse,anna-weight",
    ):
        assert stage.found(f"/fhir/Observation{query}", token) == VITAL_SIGNS
    assert stage.get("/fhir/Observation?_summary=count", token).json()["total"] == 2
    assert stage.found("/fhir/Observation/_history", token) == VITAL_SIGNS
    assert stage.found("/fhir/Patient/anna/Observation", token) == VITAL_SIGNS
    assert stage.found("/fhir/Encounter?_revinclude=Observation:encounter", token) == [
        "Encounter/anna-visit",
        *VITAL_SIGNS,
    ]
    assert stage.found(f"/fhir/Encounter?_has:Observation:encounter:code={LOINC}|2345-7", token) == []
    assert stage.found("/fhir/Patient?_has:Observation:subject:code=2345-7", token) == []
    assert "anna-glucose" not in stage.get("/fhir/Patient/anna/$everything", token).text


def test_s07_a_query_in_a_scope_limits_batches_and_includes(stage: Stage) -> None:
    token = stage.token(f"patient/Patient.rs patient/Observation.rs?{VITAL}")
    answers = _batch(stage, token, ("GET", "Observation/anna-glucose"), ("GET", "Observation?patient=anna"))
    assert answers[0]["response"]["status"][:3] in ("403", "404")
    found = [f"Observation/{each['resource']['id']}" for each in answers[1]["resource"]["entry"]]
    assert sorted(found) == VITAL_SIGNS
    linked = stage.token(f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|survey")
    assert stage.found("/fhir/Observation?_include=*", linked) == ["Observation/anna-linked"]


def test_s08_two_queries_of_one_type_are_united(stage: Stage) -> None:
    token = stage.token(f"patient/Observation.rs?{VITAL} patient/Observation.rs?{LABORATORY}")
    assert stage.found("/fhir/Observation", token) == ["Observation/anna-glucose", *VITAL_SIGNS]
    assert stage.get("/fhir/Observation/anna-linked", token).status_code in REFUSED


def test_s11_batches_are_judged_entry_by_entry(stage: Stage) -> None:
    token = stage.token("patient/Patient.rs patient/Observation.crs", patient="carl")
    answers = _batch(
        stage,
        token,
        ("GET", "Patient/carl"),
        ("GET", "Patient/bert"),
        ("GET", "Condition?patient=carl"),
        ("POST", "Observation", observation("carl", "", "exam", "x")),
        ("POST", "Observation", observation("bert", "", "exam", "x")),
        ("DELETE", "Observation/anna-pulse"),
    )
    found = [each["response"]["status"][:3] for each in answers]
    assert found[0] == "200"
    assert found[3] == "201"
    assert found[1] in ("403", "404")
    assert [found[2], found[4], found[5]] == ["403", "403", "403"]


def test_s11_a_transaction_with_a_refused_entry_does_nothing(stage: Stage) -> None:
    token = stage.token("patient/Patient.rs patient/Observation.crs", patient="carl")
    entries = [
        {"resource": observation("carl", "", "exam", "undone"), "request": {"method": "POST", "url": "Observation"}},
        {"resource": observation("bert", "", "exam", "undone"), "request": {"method": "POST", "url": "Observation"}},
    ]
    answer = stage.call("POST", "/fhir", token, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 403
    assert stage.found("/fhir/Observation?code=undone", stage.service_token()) == []


def _batch(stage: Stage, token: str, *requests: tuple[Any, ...]) -> list[Json]:
    entries = [
        {"request": {"method": method, "url": url}, **({"resource": body[0]} if body else {})}
        for method, url, *body in requests
    ]
    answer = stage.call("POST", "/fhir", token, {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["entry"]
    return found


@pytest.mark.parametrize(
    ("login", "path", "status"),
    [
        ("nurse", "Observation?patient=bert", (200,)),
        ("nurse", "AuditEvent", (403,)),
        ("auditor", "AuditEvent", (200,)),
        ("auditor", "Patient", (403,)),
        ("auditor", "Observation/anna-pulse", REFUSED),
        ("administrator", "Patient/anna", REFUSED),
        ("administrator", "Observation", (403,)),
        ("administrator", "Practitioner", (200,)),
        ("anna", "Patient/anna", (200,)),
        ("anna", "Patient/bert", REFUSED),
        ("anna", "Observation?patient=bert", (403,)),
        ("proxy", "Observation?patient=anna", (200,)),
        ("proxy", "Observation/bert-pulse", REFUSED),
    ],
)
def test_s12_scopes_never_exceed_the_users_rights(stage: Stage, login: str, path: str, status: tuple[int, ...]) -> None:
    token = stage.token("user/*.cruds", login=login)
    assert stage.get(f"/fhir/{path}", token).status_code in status


def test_s12_nor_does_writing(stage: Stage) -> None:
    assert stage.call("DELETE", "/fhir/Observation/anna-pulse", stage.token("user/*.cruds")).status_code == 403
    own = stage.token("user/*.cruds", login="anna")
    assert stage.call("PUT", "/fhir/Patient/anna", own, {"resourceType": "Patient", "id": "anna"}).status_code == 403
    assert stage.call("POST", "/fhir/Observation", own, observation("bert", "", "exam", "x")).status_code == 403
    for login in ("administrator", "auditor"):
        token = stage.token("user/*.cruds", login=login)
        body = observation("anna", "", "exam", "x")
        assert stage.call("POST", "/fhir/Observation", token, body).status_code == 403


def test_s13_each_scope_keeps_its_own_context(stage: Stage) -> None:
    token = stage.token("patient/Observation.rs user/Patient.rs")
    assert stage.get("/fhir/Patient/bert", token).status_code == 200
    assert stage.get("/fhir/Observation/bert-pulse", token).status_code in REFUSED
    assert stage.get("/fhir/Observation?patient=bert", token).status_code == 403
    found = stage.found("/fhir/Patient?_revinclude=Observation:subject", token)
    assert "Patient/bert" in found
    assert not [each for each in found if each.startswith("Observation/bert")]
    written = stage.token(f"patient/Observation.rs patient/Observation.u?{LABORATORY}")
    body = observation("anna", "anna-pulse", "vital-signs", "8867-4")
    assert stage.call("PUT", "/fhir/Observation/anna-pulse", written, body).status_code == 403


def test_s15_no_secret_is_written_down(stage: Stage) -> None:
    granted = stage.granted("launch/patient openid offline_access patient/*.rs")
    token = granted["access_token"]
    assert stage.get(f"/fhir/Patient/anna?access_token={token}").status_code == 401
    assert stage.get(f"/fhir/Patient/anna?access_token={token}", token).status_code in (200, 400)
    form = {"access_token": token}
    assert stage.http.post(f"{stage.fhir}/Patient/_search", data=form).status_code == 401
    events = stage.get("/fhir/AuditEvent?_count=1000", stage.token("user/AuditEvent.rs", login="auditor")).text
    journal = b"".join(each.read_bytes() for each in _files(stage.server.place.data / "audit"))
    log = stage.server.log.read_text()
    for secret in stage.secrets:
        assert secret not in log
        assert secret.encode() not in journal
        assert secret not in events


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_s12_a_user_who_may_no_longer_act_takes_every_token_along(stage: Stage) -> None:
    data, app = stage.server.place.data, stage.apps["public"]
    granted = stage.granted("offline_access user/*.rs", login="mover")
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 200
    told(data, "user", "role", "mover", "administrator")
    assert stage.get("/fhir/Patient/anna", granted["access_token"]).status_code == 401
    assert stage.refresh(app, granted["refresh_token"]).json()["error"] == "invalid_grant"
