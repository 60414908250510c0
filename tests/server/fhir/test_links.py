"""References rewritten: where names count as links and where they are only text."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.definitions import definitions
from server.fhir.json_form import Resource
from server.fhir.links import NEVER_LINKS, NO_LINKS, Links, finished, relink
from server.kernel.problem import Kind, Problem

URN = "urn:uuid:11111111-1111-4111-8111-111111111111"
OID = "urn:oid:1.2.3"
ABSOLUTE = "http://other.example/fhir/Patient/1"
LINKS = Links(
    targets={URN: "Patient/p", OID: "Device/d", ABSOLUTE: "Patient/q", "Patient/p": "Patient/p", "Group/x": "Group/y"},
    versions={"Patient/p": 3, "Patient/q": 5},
    is_closed=True,
)


def relinked(resource: Resource, base: str = "") -> Resource:
    return relink(resource, LINKS, base).resource


@pytest.mark.parametrize(
    ("reference", "becomes"),
    [
        (URN, "Patient/p"),
        (OID, "Device/d"),
        (ABSOLUTE, "Patient/q"),
        ("Group/x", "Group/y"),
        (URN + "#part", "Patient/p#part"),
        (ABSOLUTE + "/_history/1", "Patient/q/_history/5"),
        ("Patient/p/_history/2", "Patient/p/_history/3"),
        ("#contained", "#contained"),
        ("Patient/other", "Patient/other"),
        ("http://elsewhere.example/Patient/1", "http://elsewhere.example/Patient/1"),
        ("http://elsewhere.example/Patient/1/_history/1", "http://elsewhere.example/Patient/1/_history/1"),
        ("urn:isbn:1", "urn:isbn:1"),
    ],
)
def test_references(reference: str, becomes: str) -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": reference, "display": reference}}
    assert relinked(resource)["subject"] == {"reference": becomes, "display": reference}


def test_references_are_found_at_any_depth_and_what_does_not_change_is_kept() -> None:
    kept = {"coding": [{"code": "x"}]}
    resource: Resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Procedure", "subject": {"reference": URN}}],
        "extension": [{"url": "http://x", "valueReference": {"reference": URN}}],
        "code": kept,
    }
    made = relinked(resource)
    assert made["contained"][0]["subject"] == {"reference": "Patient/p"}
    assert made["extension"][0]["valueReference"] == {"reference": "Patient/p"}
    assert made["code"] is kept
    assert resource["contained"][0]["subject"] == {"reference": URN}
    plain = {"resourceType": "Observation", "code": kept}
    assert relinked(plain) is plain


@pytest.mark.parametrize(
    ("resource", "place", "is_replaced"),
    [
        ({"resourceType": "Patient", "photo": [{"url": URN}]}, ("photo", 0, "url"), True),
        ({"resourceType": "Patient", "extension": [{"url": "x", "valueUri": URN}]}, ("extension", 0, "valueUri"), True),
        ({"resourceType": "Patient", "extension": [{"url": "x", "valueUrl": URN}]}, ("extension", 0, "valueUrl"), True),
        ({"resourceType": "Patient", "extension": [{"url": "x", "valueOid": OID}]}, ("extension", 0, "valueOid"), True),
        (
            {"resourceType": "Patient", "extension": [{"url": "x", "valueUuid": URN}]},
            ("extension", 0, "valueUuid"),
            True,
        ),
        (
            {"resourceType": "Patient", "extension": [{"url": "x", "valueCanonical": URN}]},
            ("extension", 0, "valueCanonical"),
            False,
        ),
        (
            {"resourceType": "Patient", "extension": [{"url": "x", "valueString": URN}]},
            ("extension", 0, "valueString"),
            False,
        ),
        (
            {"resourceType": "Patient", "extension": [{"url": "x", "valueMarkdown": URN}]},
            ("extension", 0, "valueMarkdown"),
            False,
        ),
        ({"resourceType": "Patient", "identifier": [{"value": URN}]}, ("identifier", 0, "value"), False),
        ({"resourceType": "Observation", "instantiatesCanonical": [URN]}, ("instantiatesCanonical", 0), False),
        ({"resourceType": "Procedure", "instantiatesUri": [URN]}, ("instantiatesUri", 0), True),
        (
            {"resourceType": "List", "contained": [{"resourceType": "Patient", "photo": [{"url": URN}]}]},
            ("contained", 0, "photo", 0, "url"),
            True,
        ),
    ],
)
def test_the_type_of_an_element_says_whether_it_links(
    resource: Resource, place: tuple[Any, ...], is_replaced: bool
) -> None:
    found: Any = relinked(resource)
    for step in place:
        found = found[step]
    assert (found in ("Patient/p", "Device/d")) is is_replaced


def test_links_of_the_narrative_follow() -> None:
    div = f'<div><a href="{URN}">{URN}</a><img src=\'{URN}#x\'/><a href="http://x">y</a></div>'
    made = relinked({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    assert made["text"]["div"] == (
        f'<div><a href="Patient/p">{URN}</a><img src=\'Patient/p#x\'/><a href="http://x">y</a></div>'
    )


def test_relative_references_are_meant_by_the_service_a_resource_came_from() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient/1"}}
    assert relinked(resource, "http://other.example/fhir")["subject"] == {"reference": "Patient/q"}
    assert relinked(resource, "http://third.example/fhir")["subject"] == {"reference": "Patient/1"}


def test_conditional_references_are_reported_then_replaced() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient?identifier=7"}}
    assert relink(resource, NO_LINKS).conditional == {"Patient?identifier=7"}
    links = Links(conditional={"Patient?identifier=7": "Patient/p"})
    assert relink(resource, links).resource["subject"] == {"reference": "Patient/p"}


def test_a_name_nobody_has_is_refused_only_within_a_bundle() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "urn:uuid:none"}}
    assert relink(resource, NO_LINKS).resource is resource
    with pytest.raises(Problem) as raised:
        relinked(resource)
    assert raised.value.kind is Kind.INVALID


def test_a_bundle_within_a_bundle_keeps_its_own_names() -> None:
    resource = {"resourceType": "Bundle", "entry": [{"resource": {"subject": {"reference": "urn:uuid:none"}}}]}
    assert relinked(resource) is resource


def test_what_the_definitions_do_not_know_is_left_alone() -> None:
    resource: Resource = {"resourceType": "Nonsense", "x": URN, "contained": [{"resourceType": 5, "y": {"z": URN}}]}
    assert relinked(resource) == resource


def test_conditional_references_are_finished_without_a_second_walk() -> None:
    reference = {"reference": "Patient?identifier=7"}
    resource = {"resourceType": "Observation", "subject": reference, "performer": [{"reference": URN}, reference]}
    begun = relink(resource, LINKS)
    made = finished(begun, {"Patient?identifier=7": "Patient/p"}).resource
    assert made["subject"] == {"reference": "Patient/p"}
    assert made["performer"] == [{"reference": "Patient/p"}, {"reference": "Patient/p"}]
    assert reference == {"reference": "Patient?identifier=7"}


def test_conditional_references_are_finished_beside_other_texts_that_link() -> None:
    resource = {"resourceType": "Observation", "implicitRules": URN, "subject": {"reference": "Patient?identifier=7"}}
    made = finished(relink(resource, LINKS), {"Patient?identifier=7": "Patient/p"}).resource
    assert made == {"resourceType": "Observation", "implicitRules": "Patient/p", "subject": {"reference": "Patient/p"}}


@pytest.mark.slow
def test_the_names_that_are_passed_over_never_link() -> None:
    known = definitions()
    found = (known.structure(url) for url in known.urls())
    objects = [each for each in found if each and each["kind"] in ("resource", "complex-type")]
    structures = [each for each in objects if each.get("derivation") != "constraint"]
    types: dict[str, set[str]] = {}
    for structure in structures:
        for path in {each["path"].rpartition(".")[0] for each in structure["snapshot"]["element"]} - {""}:
            for name, member in known.shape(path).members.items():
                types.setdefault(name, set()).add(member.type)
    linking = {name for name, kinds in types.items() if kinds & {"uri", "url", "oid", "uuid", "xhtml"}}
    assert "system" in linking
    assert not linking & NEVER_LINKS
