"""The registry: every R4 parameter, shared keys, custom parameters; and how expressions are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from profiles.definitions import definitions
from server.fhir.index.emitters import emitter_of
from server.fhir.index.expressions import Cast, Child, Having, Item, Path, Referring, parse, parts, told
from server.fhir.index.facets import Found
from server.fhir.index.indexer import Indexer
from server.fhir.index.parameters import Parameter, Source
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.index.routes import routes
from server.fhir.index.terms import term
from server.fhir.index.walks import branch_of, visit
from storage.query import matches
from tests.server.fhir.index.asking import NOW, REGISTRY, is_found, resource


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Patient.name.family", Path("Patient", (Child("name"), Child("family")))),
        ("(Observation.value as Quantity)", Path("Observation", (Child("value"), Cast("Quantity")))),
        ("(A.b as C).d", Path("A", (Child("b"), Cast("C"), Child("d")))),
        ("A.b as FHIR.C", Path("A", (Child("b"), Cast("C")))),
        ("A.b.ofType(C)", Path("A", (Child("b"), Cast("C")))),
        ("A.b.where(resolve() is C)", Path("A", (Child("b"), Referring("C")))),
        ("A.b.where(c = 'd|(e').f", Path("A", (Child("b"), Having("c", "d|(e"), Child("f")))),
        ("A.extension('u').value", Path("A", (Child("extension"), Having("url", "u"), Child("value")))),
        ("A.b[0].c", Path("A", (Child("b"), Item(0), Child("c")))),
        ("%resource.b", Path("%resource", (Child("b"),))),
        ("b.c", Path("", (Child("b"), Child("c")))),
        ("A.b.first()", None),
        ("A.b + 1", None),
        ("A.b.where(c > 1)", None),
        ("", None),
    ],
)
def test_a_plain_path_is_read_in_steps(text: str, path: Path | None) -> None:
    assert parse(text) == path


def test_unions_part_outside_quotes_and_brackets() -> None:
    assert parts("A.b | (A.c as D) | A.e.where(f='|') | A.where(b | c)") == [
        "A.b",
        "(A.c as D)",
        "A.e.where(f='|')",
        "A.where(b | c)",
    ]


def test_what_is_told_of_every_resource() -> None:
    assert told("Patient.deceased.exists() and Patient.deceased != false") == parse("Patient.deceased")
    assert told("Patient.deceased.exists() and Patient.active != false") is None


def test_every_parameter_of_r4_is_a_walk() -> None:
    """None of HL7's own needs FHIRPath while resources are written."""
    parameters = [each for kind in definitions().resource_types for each in REGISTRY.of(kind)]
    assert len({(each.resource_type, each.code) for each in parameters}) == len(parameters) > 2800
    for each in parameters:
        assert each.routes or each.components or each.code in ("_text", "_content"), (each.resource_type, each.code)
        assert each.sources or each.type == "composite"


@pytest.mark.parametrize(
    ("kind", "code", "sources"),
    [
        ("Observation", "subject", (Source("subject"),)),
        ("Observation", "patient", (Source("subject", "Patient"),)),
        ("Observation", "combo-code", (Source("code"), Source("component-code"))),
        ("Encounter", "practitioner", (Source("participant", "Practitioner"),)),
        ("Patient", "phonetic", (Source("name"),)),
        ("Person", "phonetic", (Source("name"),)),
        ("CapabilityStatement", "fhirversion", (Source("version"),)),
        ("Claim", "patient", (Source("patient"),)),
        ("Patient", "phone", (Source("phone"),)),
        ("Bundle", "message", (Source("message"),)),
    ],
)
def test_keys_are_shared_where_values_are_the_same(kind: str, code: str, sources: tuple[Source, ...]) -> None:
    parameter = REGISTRY.find(kind, code)
    assert parameter is not None
    assert parameter.sources == sources


