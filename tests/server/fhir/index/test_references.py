"""References, canonicals and URIs: forms, modifiers, who counts as local (S80 to S89)."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.index.bases import Bases
from server.fhir.index.references import type_of
from server.kernel.problem import Problem
from tests.server.fhir.index.asking import BASE, found, is_found, names


def about(reference: str | None, **more: Any) -> dict[str, Any]:
    return {"subject": ({"reference": reference} if reference else {}) | more}


OBSERVATIONS = {
    "relative": about("Patient/1"),
    "absolute": about(f"{BASE}/Patient/1"),
    "insecure": about(f"{BASE.replace('https', 'http')}/Patient/1"),
    "foreign": about("https://other.example.org/fhir/Patient/1"),
    "version": about("Patient/1/_history/2"),
    "group": about("Group/1"),
    "contained": about("#p") | {"contained": [{"resourceType": "Patient", "id": "p"}]},
    "logical": about(None, identifier={"system": "http://s", "value": "77"}),
    "display": about(None, display="Somebody"),
    "none": {},
}
LOCAL = "relative absolute insecure version"
PRESENT = f"{LOCAL} foreign group contained logical display"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("subject=Patient/1", LOCAL),
        (f"subject={BASE}/Patient/1", LOCAL),
        ("subject=http://weft.example.org/fhir/Patient/1", LOCAL),
        ("subject=1", f"{LOCAL} group"),
        ("subject:Patient=1", LOCAL),
        ("subject:Patient=Patient/1", LOCAL),
        ("subject:Group=1", "group"),
        ("subject=patient/1", ""),
        ("subject=https://other.example.org/fhir/Patient/1", "foreign"),
        ("subject=Patient/1/_history/2", "version"),
        ("subject=Patient/1/_history/3", ""),
        ("subject:identifier=http://s|77", "logical"),
        ("subject:identifier=77", "logical"),
        ("subject=Group/1,Patient/1", f"{LOCAL} group"),
        ("subject:missing=true", "none"),
        ("subject:missing=false", PRESENT),
        ("patient=1", LOCAL),
        ("patient=Patient/1", LOCAL),
        ("patient=Group/1", ""),
        ("patient=https://other.example.org/fhir/Patient/1", "foreign"),
        ("patient:identifier=http://s|77", "logical"),
        ("patient:missing=false", f"{LOCAL} foreign contained"),
    ],
)
def test_forms_of_a_reference(asked: str, expected: str) -> None:
    assert found(asked, "Observation", OBSERVATIONS) == names(expected)


@pytest.mark.parametrize(
    "asked", ["subject:Medication=1", "subject:exact=1", "subject:below=Patient/1", "subject:identifier=a|b|c"]
)
def test_what_cannot_be_read_is_refused(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(asked, "Observation", {})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Patient/1", "Patient"),
        ("https://x.org/a/b/Patient/1/_history/2", "Patient"),
        ("patient/1", None),
        ("Elephant/1", None),
        ("urn:uuid:05f4a2c0-0000-4000-8000-000000000000", None),
        ("#p", None),
    ],
)
def test_the_type_that_a_reference_names(text: str, kind: str | None) -> None:
    assert type_of(text) == kind


def test_a_base_ends_where_a_path_step_ends() -> None:
    bases = Bases.of(["https://x.org/fhir/"])
    assert bases.local("http://x.org/fhir/Patient/1") == "Patient/1"
    assert bases.local("http://x.org/fhirs/Patient/1") == "http://x.org/fhirs/Patient/1"
    assert bases.local("ftp://x.org/fhir/Patient/1") == "ftp://x.org/fhir/Patient/1"


PLANS = {
    "bare": {"instantiatesCanonical": ["http://x.org/P"]},
    "one": {"instantiatesCanonical": ["http://x.org/P|1.0"]},
    "later": {"instantiatesCanonical": ["http://x.org/P|1.2#part"]},
    "two": {"instantiatesCanonical": ["http://x.org/P|2.0"]},
    "other": {"instantiatesCanonical": ["http://x.org/Plan"]},
    "none": {},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("=http://x.org/P", "bare one later two"),
        ("=http://x.org/P|1.0", "one"),
        ("=http://x.org/P|1.2", "later"),
        ("=http://x.org/P|1.2#part", "later"),
        (":below=http://x.org/P|1", "one later"),
        (":below=http://x.org/P", "bare one later two other"),
        (":above=http://x.org/P|1.2.7", "later"),
        (":above=http://x.org/P/Q", "bare one later two"),
        (":missing=true", "none"),
    ],
)
def test_a_canonical_has_versions(asked: str, expected: str) -> None:
    assert found(f"instantiates-canonical{asked}", "CarePlan", PLANS) == names(expected)


def test_a_canonical_has_no_identifier() -> None:
    with pytest.raises(Problem):
        is_found("instantiates-canonical:identifier=x", "CarePlan", {})


SETS = {
    "one": {"url": "http://acme.org/fhir/ValueSet/1", "version": "1.0"},
    "two": {"url": "http://acme.org/fhir/ValueSet/1", "version": "2.1"},
    "deep": {"url": "http://acme.org/fhir/ValueSet/1/more"},
    "urn": {"url": "urn:oid:1.2.3"},
    "upper": {"url": "http://acme.org/FHIR/ValueSet/1"},
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("url=http://acme.org/fhir/ValueSet/1", "one two"),
        ("url=http://acme.org/fhir/ValueSet/1|1.0", "one"),
        ("url:below=http://acme.org/fhir/ValueSet/1|2", "two"),
        ("url:below=http://acme.org/fhir/", "one two deep"),
        ("url:above=http://acme.org/fhir/ValueSet/1/more/x", "one two deep"),
        ("url=urn:oid:1.2.3", "urn"),
        ("url=urn:oid:1.2", ""),
    ],
)
def test_a_uri(asked: str, expected: str) -> None:
    assert found(asked, "ValueSet", SETS) == names(expected)


@pytest.mark.parametrize("asked", ["url:below=urn:oid:1.2", "url:above=urn:oid:1.2.3.4", "url:contains=x"])
def test_only_urls_have_a_hierarchy(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(asked, "ValueSet", {})


def test_profile_and_source() -> None:
    meta = {"meta": {"profile": ["http://p.org/a|2.0"], "source": "http://s.org/x#7"}}
    assert is_found("_profile=http://p.org/a", "Patient", meta)
    assert is_found("_profile=http://p.org/a|2.0", "Patient", meta)
    assert not is_found("_profile=http://p.org/a|1.0", "Patient", meta)
    assert is_found("_profile:below=http://p.org/a|2", "Patient", meta)
    assert is_found("_source=http://s.org/x#7", "Patient", meta)
    assert not is_found("_source=http://s.org/x", "Patient", meta)


def test_the_first_entry_of_a_document_is_its_composition() -> None:
    entries = {
        "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}, {"resource": {"resourceType": "Patient"}}]
    }
    assert is_found("composition=Composition/c", "Bundle", entries)
    assert is_found("composition=c", "Bundle", entries)
    assert is_found("message:missing=true", "Bundle", entries)
