"""A token for one patient reaches no other: the lines S09, S10 and S14 of the SMART checks."""

from __future__ import annotations

import pytest

from tests.e2e.running import ROOT
from tests.e2e.smart.stage import Json, Stage
from tests.e2e.smart.ward import OBSERVATION_CATEGORY, observation

VITAL = f"category={OBSERVATION_CATEGORY}|vital-signs"
REFUSED = (401, 403, 404)
ALL_OF_ANNA = "patient/*.rs"


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
    assert stage.get(f"/fhir/{path}", stage.token(ALL_OF_ANNA)).status_code in (405, *REFUSED)


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


def test_s14_a_linked_patient_is_not_opened(stage: Stage) -> None:
    """As the README says."""
    assert "`Patient.link` gives no rights" in (ROOT / "README.md").read_text()
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


def test_s09_what_is_hidden_is_as_if_it_were_not_there(stage: Stage) -> None:
    token, whole = stage.token("patient/*.cruds"), stage.service_token()
    for id, patient in (("bert-gone", "bert"), ("moved", "anna"), ("moved", "bert")):
        assert stage.call("PUT", f"/fhir/Observation/{id}", whole, observation(patient, id, "exam", patient)).is_success
    stage.call("DELETE", "/fhir/Observation/bert-gone", whole)
    for id in ("bert-pulse", "bert-gone", "moved", "never-there"):
        for part in ("", "/_history", "/_history/1"):
            for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"If-None-Match": 'W/"1"'})):
                assert stage.call(method, f"/fhir/Observation/{id}{part}", token, headers=headers).status_code == 404
    for place in ("Observation/_history", "_history"):
        entries = stage.get(f"/fhir/{place}", token).json()["entry"]
        assert not [each for each in entries if each["fullUrl"].endswith(("bert-gone", "moved"))]


def test_s09_references_by_search_meet_nobody_else(stage: Stage) -> None:
    token = stage.token("patient/*.cruds", patient="carl")
    answers = set()
    for name in ("Bert", "Nobody"):
        body = observation("carl", "", "exam", "x") | {"subject": {"reference": f"Patient?name={name}"}}
        entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
        answer = stage.call("POST", "/fhir", token, {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1


def test_s09_operations_reach_nobody_else(stage: Stage) -> None:
    token = stage.token(ALL_OF_ANNA)
    (rest,) = stage.get("/fhir/metadata").json()["rest"]
    rows = [*rest["operation"], *(each for kind in rest["resource"] for each in kind.get("operation", []))]
    for name in {each["name"] for each in rows}:
        for place in ("Patient/bert", "Observation/bert-pulse", "Encounter/bert-visit"):
            assert not stage.get(f"/fhir/{place}/${name}", token).is_success, (place, name)
    assert stage.get("/fhir/Patient/anna/$everything", token).status_code == 200
