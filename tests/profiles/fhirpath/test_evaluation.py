"""What expressions mean on FHIR resources, and what they may cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from profiles.fhirpath.engine import Environment, FhirPathError, Limits, Node, compile_expression, resource_node
from profiles.fhirpath.errors import TooCostlyError

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "contained": [
        {"resourceType": "Organization", "id": "o", "name": "Ward"},
        {"resourceType": "Organization", "id": "unused"},
    ],
    "extension": [{"url": "http://example.org/age", "valueQuantity": {"value": Decimal("41.0"), "code": "a"}}],
    "active": True,
    "name": [
        {"use": "official", "family": "Lee", "given": ["Ann", "Bo"]},
        {
            "use": "usual",
            "given": [None, "Cy"],
            "_given": [{"extension": [{"url": "http://x", "valueCode": "u"}]}, None],
        },
    ],
    "birthDate": "1970-03",
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1970-03-01T10:00:00+08:00"}]},
    "multipleBirthInteger": 2,
    "contact": [{"gender": "female"}],
    "managingOrganization": {"reference": "#o"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
    "effectiveDateTime": "2026-11-22T08:00:00+08:00",
    "valueQuantity": {"value": Decimal("37.20"), "unit": "C", "system": "http://unitsofmeasure.org", "code": "Cel"},
    "referenceRange": [{"low": {"value": 36}}],
    "component": [
        {"code": {"text": "a"}, "valueString": "x", "referenceRange": [{"text": "of a component"}]},
        {"code": {"text": "b"}, "dataAbsentReason": {"text": "none"}},
    ],
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": PATIENT}, {"resource": OBSERVATION}],
}


def values(text: str, resource: dict[str, Any] | None = None, **environment: Any) -> list[Any]:
    node = resource_node(PATIENT if resource is None else resource)
    return [each.value for each in compile_expression(text).evaluate(node, Environment(**environment))]


def holds(text: str, resource: dict[str, Any] | None = None, **environment: Any) -> bool | None:
    node = resource_node(PATIENT if resource is None else resource)
    return compile_expression(text).holds(node, Environment(**environment))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name.given", ["Ann", "Bo", None, "Cy"]),
        ("Patient.name.where(use = 'official').given.first()", ["Ann"]),
        ("DomainResource.name.family", ["Lee"]),
        ("Observation.status", []),
        ("name[1].use", ["usual"]),
        ("name[7].use", []),
        ("multipleBirth", [2]),
        ("multipleBirth is integer", [True]),
        ("multipleBirth is boolean", [False]),
        ("birthDate.extension('http://example.org/time').value", ["1970-03-01T10:00:00+08:00"]),
        ("name.given.extension.value", ["u"]),
        ("name.given.where(hasValue())", ["Ann", "Bo", "Cy"]),
        ("contained.name", ["Ward"]),
        ("contained.ofType(Organization).id", ["o", "unused"]),
        ("managingOrganization.resolve().name", ["Ward"]),
        ("contact.gender.type().name", ["code"]),
        ("contact.type().name", ["BackboneElement"]),
        ("name.select(given.count())", [2, 2]),
        ("name.given.select($index)", [0, 1, 2, 3]),
        ("name.select($index)", [0, 1]),
        ("name.select(iif(family.exists(), family, use))", ["Lee", "usual"]),
        ("(1|2|3).aggregate($this + $total, 0)", [6]),
        ("('b'|'a'|'b').count()", [2]),
        ("1 'g' + 2 'g' = 3 'g'", [True]),
        ("(true and {}) | (false and {})", [False]),
        ("%ucum", ["http://unitsofmeasure.org"]),
        ("%`ext-x`", ["http://hl7.org/fhir/StructureDefinition/x"]),
        ("%resource.id & '-' & %context.id", ["p-p"]),
        ("name.nothing", []),
        ("extension.value.value.toString()", ["41.0"]),
    ],
)
def test_values(text: str, expected: Sequence[Any]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value.value > 37", True),
        ("value.as(Quantity).unit = 'C'", True),
        ("(value as string).exists()", False),
        ("component.where(value.exists()).code.text = 'a'", True),
        ("component.all(value.exists() or dataAbsentReason.exists())", True),
        ("component.referenceRange.text = 'of a component'", True),
        ("component.value is string", True),
        ("effective is dateTime", True),
        ("effective < @2026-11-22T00:30:00Z", True),
        ("effective <= @2026-11-22", None),
        ("effective >= @2026", None),
        ("effective > @2025", True),
        ("value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()", True),
        ("code.coding.code in ('8310-5' | 'other')", True),
        ("code.coding.exists(system = 'http://loinc.org' and code = '8310-5')", True),
        ("status != 'draft' implies code.exists()", True),
        ("note.text = 'x'", None),
        ("note.text = 'x' or status = 'final'", True),
        ("note.text = 'x' and status = 'draft'", False),
        ("method.exists() xor device.exists()", False),
        ("descendants().reference.empty()", True),
    ],
)
def test_truths(text: str, expected: bool | None) -> None:
    assert holds(text, OBSERVATION) is expected
    given = values(text, OBSERVATION)
    assert given == ([] if expected is None else [expected])


def test_resources_of_a_bundle_have_their_own_types() -> None:
    assert values("entry.resource.ofType(Observation).status", BUNDLE) == ["final"]
    assert values("entry.resource.where($this is Patient).id", BUNDLE) == ["p"]


def test_an_element_can_be_the_focus() -> None:
    component = Node(OBSERVATION["component"][0], "Observation.component")
    assert compile_expression("value.exists() and code.text = 'a'").holds(component) is True
    around = Environment(resource=resource_node(OBSERVATION))
    assert compile_expression("%resource.status = 'final'").holds(component, around) is True


def test_a_node_without_a_known_type_is_read_as_it_is() -> None:
    node = Node({"part": [{"code": "a"}, {"code": "b"}]}, None)
    assert [each.value for each in compile_expression("part.code").evaluate(node)] == ["a", "b"]
    assert compile_expression("descendants().where($this = 'b').exists()").holds(node) is True


def test_values_of_the_wrong_kind_give_nothing() -> None:
    wrong = {"resourceType": "Patient", "name": "text", "contact": [None, 3], "birthDate": {"a": 1}, "active": []}
    for text in (
        "name.given",
        "contact.gender",
        "birthDate.extension",
        "name.family.exists()",
        "contact.name.exists()",
    ):
        assert values(text, wrong) in ([], [False])


def test_contained_resources_must_be_referenced() -> None:
    text = (
        "contained.where((('#'+id in (%resource.descendants().reference | %resource.descendants().as(canonical) |"
        " %resource.descendants().as(uri) | %resource.descendants().as(url))) or"
        " descendants().where(reference = '#').exists() or descendants().where(as(canonical) = '#').exists() or"
        " descendants().where(as(canonical) = '#').exists()).not()).id"
    )
    assert values(text) == ["unused"]


def test_the_host_answers_what_only_it_can_know() -> None:
    organisation = resource_node({"resourceType": "Organization", "id": "x", "name": "Elsewhere"})
    observation = {"resourceType": "Observation", "subject": {"reference": "Organization/x"}, "status": "final"}
    assert values("subject.resolve().name", observation) == []
    assert values("subject.resolve().name", observation, resolve=lambda reference: organisation) == ["Elsewhere"]
    assert values("status.memberOf('http://v')", observation, member_of=lambda node, url: url == "http://v") == [True]
    assert values("status.memberOf('http://v')", observation, member_of=lambda node, url: None) == []
    assert values("conformsTo('http://p')", observation, conforms_to=lambda node, url: False) == [False]
    assert values("%mine", observation, variables={"mine": [organisation]}) == [organisation.value]


def test_the_clock_stands_still_within_an_evaluation() -> None:
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert values("today()", now=moment) == ["2026-11-22"]
    assert values("now() = now() and today() > @2026-11-21", now=moment) == [True]


@pytest.mark.parametrize(
    "text",
    [
        "name.given.single()",
        "name.given = 1 + 'a'",
        "name and true",
        "iif('a', 1, 2)",
        "name.startsWith('a')",
        "%unknown",
        "1 < 'a'",
        "active.as(Nothing)",
        "nothing()",
        "name.where()",
        "name.exists(1, 2)",
        "'a'.matches('(')",
        "2147483647 + 1",
        "-'a'",
        "conformsTo('http://unknown')",
    ],
)
def test_errors_of_the_language(text: str) -> None:
    with pytest.raises(FhirPathError):
        values(text, conforms_to=lambda node, url: None)


@pytest.mark.parametrize(
    "text",
    [
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'.matches('^(a|aa)+$')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'.replaceMatches('(a|a)+$', '')",
        "(1|2|3|4|5|6|7|8|9|10).aggregate($total.combine($total).combine($this)).repeat($this + 1)",
        "descendants().select(%resource.descendants()).select(%resource.descendants()).select(%resource.descendants())",
        "'0123456789'.toChars().aggregate($total & $total & $total & $total & $total & $total, '0123456789').length()",
    ],
)
def test_costly_expressions_end_soon(text: str) -> None:
    with pytest.raises(TooCostlyError):
        values(text, limits=Limits(steps=100_000, regex_seconds=0.02, text_length=10_000))


@pytest.mark.parametrize("number", ["1E+999999999", "-1E+999999999", "1E-999999999", "9" * 500])
@pytest.mark.parametrize(
    "text",
    [
        *(
            f"value.value.{name}"
            for name in ("ceiling()", "round(2)", "power(2)", "sqrt()", "exp()", "ln()", "truncate()")
        ),
        *(f"value.value.{name}" for name in ("toInteger()", "toString()", "lowBoundary()", "precision()", "abs()")),
        *(f"value.value {operator} 3" for operator in ("+", "-", "*", "/", "div", "mod", "~", "=", "<")),
        *(f"value {operator} 1 'kg'" for operator in ("+", "-", "*", "/", "~", "=", "<")),
        "(value | value).count()",
        "value.toString().length()",
        "@2014 + value",
    ],
)
def test_extreme_numbers_are_answered_or_refused(number: str, text: str) -> None:
    quantity = {"value": Decimal(number), "system": "http://unitsofmeasure.org", "code": "mg"}
    try:
        values(text, {"resourceType": "Observation", "valueQuantity": quantity})
    except FhirPathError:
        return
