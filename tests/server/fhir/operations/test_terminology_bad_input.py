"""Bad input to the terminology operations: any part of good parameters turned into anything is a `Problem` at worst."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.terminology.service import Terminology
from profiles.terminology.source import Held
from server.fhir.operations.parameters import OperationParameters
from server.fhir.operations.terminology import TerminologyOperations
from server.kernel.clock import SystemClock
from server.kernel.problem import Problem
from tests.profiles.terminology.small import ANIMALS, SYSTEM, by_filter, listed, value_set

DOG = {"system": ANIMALS, "code": "dog", "display": "Dog"}
WORDED = {"code": "hen", "display": "Hen", "designation": [{"language": "de", "value": "Huhn", "use": {"code": "x"}}]}
SET = value_set(
    "any",
    {"system": ANIMALS, "concept": [WORDED]},
    by_filter("concept", "is-a", "mammal"),
    by_filter("concept", "regex", "[a-z]+"),
    {"valueSet": ["http://hl7.org/fhir/ValueSet/administrative-gender"]},
    exclude=[listed("cat")],
) | {"expansion": {"total": 1, "parameter": [{"name": "x"}], "contains": [{"system": ANIMALS, "code": "dog"}]}}
MAP = {
    "resourceType": "ConceptMap",
    "url": "http://example.org/map",
    "group": [
        {
            "source": ANIMALS,
            "target": "http://example.org/farm",
            "element": [
                {
                    "code": "dog",
                    "target": [
                        {
                            "code": "guard",
                            "equivalence": "wider",
                            "dependsOn": [{"property": "http://example.org/size", "value": "big"}],
                            "product": [{"property": "http://example.org/size", "value": "big"}],
                        }
                    ],
                }
            ],
            "unmapped": {"mode": "fixed", "code": "other"},
        }
    ],
}
SIZE = [
    {"name": "element", "valueUri": "http://example.org/size"},
    {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "big"}]}},
]


def sent(*given: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


GOOD: list[tuple[str, dict[str, Any]]] = [
    (
        "expand",
        sent(
            {"name": "valueSet", "resource": SET},
            {"name": "excludeNested", "valueBoolean": False},
            {"name": "includeDesignations", "valueBoolean": True},
            {"name": "displayLanguage", "valueCode": "de"},
            {"name": "filter", "valueString": "h"},
        ),
    ),
    (
        "validate_in_value_set",
        sent(
            {"name": "valueSet", "resource": SET},
            {"name": "codeableConcept", "valueCodeableConcept": {"coding": [DOG]}},
        ),
    ),
    (
        "validate_in_code_system",
        sent({"name": "codeSystem", "resource": SYSTEM}, {"name": "coding", "valueCoding": DOG}),
    ),
    (
        "subsumes",
        sent(
            {"name": "codeSystem", "resource": SYSTEM},
            {"name": "codingA", "valueCoding": DOG},
            {"name": "codeB", "valueCode": "mammal"},
        ),
    ),
    (
        "translate",
        sent(
            {"name": "conceptMap", "resource": MAP},
            {"name": "coding", "valueCoding": DOG},
            {"name": "dependency", "part": SIZE},
        ),
    ),
    ("lookup", sent({"name": "coding", "valueCoding": DOG}, {"name": "displayLanguage", "valueCode": "de"})),
]
ODD = [None, True, 3, "dog", "", [], {}, [[]], [{}], {"code": 1}, ["dog"], [3], {"x": {}}, ANIMALS]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*above, key)
        yield from places(inner, (*above, key))


CASES = [(operation, good, place) for operation, good in GOOD for place in places(good)]
OPERATIONS = TerminologyOperations(Terminology([Held([SYSTEM])]), SystemClock())


def ask(operation: str, parameters: dict[str, Any]) -> None:
    getattr(OPERATIONS, operation)(OperationParameters.read(parameters))


def test_the_parameters_are_good_to_begin_with() -> None:
    for operation, good in GOOD:
        ask(operation, good)


@settings(max_examples=500)
@given(st.sampled_from(CASES), st.sampled_from(ODD), st.booleans())
def test_no_change_of_good_parameters_is_a_fault(
    case: tuple[str, dict[str, Any], tuple[Any, ...]], odd: Any, removes: bool
) -> None:
    operation, good, place = case
    changed = copy.deepcopy(good)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    if removes:
        del inner[place[-1]]
    else:
        inner[place[-1]] = odd
    with suppress(Problem):
        ask(operation, changed)
