"""What a token opens on FHIR: section 9 of the SMART checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import ROOT
from tests.e2e.smart.stage import Json, Stage
from tests.e2e.smart.ward import LOINC, OBSERVATION_CATEGORY, observation

VITAL = f"category={OBSERVATION_CATEGORY}|vital-signs"
LABORATORY = f"category={OBSERVATION_CATEGORY}|laboratory"
REFUSED = (401, 403, 404)
VITAL_SIGNS = ["Observation/anna-pulse", "Observation/anna-weight"]
ALL_OF_ANNA = "patient/*.rs"
BERTS = "bert"


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


@pytest.mark.parametrize(
    "path",
    [
        "Patient/bert",
        "Observation/bert-pulse",
        "Observation/bert-pulse/_history",
        "Observation/bert-pulse/_history/1",
        "Patient/bert/_history",
        "Patient/bert/$everything",
        "Patient/bert/Observation",
        "Encounter/bert-visit/$everything",
        "Observation?patient=bert",
        "Observation?subject=Patient/bert",
        "Observation?patient=Patient/bert,Patient/anna",
        "Encounter?patient:Patient=bert",
    ],
)
def test_s09_another_patient_is_out_of_reach(stage: Stage, path: str) -> None:
    answer = stage.get(f"/fhir/{path}", stage.token(ALL_OF_ANNA))
    assert answer.status_code in REFUSED or BERTS not in answer.text.replace("patient=bert", ""), answer.text


@pytest.mark.parametrize(
    "path",
    [
        "Observation",
        "Observation?_include=*&_revinclude=*",
        "Observation?_include=Observation:has-member",
        "Observation?_include:iterate=Observation:has-member&_include:iterate=Observation:subject",
        "Patient",
        "Patient?_revinclude=Observation:subject",
        "Patient?name=Bert",
        "Patient?_has:Observation:subject:_id=bert-pulse",
        "Observation?subject:Patient.name=Bert",
        "Encounter?subject.name=Bert",
        "Patient/anna/$everything",
        "Patient/anna/*",
        "_history",
        "Observation/_history",
        "?_type=Patient,Observation,Encounter",
        "Observation?_id=bert-pulse",
        "Observation/$lastn?patient=anna&max=5",
        "Observation?patient:not=anna",
        "Patient?_id:not=anna",
    ],
)
def test_s09_no_list_tells_of_another_patient(stage: Stage, path: str) -> None:
    answer = stage.get(f"/fhir/{path}" if not path.startswith("?") else f"/fhir{path}", stage.token(ALL_OF_ANNA))
    if answer.status_code == 200:
        for entry in answer.json().get("entry", []):
            assert "bert" not in entry.get("fullUrl", ""), path
            assert _whose(entry.get("resource", {})) != "Patient/bert", path
    else:
        assert answer.status_code in (400, *REFUSED)


def _whose(resource: Json) -> str:
    if resource.get("resourceType") == "Patient":
        return f"Patient/{resource['id']}"
    return str(resource.get("subject", {}).get("reference", ""))


def test_s09_a_chain_does_not_tell_what_another_patients_resource_holds(stage: Stage) -> None:
    token = stage.token(ALL_OF_ANNA)
    for code, category in (("8867-4", "vital-signs"),):
        for query in (
            f"has-member.code={code}",
            f"has-member:Observation.category={category}",
            "has-member.status=final",
        ):
            assert stage.found(f"/fhir/Observation?{query}", token) == []
    assert stage.found("/fhir/Observation?has-member=Observation/bert-pulse", token) == ["Observation/anna-linked"]


def test_s09_nothing_is_told_by_pages_and_totals(stage: Stage) -> None:
    token = stage.token(ALL_OF_ANNA)
    assert stage.get("/fhir/Patient?_summary=count", token).json()["total"] == 1
    assert stage.get("/fhir/Encounter?_total=accurate&_count=1", token).json()["total"] == 1
    whole = stage.get("/fhir/Observation?_count=1", stage.token("user/Observation.rs"))
    following = next(each["url"] for each in whole.json()["link"] if each["relation"] == "next")
    answer = stage.get(following, token)
    assert answer.status_code in (400, *REFUSED) or "Patient/bert" not in answer.text


def test_s10_nothing_is_written_about_another_patient(stage: Stage) -> None:
    own = stage.token("patient/*.cruds", patient="carl")
    assert stage.call("POST", "/fhir/Observation", own, observation("carl", "", "exam", "x")).status_code == 201
    token = stage.token("patient/*.cruds")
    for method, path, body in (
        ("POST", "Observation", observation("bert", "", "exam", "x")),
        ("PUT", "Observation/bert-mine", observation("bert", "bert-mine", "exam", "x")),
        ("PUT", "Observation/anna-pulse", observation("bert", "anna-pulse", "vital-signs", "8867-4")),
        ("PUT", "Observation/bert-pulse", observation("anna", "bert-pulse", "vital-signs", "8867-4")),
        ("POST", "Patient", {"resourceType": "Patient"}),
        ("PUT", "Patient/bert", {"resourceType": "Patient", "id": "bert"}),
    ):
        assert stage.call(method, f"/fhir/{path}", token, body).status_code in (403, 404), (method, path)
    patch = [{"op": "replace", "path": "/subject/reference", "value": "Patient/bert"}]
    kind = {"Content-Type": "application/json-patch+json"}
    assert stage.call("PATCH", "/fhir/Observation/anna-pulse", token, patch, kind).status_code == 403
    assert stage.call("DELETE", "/fhir/Observation/bert-pulse", token).status_code in (403, 404)
    whole = stage.service_token()
    assert stage.get("/fhir/Observation/anna-pulse", whole).json()["subject"]["reference"] == "Patient/anna"
    assert stage.get("/fhir/Observation/bert-pulse", whole).json()["subject"]["reference"] == "Patient/bert"


def test_s10_conditional_writes_meet_nobody_else(stage: Stage) -> None:
    token = stage.token("patient/*.cruds", login="radiologist", patient="carl")
    body = observation("carl", "", "exam", "conditional")
    made = stage.call("POST", "/fhir/Observation", token, body, {"If-None-Exist": "_id=bert-pulse"})
    assert made.status_code in (201, 403, 412), made.text
    assert "bert" not in made.headers.get("location", "")
    answer = stage.call("PUT", "/fhir/Observation?_id=bert-pulse", token, body)
    assert answer.status_code in (201, *REFUSED, 400, 412), answer.text
    assert stage.call("DELETE", "/fhir/Observation?_id=bert-pulse", token).status_code in (204, 200, *REFUSED, 412)
    assert stage.get("/fhir/Observation/bert-pulse", stage.service_token()).status_code == 200


def test_s10_an_update_crosses_no_query_of_a_scope(stage: Stage) -> None:
    token = stage.token(f"patient/Observation.cruds?{VITAL}")
    laboratory = observation("anna", "", "laboratory", "x")
    assert stage.call("POST", "/fhir/Observation", token, laboratory).status_code == 403
    moved_out = observation("anna", "anna-pulse", "laboratory", "other")
    assert stage.call("PUT", "/fhir/Observation/anna-pulse", token, moved_out).status_code == 403
    moved_in = observation("anna", "anna-glucose", "vital-signs", "2345-7")
    assert stage.call("PUT", "/fhir/Observation/anna-glucose", token, moved_in).status_code in (403, 404)
    new = observation("anna", "anna-lab-2", "laboratory", "x")
    assert stage.call("PUT", "/fhir/Observation/anna-lab-2", token, new).status_code == 403


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


def test_s14_a_linked_patient_is_not_opened(stage: Stage) -> None:
    """As the README says."""
    assert "**Patient.link** is not followed by rights" in (ROOT / "README.md").read_text()
    whole = stage.service_token()
    for id, linked in (("dora", "anna"), ("emil", "dora")):
        link = [{"other": {"reference": f"Patient/{linked}"}, "type": "seealso"}]
        body = {"resourceType": "Patient", "id": id, "name": [{"family": id.title()}], "link": link}
        assert stage.call("PUT", f"/fhir/Patient/{id}", whole, body).status_code in (200, 201)
    token = stage.token(ALL_OF_ANNA)
    for path in (
        "Patient/dora",
        "Patient?link=Patient/anna",
        "Patient",
        "Patient/anna/$everything",
        "Patient?_include=*",
    ):
        answer = stage.get(f"/fhir/{path}", token)
        assert answer.status_code in REFUSED or "Dora" not in answer.text, path