def test_who_is_not_there() -> None:
    assert REGISTRY.find("Patient", "nothing") is None
    assert REGISTRY.find("Elephant", "_id") is None
    assert REGISTRY.find("Patient", "_query") is None
    assert REGISTRY.of("Elephant") == ()
    assert REGISTRY.find("Binary", "_text") is None
    assert REGISTRY.find("Binary", "_content") is not None


def test_a_parameter_knows_its_values() -> None:
    patient, date, gender = (REGISTRY.find(kind, code) for kind, code in
                             (("Observation", "patient"), ("Observation", "date"), ("Patient", "gender")))  # fmt: skip
    assert patient is not None
    assert date is not None
    assert gender is not None
    assert patient.targets == ("Patient",)
    assert (date.kinds, date.is_repeating) == ({"dateTime", "Period", "Timing", "instant"}, False)
    assert gender.value_sets == ("http://hl7.org/fhir/ValueSet/administrative-gender",)


SHARING = [
    each
    for kind in definitions().resource_types
    for each in REGISTRY.of(kind)
    if each.type != "composite" and not each.is_indexed
]
REFERENCES = ("Patient/1", "Practitioner/1", "Group/1", "https://x.org/Patient/9", "urn:uuid:1", "#p", "#g")


def keys_of_its_own(parameter: Parameter, value: dict[str, Any]) -> Found:
    found = Found({"p": "Patient", "g": "Group"})
    kind = parameter.type
    visit(branch_of((each, emitter_of(kind, "own", each.type, each.refers)) for each in parameter.routes), value, found)
    return found


@pytest.mark.parametrize("parameter", [each for each in SHARING if each.type == "reference"], ids=lambda each: each.url)
def test_a_shared_reference_answers_as_if_it_had_keys_of_its_own(parameter: Parameter) -> None:
    reading, own = Reading(NOW), replace(parameter, sources=(Source("own"),))
    for reference in REFERENCES:
        held = resource(parameter.resource_type, nested(parameter, {"reference": reference}))
        contained = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Group", "id": "g"}]
        shared_keys = Indexer(REGISTRY).keys(held | {"contained": contained}, 0)
        own_keys = {name: frozenset(keys) for name, keys in keys_of_its_own(parameter, held).keys.items()}
        for asked in ("1", "Patient/1", "Practitioner/1", "Group/1", "https://x.org/Patient/9"):
            expected = matches(term(own, None, asked, reading), own_keys)
            assert matches(term(parameter, None, asked, reading), shared_keys) is expected, (reference, asked)
        missing = matches(term(own, "missing", "true", reading), own_keys)
        if parameter.sources[0].target:
            assert matches(term(parameter, "missing", "true", reading), shared_keys) is missing, reference


def nested(parameter: Parameter, value: object) -> dict[str, Any]:
    """A resource with a value where the first route of the parameter leads."""
    kind = parameter.resource_type
    path: list[tuple[str, bool]] = []
    shape = definitions().shape(kind)
    for move in parameter.routes[0].moves:
        name = getattr(move, "name")  # noqa: B009
        member = shape.members[name]
        path.append((name, member.element.maximum != 1))
        shape = definitions().shape(member.shape) if member.shape else shape
    for name, is_list in reversed(path):
        value = {name: [value] if is_list else value}
    assert isinstance(value, dict)
    return value


CUSTOM = {
    "resourceType": "SearchParameter",
    "url": "http://example.org/eyes",
    "status": "active",
    "code": "eyes",
    "base": ["Patient"],
    "type": "token",
    "expression": "Patient.extension('http://example.org/eyes').value.ofType(code)",
}
EYES = {"extension": [{"url": "http://example.org/eyes", "valueCode": "blue"}, {"url": "http://x", "valueCode": "red"}]}


def test_a_custom_parameter_on_an_extension() -> None:
    indexer = Indexer(Registry([CUSTOM]))
    assert is_found("eyes=blue", "Patient", EYES, indexer=indexer)
    assert not is_found("eyes=red", "Patient", EYES, indexer=indexer)


