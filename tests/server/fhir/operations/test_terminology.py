"""The terminology operations, from their parameters to the resource answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from profiles.terminology.service import Terminology
from server.fhir.operations.parameters import OperationParameters
from server.fhir.operations.terminology import TerminologyOperations
from server.kernel.problem import Kind, Problem

GENDERS = "http://hl7.org/fhir/administrative-gender"
GENDER_SET = "http://hl7.org/fhir/ValueSet/administrative-gender"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


OPERATIONS = TerminologyOperations(Terminology(), Noon(), lambda: "urn:uuid:1")


def query(**pairs: str) -> OperationParameters:
    return OperationParameters.of_query((name.replace("__", "-"), value) for name, value in pairs.items())


def sent(*given: dict[str, Any]) -> OperationParameters:
    return OperationParameters.read({"resourceType": "Parameters", "parameter": list(given)})


def values(answer: dict[str, Any], name: str) -> list[Any]:
    found = [each for each in answer["parameter"] if each["name"] == name]
    return [next(value for key, value in each.items() if key != "name") for each in found]


def parts(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in each}
        for each in values(answer, name)
    ]


def refusal(operation: str, given: OperationParameters) -> tuple[Kind, str | None]:
    with pytest.raises(Problem) as error:
        getattr(OPERATIONS, operation)(given)
    return error.value.kind, error.value.issues[0].code


def test_expand() -> None:
    answer = OPERATIONS.expand(query(url=GENDER_SET, filter="ale", count="1", offset="0"))
    assert answer["resourceType"] == "ValueSet"
    assert answer["expansion"] == {
        "identifier": "urn:uuid:1",
        "timestamp": "2026-01-01T12:00:00.000Z",
        "total": 2,
        "offset": 0,
        "parameter": [
            {"name": "filter", "valueString": "ale"},
            {"name": "count", "valueInteger": 1},
            {"name": "offset", "valueInteger": 0},
            {"name": "version", "valueUri": GENDERS + "|4.0.1"},
        ],
        "contains": [{"system": GENDERS, "code": "male", "display": "Male"}],
    }


def test_expand_a_value_set_that_was_sent() -> None:
    include = {"system": ACT, "filter": [{"property": "concept", "op": "is-a", "value": "_ActAccountCode"}]}
    posted = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [include]}}
    answer = OPERATIONS.expand(sent({"name": "valueSet", "resource": posted}))
    assert answer["expansion"]["total"] == 9


def test_expand_what_an_element_is_bound_to() -> None:
    context = "http://hl7.org/fhir/StructureDefinition/Patient#Patient.gender"
    assert OPERATIONS.expand(query(context=context))["url"] == GENDER_SET
    assert refusal("expand", query(context=context + "x")) == (Kind.NOT_FOUND, "not-found")


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        (query(), Kind.INVALID, "required"),
        (query(url="http://example.org/unheard-of"), Kind.NOT_FOUND, "not-found"),
        (query(url=GENDER_SET, valueSetVersion="3.0.0"), Kind.NOT_FOUND, "not-found"),
        (query(url="http://hl7.org/fhir/ValueSet/body-site"), Kind.UNSUPPORTED, "not-supported"),
        (query(url="http://hl7.org/fhir/ValueSet/mimetypes"), Kind.UNSUPPORTED, "too-costly"),
        (query(url=GENDER_SET, offset="1"), Kind.INVALID, "invalid"),
        (query(url=GENDER_SET, count="many"), Kind.INVALID, "invalid"),
        (query(url=GENDER_SET, surprise="1"), Kind.INVALID, "invalid"),
        (query(url=GENDER_SET, system__version=GENDERS), Kind.INVALID, "invalid"),
        (query(url=GENDER_SET, system__version=GENDERS + "|1"), Kind.UNSUPPORTED, "not-supported"),
    ],
)
def test_expansions_refused(given: OperationParameters, kind: Kind, code: str) -> None:
    assert refusal("expand", given) == (kind, code)


def test_validate_in_a_value_set() -> None:
    answer = OPERATIONS.validate_in_value_set(query(url=GENDER_SET, system=GENDERS, code="male"))
    assert answer["parameter"] == [
        {"name": "result", "valueBoolean": True},
        {"name": "display", "valueString": "Male"},
    ]
    wrong = OPERATIONS.validate_in_value_set(query(url=GENDER_SET, system=GENDERS, code="male", display="Man"))
    assert values(wrong, "result") == [False]
    assert "Male" in values(wrong, "message")[0]


def test_validate_a_concept() -> None:
    concept = {"coding": [{"system": "http://example.org", "code": "m"}, {"system": GENDERS, "code": "male"}]}
    given = sent({"name": "url", "valueUri": GENDER_SET}, {"name": "codeableConcept", "valueCodeableConcept": concept})
    assert values(OPERATIONS.validate_in_value_set(given), "result") == [True]


def test_validate_in_a_code_system() -> None:
    assert values(OPERATIONS.validate_in_code_system(query(url=GENDERS, code="male")), "result") == [True]
    assert values(OPERATIONS.validate_in_code_system(query(url=GENDERS, code="m")), "result") == [False]
    abstract = {"url": ACT, "code": "_ActAccountCode"}
    assert values(OPERATIONS.validate_in_code_system(query(**abstract)), "result") == [False]
    assert values(OPERATIONS.validate_in_code_system(query(**abstract, abstract="true")), "result") == [True]
    coding = {"name": "coding", "valueCoding": {"system": GENDERS, "code": "other"}}
    assert values(OPERATIONS.validate_in_code_system(sent(coding)), "display") == ["Other"]


def test_exactly_one_form_of_a_code() -> None:
    none = query(url=GENDER_SET)
    both = query(url=GENDER_SET, code="male", coding=GENDERS + "|male")
    assert refusal("validate_in_value_set", none) == (Kind.INVALID, "required")
    assert refusal("validate_in_value_set", both) == (Kind.INVALID, "invalid")
    empty = sent({"name": "url", "valueUri": GENDER_SET}, {"name": "codeableConcept", "valueCodeableConcept": {}})
    assert refusal("validate_in_value_set", empty) == (Kind.INVALID, "invalid")


def test_lookup() -> None:
    answer = OPERATIONS.lookup(query(system=ACT, code="CC"))
    assert values(answer, "display") == ["credit card"]
    assert values(answer, "version") == ["2018-08-12"]
    found = {(each["code"], each["value"]) for each in parts(answer, "property")}
    assert {("inactive", False), ("parent", "_ActAccountCode"), ("child", "V")} <= found


def test_lookup_of_some_properties() -> None:
    answer = OPERATIONS.lookup(query(coding=f"{ACT}|CC", property="parent"))
    assert [each["code"] for each in parts(answer, "property")] == ["parent"]


def test_lookup_in_a_language() -> None:
    v2 = "http://terminology.hl7.org/CodeSystem/v2-0001"
    answer = OPERATIONS.lookup(query(system=v2, code="F", displayLanguage="de"))
    assert values(answer, "display") == ["weiblich"]
    assert {each["language"]: each["value"] for each in parts(answer, "designation")}["nl"] == "Vrouw"


def test_lookup_refused() -> None:
    assert refusal("lookup", query(system=ACT, code="unicorn")) == (Kind.NOT_FOUND, "not-found")
    assert refusal("lookup", query(system="http://snomed.info/sct", code="1")) == (Kind.NOT_FOUND, "not-found")
    assert refusal("lookup", query(code="1")) == (Kind.INVALID, "required")
    assert refusal("lookup", query(system=ACT)) == (Kind.INVALID, "required")


def test_subsumes() -> None:
    answer = OPERATIONS.subsumes(query(system=ACT, codeA="_ActAccountCode", codeB="V"))
    assert answer["parameter"] == [{"name": "outcome", "valueCode": "subsumes"}]
    coded = query(codingA=f"{ACT}|V", codingB=f"{ACT}|CC")
    assert values(OPERATIONS.subsumes(coded), "outcome") == ["subsumed-by"]
    assert refusal("subsumes", query(codingA=f"{ACT}|V", codingB=f"{GENDERS}|male")) == (Kind.INVALID, "invalid")
    assert refusal("subsumes", query(codeA="V", codeB="CC")) == (Kind.INVALID, "required")
    assert refusal("subsumes", query(system=ACT, codeA="V", codeB="unicorn")) == (Kind.NOT_FOUND, "not-found")


def test_translate() -> None:
    target = "http://terminology.hl7.org/CodeSystem/v2-0001"
    answer = OPERATIONS.translate(query(system=GENDERS, code="male", targetsystem=target))
    assert values(answer, "result") == [True]
    match = parts(answer, "match")[0]
    assert match["equivalence"] == "equal"
    assert match["concept"] == {"system": target, "code": "M"}
    assert match["source"] == "http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v2"


def test_translate_without_a_match() -> None:
    answer = OPERATIONS.translate(query(system=GENDERS, code="unicorn"))
    assert values(answer, "result") == [False]
    assert values(answer, "match") == []
    assert refusal("translate", query(url="http://example.org/map", code="x")) == (Kind.NOT_FOUND, "not-found")


@pytest.mark.parametrize(
    "resource",
    [{"resourceType": "ConceptMap", "group": [3]}, {"resourceType": "ConceptMap", "group": [{"element": [{}, 1]}]}],
)
def test_maps_that_are_not_well_formed(resource: dict[str, Any]) -> None:
    given = sent({"name": "code", "valueCode": "x"}, {"name": "conceptMap", "resource": resource})
    assert refusal("translate", given) == (Kind.INVALID, "invalid")
