"""Bundles, their entries, and references within them."""

from __future__ import annotations

from typing import Any

from profiles.findings import Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import errors, observation, places


def bundle(kind: str, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **members}


def entry(url: str | None, resource: dict[str, Any]) -> dict[str, Any]:
    return ({"fullUrl": url} if url else {}) | {"resource": resource}


def test_a_plain_collection_passes() -> None:
    patient = {"resourceType": "Patient", "id": "1"}
    assert errors(bundle("collection", entry("https://a.test/fhir/Patient/1", patient))) == []


def test_a_full_url_is_absolute_and_that_of_its_resource() -> None:
    patient = {"resourceType": "Patient", "id": "1"}
    assert places(errors(bundle("collection", entry("Patient/1", patient)))) == ["Bundle.entry[0]"]
    nameless = bundle("collection", entry("https://a.test/Patient/1", {"resourceType": "Patient"}))
    assert places(errors(nameless)) == ["Bundle.entry[0]"]
    other = bundle("collection", entry("https://a.test/Patient/2", patient))
    assert errors(other) == []
    assert places(errors(other, options=Options(doubtful=Severity.ERROR))) == ["Bundle.entry[0]"]


def test_invariants_look_at_the_whole_bundle() -> None:
    patient = {"resourceType": "Patient"}
    assert [each.rule for each in errors(bundle("transaction", entry(None, patient)))] == ["bdl-3"]
    twice = [entry("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", patient)] * 2
    assert [each.rule for each in errors(bundle("collection", *twice))] == ["bdl-7"]


def test_one_link_of_a_kind() -> None:
    link = [{"relation": "self", "url": "https://a.test/1"}, {"relation": "self", "url": "https://a.test/2"}]
    assert places(errors(bundle("searchset", link=link, total=0) | {"entry": [entry(None, observation())]})) == [
        "Bundle.link[1]"
    ]


def test_errors_of_entries_are_placed_in_the_bundle() -> None:
    found = errors(bundle("collection", entry(None, {"resourceType": "Patient", "gender": 5})))
    assert places(found) == ["Bundle.entry[0].resource.gender"]


def test_the_type_of_what_a_bundle_holds_is_sure() -> None:
    url = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
    held = entry(url, {"resourceType": "Organization", "name": "x"})
    wrong = entry("urn:uuid:c757873d-ec9a-4326-a141-556f43239521", observation(subject={"reference": url}))
    assert places(errors(bundle("collection", held, wrong))) == ["Bundle.entry[1].resource.subject"]


def test_references_of_a_document_are_met_in_it() -> None:
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "x"},
        "date": "2026-11-22",
        "title": "x",
        "author": [{"reference": "Practitioner/1"}],
        "section": [{"title": "a", "entry": [{"reference": "Observation/9"}]}],
    }
    practitioner = {"resourceType": "Practitioner", "id": "1"}
    document = bundle(
        "document",
        entry("https://a.test/Composition/c", composition),
        entry("https://a.test/Practitioner/1", practitioner),
        identifier={"system": "urn:oid:1.2.3", "value": "1"},
        timestamp="2026-11-22T10:00:00Z",
    )
    found = errors(document)
    assert [(each.expression, each.code) for each in found] == [
        ("Bundle.entry[0].resource.section[0].entry[0]", "not-found")
    ]


def test_an_entry_can_be_held_against_a_profile() -> None:
    vitals = "http://hl7.org/fhir/StructureDefinition/vitalsigns"
    options = Options(profiles_of_entries=(("Observation", 0, vitals),))
    found = errors(bundle("collection", entry(None, observation(valueString="x"))), options=options)
    assert {each.expression for each in found} == {"Bundle.entry[0].resource"}


def test_a_document_of_no_entries_is_refused() -> None:
    assert errors(bundle("document"))