@pytest.mark.parametrize(
    ("kind", "expression", "asked"),
    [
        ("number", "Patient.name.count()", "2"),
        ("token", "Patient.name.where(use = 'old' or use = 'usual').exists()", "true"),
        ("string", "Patient.name.given.first()", "ann"),
        ("date", "Patient.name.period.where(start > @2000).end", "2005"),
        ("reference", "Patient.link.other.where(resolve() is Patient and type.empty())", "Patient/2"),
        ("token", "iif(Patient.active, 'yes', 'no')", "yes"),
    ],
)
def test_what_is_no_plain_path_is_evaluated(kind: str, expression: str, asked: str) -> None:
    held = {
        "active": True,
        "name": [
            {"use": "old", "given": ["Ann", "Bea"], "period": {"start": "2001-01-01", "end": "2005-06-01"}},
            {"use": "nickname", "given": ["Cleo"], "period": {"start": "1999-01-01", "end": "1999-06-01"}},
        ],
        "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}],
    }
    indexer = Indexer(Registry([CUSTOM | {"type": kind, "expression": expression}]))
    assert is_found(f"eyes={asked}", "Patient", held, indexer=indexer)


def test_an_expression_that_fails_gives_no_keys() -> None:
    indexer = Indexer(Registry([CUSTOM | {"expression": "Patient.name.given.single()"}]))
    assert is_found("eyes:missing=true", "Patient", {"name": [{"given": ["Ann", "Bea"]}]}, indexer=indexer)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "draft"},
        {"expression": "Patient.name."},
        {"expression": None},
        {"code": ""},
        {"type": "special"},
        {"base": []},
        {"url": None},
    ],
)
def test_a_custom_parameter_that_cannot_be_used_is_told(change: dict[str, Any]) -> None:
    registry = Registry([CUSTOM | change])
    assert registry.find("Patient", "eyes") is None
    assert len(registry.refused) == 1


def test_a_custom_parameter_replaces_a_published_one_of_its_code() -> None:
    registry = Registry([CUSTOM | {"code": "gender", "expression": "Patient.maritalStatus"}])
    assert is_found("gender=m", "Patient", {"maritalStatus": {"coding": [{"code": "M"}]}}, indexer=Indexer(registry))


def test_published_keys_stay_where_they_are() -> None:
    """A custom parameter on the same values reads the published one's keys, never the other way round."""
    registry = Registry([CUSTOM | {"code": "a", "expression": "Patient.gender"}])
    added, gender = registry.find("Patient", "a"), registry.find("Patient", "gender")
    assert added is not None
    assert gender is not None
    assert (added.sources, gender.is_indexed) == ((Source("gender"),), True)


def test_a_custom_composite() -> None:
    custom = CUSTOM | {
        "type": "composite",
        "expression": "Patient.contact",
        "component": [
            {"definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender"},
            {"definition": "http://hl7.org/fhir/SearchParameter/individual-address-city", "expression": "address.city"},
        ],
    }
    held = {
        "contact": [{"gender": "male", "address": {"city": "Bern"}}, {"gender": "female", "address": {"city": "Rom"}}]
    }
    indexer = Indexer(Registry([custom]))
    assert is_found("eyes=male$bern", "Patient", held, indexer=indexer)
    assert not is_found("eyes=male$rom", "Patient", held, indexer=indexer)


def test_routes_follow_choices_and_contents_defined_elsewhere() -> None:
    path = parse("Questionnaire.item.item.item.code")
    assert path is not None
    assert [each.type for each in routes(path, "Questionnaire")] == ["Coding"]
    choice = parse("Observation.value")
    assert choice is not None
    assert len(routes(choice, "Observation")) == 11


def test_a_registry_can_be_worked_out_beforehand() -> None:
    registry = Registry()
    registry.complete()
    before = [id(each) for kind in definitions().resource_types for each in registry.of(kind)]
    registry.complete()
    assert before == [id(each) for kind in definitions().resource_types for each in registry.of(kind)]
