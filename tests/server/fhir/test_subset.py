"""`_summary` and `_elements` keep what they must and say that something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.fhir import json_form
from server.fhir.subset import SUBSETTED, WHOLE, Subset, Summary, parse_subset
from server.kernel.problem import Kind, Problem
from tests.data.r4_examples import r4_examples

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "3", "tag": [{"code": "x"}]},
    "text": {"status": "generated", "div": "<div/>"},
    "extension": [{"url": "http://x.test/e", "valueCode": "a"}],
    "active": True,
    "name": [{"family": "Chalmers", "_given": [{"id": "g"}], "extension": [{"url": "http://x.test/n"}]}],
    "birthDate": "1974-12-25",
    "_birthDate": {"id": "b"},
    "maritalStatus": {"text": "married"},
    "photo": [{"data": "QUJD"}],
    "link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}],
}


def names(part: dict[str, Any]) -> set[str]:
    return set(part) - {"resourceType", "id", "meta"}


def part(query: str, resource: dict[str, Any] = PATIENT) -> dict[str, Any]:
    return parse_subset([tuple(each.split("=")) for each in query.split("&")]).of(resource)  # type: ignore[misc]


def test_a_summary_keeps_what_the_definition_marks() -> None:
    summary = part("_summary=true")
    assert names(summary) == {"active", "name", "birthDate", "_birthDate", "link"}
    assert summary["name"] == [{"family": "Chalmers", "_given": [{"id": "g"}]}]


def test_a_summary_goes_into_elements_and_leaves_nothing_empty() -> None:
    summary = part(
        "_summary=true",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "content": [{"attachment": {"data": "QUJD"}}, {"attachment": {"contentType": "a/b", "data": "QUJD"}}],
        },
    )
    assert summary["content"] == [{"attachment": {"contentType": "a/b"}}]


def test_a_modifier_extension_stays_whole() -> None:
    modifier = [{"url": "http://x.test/m", "valueString": "not"}]
    assert part("_summary=true", {**PATIENT, "modifierExtension": modifier})["modifierExtension"] == modifier


def test_text_data_and_false() -> None:
    assert names(part("_summary=text")) == {"text"}
    assert names(part("_summary=data")) == names(PATIENT) - {"text"}
    assert part("_summary=false") is PATIENT


def test_elements_are_kept_with_what_must_be_there() -> None:
    assert names(part("_elements=birthDate,name")) == {"name", "birthDate", "_birthDate"}
    observation = {"resourceType": "Observation", "status": "final", "code": {}, "valueInteger": 1, "issued": "x"}
    assert names(part("_elements=value", observation)) == {"status", "code", "valueInteger"}
    assert names(part("_elements=value[x]", observation)) == {"status", "code", "valueInteger"}
    assert names(part("_elements=Observation.issued,Patient.name", observation)) == {"status", "code", "issued"}


def test_a_part_is_tagged_and_the_whole_is_left_as_it_was() -> None:
    assert part("_elements=name")["meta"] == {"versionId": "3", "tag": [{"code": "x"}, SUBSETTED]}
    assert list(part("_elements=name", {"resourceType": "Patient", "id": "a", "name": []})) == [
        "resourceType", "id", "meta", "name",
    ]  # fmt: skip
    assert PATIENT["meta"]["tag"] == [{"code": "x"}]
    once = part("_summary=data")
    assert part("_summary=data", once)["meta"] == once["meta"]


def test_elements_are_not_about_what_is_included() -> None:
    assert Subset(elements=frozenset({"name"})).of_included(PATIENT) is PATIENT
    assert names(Subset(Summary.TEXT).of_included(PATIENT)) == {"text"}


@pytest.mark.parametrize(
    "query", ["_summary=yes", "_elements=name,", "_elements=na me", "_elements=a.b.c", "_summary=true&_elements=name"]
)
def test_what_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(Problem) as caught:
        part(query)
    assert caught.value.kind is Kind.INVALID


def test_nothing_asked_is_everything() -> None:
    assert parse_subset([("_summary", ""), ("name", "a")]) == WHOLE
    assert WHOLE.is_whole


def test_summaries_of_official_examples_keep_nothing_empty(shared: Path) -> None:
    for name, text in r4_examples(shared):
        summary = Subset(Summary.TRUE).of(json_form.decode(text))
        assert not [each for each in json_form.walk(summary) if not each or [] in each.values()], name
