"""Bindings, invariants, references, contained resources and narrative of the base definitions."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.findings import Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import PLAIN, errors, observation, places, quantity


def warnings(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.expression, each.code) for each in PLAIN.validate(resource) if each.severity is Severity.WARNING]


def test_a_code_outside_its_required_set_is_an_error() -> None:
    found = errors({"resourceType": "Patient", "gender": "lady"})
    assert [(each.expression, each.code) for each in found] == [("Patient.gender", "code-invalid")]
    assert "administrative-gender" in str(found[0].rule)


def test_a_concept_outside_an_extensible_set_is_a_warning() -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
    patient = {"resourceType": "Patient", "maritalStatus": {"coding": [{"system": system, "code": "X9"}]}}
    assert errors(patient) == []
    assert ("Patient.maritalStatus", "code-invalid") in warnings(patient)


def test_a_required_concept_needs_a_code_of_the_set() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}
    assert errors({**condition, "clinicalStatus": {"coding": [{"system": system, "code": "active"}]}}) == []
    for concept in ({"coding": [{"system": system, "code": "gone"}]}, {"text": "active"}):
        assert places(errors({**condition, "clinicalStatus": concept})) == ["Condition.clinicalStatus"]


def test_a_language_is_of_the_largest_set_even_where_the_binding_is_weak() -> None:
    assert errors({"resourceType": "Patient", "language": "zh-Hans-CN"}) == []
    assert places(errors({"resourceType": "Patient", "language": "not a language"})) == ["Patient.language"]


@pytest.mark.parametrize(
    ("resource", "place", "rule"),
    [
        ({"resourceType": "Patient", "contact": [{"gender": "female"}]}, "Patient.contact[0]", "pat-1"),
        ({"resourceType": "Organization", "active": True}, "Organization", "org-1"),
        ({"resourceType": "Patient", "telecom": [{"value": "1"}]}, "Patient.telecom[0]", "cpt-2"),
        ({"resourceType": "Patient", "photo": [{"data": "aGk="}]}, "Patient.photo[0]", "att-1"),
        (
            {"resourceType": "Patient", "name": [{"period": {"start": "2024-02", "end": "2024-01"}}]},
            "Patient.name[0].period",
            "per-1",
        ),
        (
            observation(dataAbsentReason={"text": "x"}, valueString="x"),
            "Observation",
            "obs-6",
        ),
        (observation(valueQuantity={"value": 1, "code": "g"}), "Observation.value.ofType(Quantity)", "qty-3"),
        (observation(referenceRange=[{"age": {"low": quantity(1, "a")}}]), "Observation.referenceRange[0]", "obs-3"),
        (
            observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
            "Observation.referenceRange[0].low",
            "sqty-1",
        ),
        (observation(valueRatio={"numerator": {"value": 1}}), "Observation.value.ofType(Ratio)", "rat-1"),
        (
            {"resourceType": "Parameters", "parameter": [{"name": "a"}]},
            "Parameters.parameter[0]",
            "inv-1",
        ),
        (
            {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group"}]},
            "Questionnaire.item[0]",
            "que-1",
        ),
    ],
)
def test_invariants_are_named_and_placed(resource: dict[str, Any], place: str, rule: str) -> None:
    assert [(each.expression, each.rule) for each in errors(resource)] == [(place, rule)]


@pytest.mark.parametrize("end", ["2024-01-01", "2024-01", "2024", "2024-01-01T00:00:00Z", "2024-06"])
def test_a_period_that_may_be_in_order_passes(end: str) -> None:
    period = {"start": "2024-01-01", "end": end}
    assert errors({"resourceType": "Patient", "name": [{"period": period}]}) == []


def test_a_missing_narrative_is_advised() -> None:
    assert ("Patient", "invariant") in warnings({"resourceType": "Patient"})


def test_a_reference_to_a_type_that_is_not_allowed() -> None:
    resource = observation(subject={"reference": "Practitioner/1"})
    assert errors(resource) == []
    assert ("Observation.subject", "value") in warnings(resource)
    strict = Options(targets=Severity.ERROR)
    assert places(errors(resource, options=strict)) == ["Observation.subject"]
    assert errors(observation(subject={"reference": "https://a.test/fhir/Patient/1"}), options=strict) == []


def test_a_relative_reference_names_a_type() -> None:
    assert places(errors(observation(subject={"reference": "4711"}))) == ["Observation.subject"]


def test_contained_resources() -> None:
    inner = {"resourceType": "Patient", "id": "p"}
    assert errors(observation(contained=[inner], subject={"reference": "#p"})) == []
    back = {"resourceType": "Provenance", "id": "v", "target": [{"reference": "#"}], "recorded": "2024-01-01T00:00:00Z"}
    back["agent"] = [{"who": {"display": "x"}}]
    assert errors(observation(contained=[back])) == []


@pytest.mark.parametrize(
    ("contained", "rule"),
    [
        ([{"resourceType": "Patient", "id": "q"}], "dom-3"),
        ([{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}], "dom-4"),
        ([{"resourceType": "Patient", "id": "p", "meta": {"security": [{"code": "R"}]}}], "dom-5"),
        ([{"resourceType": "Patient", "id": "p", "contained": [{"resourceType": "Patient", "id": "x"}]}], "dom-2"),
        ([{"resourceType": "Patient", "id": "p"}, {"resourceType": "Patient", "id": "p"}], None),
        ([{"resourceType": "Patient"}], None),
    ],
)
def test_rules_of_contained_resources(contained: list[dict[str, Any]], rule: str | None) -> None:
    found = errors(observation(contained=contained, subject={"reference": "#p"}))
    assert rule in [each.rule for each in found]


def test_a_fragment_without_a_contained_resource() -> None:
    assert [each.rule for each in errors(observation(subject={"reference": "#p"}))] == ["ref-1"]


def test_the_type_of_a_contained_resource_is_sure() -> None:
    inner = {"resourceType": "Organization", "id": "o", "name": "x"}
    found = errors(observation(contained=[inner], subject={"reference": "#o"}))
    assert places(found) == ["Observation.subject"]


XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>text</div>",
        f'<div {XHTML}><p class="a">a &amp; b<br/><a href="https://a.test/x?y=1&amp;z=2">l</a></p></div>',
        f"<div {XHTML}><!-- note --><table><tr><td colspan='2'>1 &lt; 2</td></tr></table></div>",
        f'<div {XHTML}><img src="#x" alt="y"/></div>',
    ],
)
def test_narrative_that_may_be_shown(div: str) -> None:
    assert errors({"resourceType": "Patient", "text": {"status": "generated", "div": div}}) == []


@pytest.mark.parametrize(
    ("div", "rule"),
    [
        (f"<div {XHTML}><script>alert(1)</script></div>", "txt-1"),
        (f'<div {XHTML}><p onclick="x()">a</p></div>', "txt-1"),
        (f'<div {XHTML}><a href="javascript:x()">a</a></div>', "txt-1"),
        (f'<div {XHTML}><a href=" JavaScript:x()">a</a></div>', "txt-1"),
        (f'<div {XHTML}><a href="&#106;avascript:x()">a</a></div>', "txt-1"),
        (f'<div {XHTML}><a href="java&#10;script:x()">a</a></div>', "txt-1"),
        (f'<div {XHTML}><img src="data:text/html,x"/></div>', "txt-1"),
        (f'<div {XHTML}><p style="background:URL (x)">a</p></div>', "txt-1"),
        (f'<div {XHTML}><p style="background:u\\72l(x)">a</p></div>', "txt-1"),
        (f'<div {XHTML}><iframe src="x"></iframe>a</div>', "txt-1"),
        (f"<div {XHTML}><form>a</form></div>", "txt-1"),
        (f"<div {XHTML}>a<p></div>", None),
        (f"<div {XHTML}>a</div><div>b</div>", None),
        (f"<div {XHTML}>&nbsp;</div>", None),
        (f"<div {XHTML}>a < b</div>", None),
        (f"<div {XHTML}><![CDATA[a]]></div>", None),
        ('<!DOCTYPE x [<!ENTITY a "b">]><div>&a;</div>', None),
        ("<div>no namespace</div>", None),
        ("<p>a</p>", None),
        ("plain", None),
        (5, None),
        (f"<div {XHTML}>" + "<b>" * 300 + "x" + "</b>" * 300 + "</div>", None),
    ],
)
def test_narrative_that_may_not(div: Any, rule: str | None) -> None:
    found = errors({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
    assert [(each.expression, each.rule) for each in found] == [("Patient.text.div", rule)]


def test_an_empty_narrative_is_doubtful() -> None:
    patient = {"resourceType": "Patient", "text": {"status": "generated", "div": f"<div {XHTML}> </div>"}}
    assert errors(patient) == []
    assert [each.rule for each in errors(patient, options=Options(doubtful=Severity.ERROR))] == ["txt-2"]


def test_markup_in_strings_is_refused_on_demand() -> None:
    patient = {"resourceType": "Patient", "name": [{"text": "<b>Mei</b>"}]}
    assert errors(patient) == []
    assert places(errors(patient, options=Options(refuse_markup=True))) == ["Patient.name[0].text"]
