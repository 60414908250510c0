"""All keys of a resource; and on the official examples: the walk finds what FHIRPath finds."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.index.dates import keys_of
from server.fhir.index.emitters import Evaluated, emitter_of
from server.fhir.index.expressions import told
from server.fhir.index.facets import PRESENT, WORD, Found
from server.fhir.index.indexer import Indexer
from server.fhir.index.parameters import Parameter
from server.fhir.index.shaped import NAME, OFFSET
from server.fhir.json_form import decode
from storage.query import Key
from storage.simplify import check_keys
from tests.server.fhir.index.asking import INDEXER, REGISTRY, resource

SEPARATOR = "\x1f"


def test_the_keys_of_an_observation() -> None:
    start = 1_600_000_000_000_000
    held = resource(
        "Observation",
        {
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
            "subject": {"reference": "Patient/1"},
            "effectiveDateTime": "2020-09-13T12:26:40Z",
            "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
        },
    )
    assert Indexer(REGISTRY, full_text=False).keys(held, 5) == {
        "_id": {"x"},
        "_lastUpdated": {5},
        "status": {"final|"},
        "code": {"8867-4|http://loinc.org"},
        "code:text": {"heart rate"},
        "subject": {"Patient/1"},
        "date": {start},
        "date:end": {start + 1_000_000},
        "@patient": {"Patient/1"},
        "@when": {start},
        "@when:end": {start + 1_000_000},
        "value-quantity": {"25000272"},
        "value-quantity:unit": {f"/min{SEPARATOR}25000272"},
        "value-quantity:ucum": {f"s-1{SEPARATOR}25000112"},
        NAME: {f"Patient/1{SEPARATOR}8867-4{SEPARATOR}{start + 1_000_000 + OFFSET:016x}"},
    }


def test_shaped_keys_sort_as_moments_do() -> None:
    ends = []
    for date in ("1899-01-01", "1969-12-31", "1970-01-01", "2020-01-01"):
        held = {"code": {"coding": [{"code": "A"}]}, "subject": {"reference": "Patient/1"}, "effectiveDateTime": date}
        (key,) = INDEXER.keys(resource("Observation", held), 0)[NAME]
        assert str(key).startswith(f"Patient/1{SEPARATOR}a{SEPARATOR}")
        ends.append(key)
    assert ends == sorted(ends, key=str)


def test_a_shaped_key_without_a_time_sorts_before_all_times() -> None:
    held = {"code": {"coding": [{"code": "A"}]}, "subject": {"reference": "Patient/1"}}
    assert INDEXER.keys(resource("Observation", held), 0)[NAME] == {f"Patient/1{SEPARATOR}a{SEPARATOR}"}


@pytest.mark.parametrize("member", ["subject", "code"])
def test_there_is_no_shaped_key_without_subject_and_code(member: str) -> None:
    held = {"code": {"coding": [{"code": "A"}]}, "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020"}
    del held[member]
    assert NAME not in INDEXER.keys(resource("Observation", held), 0)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXTS, TEXTS, TEXTS, st.decimals(allow_nan=False, allow_infinity=False))
def test_keys_can_always_be_stored(one: str, other: str, third: str, number: Any) -> None:
    held = {
        "resourceType": "Observation",
        "id": "x",
        "code": {"coding": [{"system": one, "code": other, "display": third}], "text": one},
        "subject": {"reference": one or "x", "identifier": {"value": other}},
        "effectiveDateTime": third,
        "valueQuantity": {"value": number, "unit": one, "code": other, "system": "http://unitsofmeasure.org"},
        "meta": {"profile": [one, other], "source": third},
        "component": [{"code": {"coding": [{"code": one}]}, "valueQuantity": {"value": number, "unit": other}}],
    }
    check_keys(INDEXER.keys(held, 0))


def test_nulls_among_values_are_passed_over() -> None:
    held = {"name": [{"given": [None, "Ann"], "_given": [{"extension": [{"url": "x"}]}, None]}]}
    assert INDEXER.keys(resource("Patient", held), 0)["given"] == {f"ann{SEPARATOR}Ann"}


def examples(shared: Path, step: int) -> Iterator[dict[str, Any]]:
    packed = (shared / "data/fhir/examples/official-r4-examples.tar.xz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:xz") as archive:
        for number, member in enumerate(archive):
            file = archive.extractfile(member) if number % step == 0 else None
            if file is not None:
                yield {"id": "x"} | decode(file.read())


def evaluated(parameter: Parameter, held: dict[str, Any]) -> dict[str, frozenset[Key]]:
    """The keys of one parameter, its values found by FHIRPath."""
    found = Found({each["id"]: each["resourceType"] for each in held.get("contained", ()) if "id" in each})
    Evaluated(parameter.expression or "", partial(emitter_of, parameter.type, parameter.code))(held, found)
    keys = {name: frozenset(values) for name, values in found.keys.items()}
    for name, spans in found.spans.items():
        keys |= dict(keys_of(name, spans))
    if parameter.code in found.present and parameter.code not in keys:
        keys[parameter.code + PRESENT] = frozenset((1,))
    return keys


def compare(held: dict[str, Any]) -> int:
    keys = INDEXER.keys(held, 0)
    compared = [each for each in REGISTRY.of(held["resourceType"]) if is_comparable(each)]
    for each in compared:
        own = {name: value for name, value in keys.items() if name.partition(":")[0] == each.code}
        # FHIRPath does not tell a family name from other strings, so its words are not compared.
        own.pop(each.code + WORD, None)
        expected = evaluated(each, held)
        expected.pop(each.code + WORD, None)
        assert own == expected, (held["resourceType"], held["id"], each.code)
    return len(compared)


def is_comparable(parameter: Parameter) -> bool:
    """Not what has rules of its own, such as the first resource of a document, which must be of the right type."""
    is_apart = parameter.code in ("_id", "_lastUpdated", "_text", "_content")
    is_own = parameter.resource_type == "Bundle" or told(parameter.expression or "")
    return parameter.is_indexed and parameter.type != "composite" and not is_apart and not is_own


def test_the_walk_finds_what_fhirpath_finds(shared: Path) -> None:
    assert sum(compare(each) for each in examples(shared, 12)) > 500


@pytest.mark.slow
def test_the_walk_finds_what_fhirpath_finds_in_all_examples(shared: Path) -> None:
    assert sum(compare(each) for each in examples(shared, 1)) > 9000


def test_the_walk_finds_what_fhirpath_finds_here() -> None:
    held = resource(
        "Encounter",
        {
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}, {"text": "Visit"}],
            "subject": {"reference": "#p"},
            "contained": [{"resourceType": "Patient", "id": "p"}],
            "participant": [
                {"individual": {"reference": "Practitioner/1"}},
                {"individual": {"reference": "RelatedPerson/1"}, "type": [{"coding": [{"code": "ATND"}]}]},
            ],
            "period": {"start": "2020-01-01T00:00:00Z"},
            "length": {"value": 3, "unit": "d"},
            "location": [{"location": {"reference": "Location/1"}, "period": {"end": "2020"}}],
        },
    )
    assert compare(held) > 15
