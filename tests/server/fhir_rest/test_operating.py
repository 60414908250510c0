"""Operations over HTTP, and the labels that `$meta-add` and `$meta-delete` change."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.operations.catalogue import Catalogue, Invocation, Level, Operation
from server.kernel.context import Context
from tests.server.fhir_rest.served import BASE, XML, Served

PATIENT: dict[str, Any] = {"resourceType": "Patient", "gender": "male"}
TAG = {"system": "http://x.test", "code": "a", "display": "A"}


def parameters(**values: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, **value} for name, value in values.items()]}


def meta(**labels: Any) -> dict[str, Any]:
    return parameters(meta={"valueMeta": labels})


def returned(got: Any) -> dict[str, Any]:
    assert got.status == 200, got.body
    (parameter,) = got.json["parameter"]
    assert parameter["name"] == "return"
    found: dict[str, Any] = parameter["valueMeta"]
    return found


async def _nothing(_: Context, __: Invocation) -> dict[str, Any]:
    return {}


def test_rows_do_not_contradict_each_other() -> None:
    row = Operation("$a", frozenset({Level.TYPE}), None, False, "http://x.test/a", _nothing)
    narrower = Operation("$a", frozenset({Level.TYPE}), frozenset({"Patient"}), False, "http://x.test/b", _nothing)
    with pytest.raises(ValueError, match="two operations"):
        Catalogue((row, narrower))
    assert Catalogue((row,)).find("$a", Level.TYPE, "Patient") is row
    assert Catalogue((row,)).find("$a", Level.SYSTEM) is None


def test_labels_are_added_and_removed_without_a_version(service: Served) -> None:
    stored = service.create({**PATIENT, "meta": {"tag": [{"code": "old"}]}})
    path = f"/Patient/{stored['id']}"
    added = returned(service.ask("POST", path + "/$meta-add", meta(tag=[TAG, {"code": "old"}], security=[TAG])))
    assert added["tag"] == [{"code": "old"}, TAG]
    assert added["security"] == [TAG]
    assert returned(service.get(path + "/$meta")) == added
    now = service.get(path)
    assert now.headers["etag"] == 'W/"1"'
    assert now.json["meta"] == added | {key: stored["meta"][key] for key in ("versionId", "lastUpdated")}
    assert service.get(path + "/_history/1").json == now.json
    found = service.get(f"/Patient?_tag=http://x.test%7Ca&_id={stored['id']}").json
    assert len(found["entry"]) == 1
    removed = service.ask("POST", path + "/$meta-delete", meta(tag=[TAG, {"code": "never"}], security=[TAG]))
    assert "security" not in returned(removed)
    assert returned(removed)["tag"] == [{"code": "old"}]
    assert service.ask("PUT", path, {**stored, "gender": "female"}).headers["etag"] == 'W/"2"'


def test_labels_of_an_old_version(service: Served) -> None:
    stored = service.create(PATIENT)
    path = f"/Patient/{stored['id']}"
    service.ask("PUT", path, {**stored, "gender": "female"})
    returned(service.ask("POST", path + "/_history/1/$meta-add", meta(tag=[TAG])))
    assert "tag" in service.get(path + "/_history/1").json["meta"]
    assert "tag" not in service.get(path).json["meta"]
    assert returned(service.get(path + "/_history/1/$meta"))["tag"] == [TAG]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/Patient/none/$meta-add", meta(tag=[TAG]), 404),
        ("/Patient/{id}/_history/7/$meta-add", meta(tag=[TAG]), 404),
        ("/Patient/{id}/$meta-add", parameters(), 400),
        ("/Patient/{id}/$meta-add", PATIENT, 400),
        ("/Patient/{id}/$meta-add", meta(tag="x"), 400),
        ("/Patient/{id}/$meta-add", meta(tag=[{"colour": "red"}]), 400),
        ("/Patient/{id}/$meta-add", parameters(meta={"valueString": "x"}), 400),
    ],
)
def test_labels_that_cannot_be(service: Served, path: str, body: dict[str, Any], status: int) -> None:
    stored = service.create(PATIENT)
    assert service.ask("POST", path.format(id=stored["id"]), body).status == status
    assert service.get(f"/Patient/{stored['id']}").json == stored


def test_validate(service: Served) -> None:
    good = service.ask("POST", "/Patient/$validate", PATIENT)
    assert (good.status, good.json["resourceType"]) == (200, "OperationOutcome")
    bad = service.ask("POST", "/Patient/$validate", {**PATIENT, "gender": "blue"})
    assert (bad.status, bad.issues[0][1]) == (200, "Patient.gender")
    wrapped = service.ask(
        "POST", "/Patient/$validate", parameters(resource={"resource": {**PATIENT, "gender": "blue"}})
    )
    assert wrapped.issues == bad.issues
    stored = service.create(PATIENT)
    assert service.get(f"/Patient/{stored['id']}/$validate").status == 200
    assert service.ask("POST", "/Patient/$validate", b"{", content_type="application/fhir+json").status == 400
    assert service.ask("POST", "/Patient/$validate", PATIENT, accept=XML).xml.tag.endswith("OperationOutcome")


def test_parts_of_what_an_operation_gives(service: Served) -> None:
    patient = service.create(PATIENT)["id"]
    (entry,) = service.get(f"/Patient/{patient}/$everything?_elements=id").json["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta"}


def test_terminology(service: Served) -> None:
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    got = service.get(f"/ValueSet/$expand?url={gender}&_format=json").json
    assert got["expansion"]["total"] == 4
    looked = service.get("/CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male").json
    assert {"name": "display", "valueString": "Male"} in looked["parameter"]
    known = service.ask(
        "POST", "/ValueSet/$validate-code", parameters(url={"valueUri": gender}, code={"valueCode": "male"})
    )
    assert known.status in (200, 400), known.body
    assert service.get("/CodeSystem/$lookup?system=http://x.test&code=a").status == 404
    assert service.get("/ValueSet/$expand").status == 400


def test_everything_has_pages(service: Served) -> None:
    patient = service.create(PATIENT)["id"]
    for _ in range(4):
        service.create({
            "resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": "2026-01-01",
        })  # fmt: skip
    whole = service.get(f"/Patient/{patient}/$everything").json
    assert (whole["type"], len(whole["entry"])) == ("searchset", 5)
    first = service.get(f"/Patient/{patient}/$everything?_count=3").json
    after = next(each["url"] for each in first["link"] if each["relation"] == "next")
    assert after.startswith(f"{BASE}/Patient/{patient}/$everything?_page=")
    rest = service.get(after.removeprefix(BASE)).json
    assert len(first["entry"]) + len(rest["entry"]) == 5
    assert service.get("/Patient/none/$everything").status == 404


def test_the_last_of_each_code(service: Served) -> None:
    patient = service.create(PATIENT)["id"]
    for day in (1, 2):
        service.create({
            "resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
            "category": [{"coding": [{"code": "exam"}]}],
            "valueString": "fast",
            "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": f"2026-01-0{day}",
        })  # fmt: skip
    got = service.get(f"/Observation/$lastn?patient={patient}&category=exam").json
    assert [each["resource"]["effectiveDateTime"] for each in got["entry"]] == ["2026-01-02"]
    assert service.get("/Observation/$lastn").status == 400
