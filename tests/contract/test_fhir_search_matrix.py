"""Searches over synthetic patients equal a brute-force answer: each parameter type with each modifier and prefix,
chains, `_has`, includes, sorts and pages, on every store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from server.fhir.search.request import SearchRequest, SearchResult
from server.kernel.problem import Problem
from tests.contract import brute_force as brute
from tests.contract.brute_force import (
    ADDRESS,
    NAME,
    Holds,
    at,
    beginning,
    both,
    coded,
    dated,
    either,
    equal,
    exactly,
    having,
    holding,
    identified,
    measured,
    negated,
    referring,
)
from tests.contract.conftest import Archive, opened_archive
from tests.contract.fhir_store import FhirStore
from tests.contract.fhir_world import Json, World, load

pytestmark = pytest.mark.slow

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
GENDER = "http://hl7.org/fhir/administrative-gender"
SYNTHEA = "https://github.com/synthetichealth/synthea"
CODE, COMPONENT_CODE = "code.coding", "component.code.coding"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


@dataclass
class Loaded:
    world: World
    archive: Archive
    store: FhirStore

    def page(self, query: str, token: str | None = None) -> SearchResult:
        path, _, parameters = query.partition("?")
        *compartment, resource_type = path.split("/")
        request = SearchRequest(
            resource_type if resource_type not in ("", "*") else None,
            tuple(parse_qsl(parameters, keep_blank_values=True)),
            (compartment[0], compartment[1]) if compartment else None,
            strict=True,
        )
        searcher, context = self.store.searcher, self.store.context
        work = searcher.more(context, token) if token else searcher.search(context, request)
        return self.archive.run(work)

    def pages(self, query: str) -> Iterator[SearchResult]:
        page = self.page(query)
        yield page
        while page.next:
            page = self.page(query, page.next)
            yield page

    def ids(self, query: str) -> list[str]:
        return [each.id for page in self.pages(query) for each in page.matches]


@pytest.fixture(scope="module")
def world(shared: Path) -> World:
    full = os.environ.get("TEST_LENGTH") == "full"
    return load(shared / "data/fhir/synthea", 1 if full else 7)


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def loaded(request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with opened_archive(request, tmp_path_factory.mktemp("fhir")) as archive:
        store = FhirStore(archive.open())
        archive.run(store.load(world))
        yield Loaded(world, archive, store)


Case = tuple[str, Holds]

TOKENS: list[Case] = [
    ("Patient?gender=female", equal("gender", "female")),
    ("Patient?gender=FEMALE", equal("gender", "female")),
    ("Patient?gender=male,female", having("gender")),
    (f"Patient?gender={GENDER}|male", equal("gender", "male")),
    ("Patient?gender:not=female", negated(equal("gender", "female"))),
    ("Patient?gender:missing=true", negated(having("gender"))),
    ("Patient?gender:missing=false", having("gender")),
    ("Patient?deceased=true", either(equal("deceasedBoolean", True), having("deceasedDateTime"))),
    ("Patient?deceased=false", negated(either(equal("deceasedBoolean", True), having("deceasedDateTime")))),
    (f"Patient?identifier={SYNTHEA}|", identified(system=SYNTHEA)),
    ("Patient?telecom=555-836-9798", lambda r: any(each.get("value") == "555-836-9798" for each in at(r, "telecom"))),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     equal("id", "9b6fa8e6-e618-17c5-28a8-1095559fd19b")),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     equal("id", "")),
    ("Patient?identifier:text=social", beginning("social", "identifier.type.text")),
    ("Observation?code=8302-2", coded(CODE, "8302-2")),
    (f"Observation?code={LOINC}|8302-2", coded(CODE, "8302-2", LOINC)),
    (f"Observation?code={SNOMED}|8302-2", coded(CODE, "8302-2", SNOMED)),
    ("Observation?code=|8302-2", coded(CODE, "8302-2", "")),
    (f"Observation?code={LOINC}|", coded(CODE, system=LOINC)),
    ("Observation?code=8302-2,29463-7,8867-4",
     either(coded(CODE, "8302-2"), coded(CODE, "29463-7"), coded(CODE, "8867-4"))),
    ("Observation?code=8302-2&code=29463-7", both(coded(CODE, "8302-2"), coded(CODE, "29463-7"))),
    ("Observation?code:not=8302-2", negated(coded(CODE, "8302-2"))),
    ("Observation?code:not=8302-2,29463-7", negated(either(coded(CODE, "8302-2"), coded(CODE, "29463-7")))),
    ("Observation?code:text=body", beginning("body", "code.text", "code.coding.display")),
    ("Observation?category=vital-signs", coded("category.coding", "vital-signs")),
    ("Observation?category:not=vital-signs&status=final",
     both(negated(coded("category.coding", "vital-signs")), equal("status", "final"))),
    ("Observation?status:not=final", negated(equal("status", "final"))),
    ("Observation?value-concept:missing=false", having("valueCodeableConcept")),
    ("Observation?combo-code=8480-6", either(coded(CODE, "8480-6"), coded(COMPONENT_CODE, "8480-6"))),
    ("Observation?component-code=8480-6", coded(COMPONENT_CODE, "8480-6")),
    ("Observation?component-code:missing=false", having("component.code")),
    ("Condition?clinical-status=resolved", coded("clinicalStatus.coding", "resolved")),
    (f"Condition?clinical-status={CLINICAL}|active", coded("clinicalStatus.coding", "active", CLINICAL)),
    ("Encounter?class=AMB", lambda r: r["class"]["code"] == "AMB"),
    ("Encounter?class=amb", lambda r: r["class"]["code"] == "AMB"),
    ("DiagnosticReport?code=51847-2", coded(CODE, "51847-2")),
    ("DiagnosticReport?code:not=51847-2", negated(coded(CODE, "51847-2"))),
    ("MedicationRequest?intent=order&status=active,completed",
     both(equal("intent", "order"), equal("status", "active", "completed"))),
]  # fmt: skip

STRINGS: list[Case] = [
    ("Patient?name=s", beginning("s", *NAME)),
    ("Patient?family=SHAN", beginning("shan", "name.family")),
    ("Patient?family=bermudez", beginning("bermudez", "name.family")),
    ("Patient?family=Bermúdez", beginning("bermudez", "name.family")),
    ("Patient?family:exact=Bermúdez789", exactly("Bermúdez789", "name.family")),
    ("Patient?family:exact=bermúdez789", exactly("bermúdez789", "name.family")),
    ("Patient?family:contains=er", holding("er", "name.family")),
    ("Patient?given=a,b", either(beginning("a", "name.given"), beginning("b", "name.given"))),
    ("Patient?given:contains=ri", holding("ri", "name.given")),
    ("Patient?name:exact=Mrs.", exactly("Mrs.", *NAME)),
    ("Patient?name:missing=false", having("name")),
    ("Patient?address=ma", beginning("ma", *ADDRESS)),
    ("Patient?address:contains=street", holding("street", *ADDRESS)),
    ("Patient?address-city=east  douglas", beginning("east douglas", "address.city")),
    ("Patient?address-state=MA", beginning("MA", "address.state")),
    ("Patient?address-postalcode:missing=true", negated(having("address.postalCode"))),
    ("Organization?name=hospital", beginning("hospital", "name")),
    ("Organization?name:contains=hospital", holding("hospital", "name", "alias")),
    ("Practitioner?family:contains=23", holding("23", "name.family")),
]

OBSERVED = ("effectiveDateTime", "effectivePeriod", "effectiveInstant")
DATES: list[Case] = [
    *((f"Observation?date={prefix}{value}", dated(prefix + value, *OBSERVED))
      for prefix in ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("2015", "2014-02", "2016-06-15", "2013-01-01T00:00Z", "2015-03-14T21:29:46Z")),
    *((f"Encounter?date={prefix}{value}", dated(prefix + value, "period"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("2012", "2014-02", "2013-09-24T22:29:46Z")),
    *((f"Patient?birthdate={prefix}{value}", dated(prefix + value, "birthDate"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb")
      for value in ("1980", "1960-06", "2011-07-12")),
    *((f"CarePlan?date={prefix}2015", dated(prefix + "2015", "period"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb")),
    ("Observation?date=2012,2014", either(dated("2012", *OBSERVED), dated("2014", *OBSERVED))),
    ("Observation?date=ge2012-03&date=lt2014-05", both(dated("ge2012-03", *OBSERVED), dated("lt2014-05", *OBSERVED))),
    ("Patient?death-date:missing=false", having("deceasedDateTime")),
    ("Condition?abatement-date:missing=true", negated(having("abatementDateTime"))),
    ("Condition?onset-date=ge2010&abatement-date=lt2015",
     both(dated("ge2010", "onsetDateTime"), dated("lt2015", "abatementDateTime"))),
]  # fmt: skip

COMPONENT = "component.valueQuantity"
QUANTITIES: list[Case] = [
    *((f"Observation?value-quantity={prefix}{value}", measured(prefix + value))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("70", "70.0", "13.25")),
    (f"Observation?value-quantity=gt100|{UCUM}|cm", measured("gt100", unit="cm", system=UCUM)),
    (f"Observation?value-quantity=70|{UCUM}|kg", measured("70", unit="kg", system=UCUM)),
    ("Observation?value-quantity=lt20||kg/m2", measured("lt20", unit="kg/m2")),
    ("Observation?value-quantity=ge90||%25", measured("ge90", unit="%")),
    ("Observation?value-quantity=70,80", either(measured("70"), measured("80"))),
    ("Observation?value-quantity:missing=true", negated(having("valueQuantity"))),
    ("Observation?component-value-quantity=gt140", measured("gt140", COMPONENT)),
    ("Observation?combo-value-quantity=gt140", either(measured("gt140"), measured("gt140", COMPONENT))),
]  # fmt: skip


def component(code: str, condition: str) -> Holds:
    return lambda r: any(coded(CODE, code)(each) and measured(condition)(each) for each in at(r, "component"))


COMPOSITES: list[Case] = [
    ("Observation?code-value-quantity=8302-2$gt150", both(coded(CODE, "8302-2"), measured("gt150"))),
    (f"Observation?code-value-quantity={LOINC}|8302-2$gt150|{UCUM}|cm",
     both(coded(CODE, "8302-2", LOINC), measured("gt150", unit="cm", system=UCUM))),
    ("Observation?code-value-quantity=8302-2$gt150,29463-7$lt60",
     either(both(coded(CODE, "8302-2"), measured("gt150")), both(coded(CODE, "29463-7"), measured("lt60")))),
    ("Observation?component-code-value-quantity=8480-6$gt130", component("8480-6", "gt130")),
    ("Observation?component-code-value-quantity=8462-4$gt130", component("8462-4", "gt130")),
    ("Observation?component-code-value-quantity=8480-6$lt115,8462-4$gt85",
     either(component("8480-6", "lt115"), component("8462-4", "gt85"))),
    ("Observation?combo-code-value-quantity=8480-6$gt130,8302-2$gt150",
     either(component("8480-6", "gt130"), both(coded(CODE, "8302-2"), measured("gt150")))),
    ("Observation?code-value-date=8302-2$gt2010", lambda r: False),
    ("Observation?code-value-concept=72166-2$266919005",
     both(coded(CODE, "72166-2"), coded("valueCodeableConcept.coding", "266919005"))),
]  # fmt: skip

OTHERS: list[Case] = [
    ("Patient?_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", having("meta.profile")),
    ("Patient?_profile:below=http://hl7.org/fhir/us/core", having("meta.profile")),
    (
        "Observation?_profile=http://hl7.org/fhir/StructureDefinition/vitalsigns",
        equal("meta.profile", "http://hl7.org/fhir/StructureDefinition/vitalsigns"),
    ),
    ("Observation?_profile:missing=true", negated(having("meta.profile"))),
    ("Observation?_tag:missing=true", lambda r: True),
    ("Encounter?subject:missing=true", negated(having("subject"))),
    ("DiagnosticReport?result:missing=false", having("result")),
    ("Procedure?reason-reference:missing=false", having("reasonReference")),
    ("Patient?_text=generated", lambda r: True),
]


def ids_of(loaded: Loaded, case: Case) -> tuple[list[str], set[str]]:
    query, holds = case
    found = loaded.ids(f"{query}&_count=1000")
    assert len(found) == len(set(found))
    return found, loaded.world.where(query.partition("?")[0], holds)


@pytest.mark.parametrize(
    "case", [*TOKENS, *STRINGS, *DATES, *QUANTITIES, *COMPOSITES, *OTHERS], ids=lambda case: case[0]
)
def test_each_parameter_type_with_each_modifier_and_prefix(loaded: Loaded, case: Case) -> None:
    query, (found, wanted) = case[0], ids_of(loaded, case)
    assert set(found) == wanted
    counted = loaded.page(f"{query}&_summary=count")
    assert (counted.total, counted.matches) == (len(wanted), [])


def test_the_cases_are_not_idle(world: World) -> None:
    """Most of them find something, and not everything."""
    cases = [*TOKENS, *STRINGS, *DATES, *QUANTITIES, *COMPOSITES]
    sizes = [
        (len(world.where(type_, holds)), len(list(world.of(type_))))
        for query, holds in cases
        for type_ in [query.partition("?")[0]]
    ]
    assert sum(0 < found < all_ for found, all_ in sizes) > 0.7 * len(cases)


# References, chains, _has


Linked = Callable[[World], Holds]


def patient_where(world: World, holds: Holds, path: str = "subject") -> Holds:
    return lambda r: any(
        holds(found) for each in at(r, path) if (found := world.find(each.get("reference"))) is not None
    )


def has(world: World, source: str, path: str, holds: Holds) -> Holds:
    named = {each.get("reference") for resource in world.of(source) if holds(resource) for each in at(resource, path)}
    return lambda r: f"{r['resourceType']}/{r['id']}" in named


CHAINS: list[tuple[str, Linked]] = [
    ("Observation?subject.gender=female", lambda w: patient_where(w, equal("gender", "female"))),
    ("Observation?patient.gender=female", lambda w: patient_where(w, equal("gender", "female"))),
    ("Observation?subject:Patient.name=s", lambda w: patient_where(w, beginning("s", *NAME))),
    ("Observation?subject:Group.code=x", lambda w: lambda r: False),
    ("Observation?patient.family:contains=er&code=8302-2",
     lambda w: both(patient_where(w, holding("er", "name.family")), coded(CODE, "8302-2"))),
    ("Observation?patient.birthdate=lt1970&patient.gender=male",
     lambda w: both(patient_where(w, dated("lt1970", "birthDate")), patient_where(w, equal("gender", "male")))),
    ("Observation?encounter.class=EMER",
     lambda w: patient_where(w, lambda r: r["class"]["code"] == "EMER", "encounter")),
    ("Observation?encounter.service-provider.name:contains=hospital",
     lambda w: patient_where(
         w, patient_where(w, holding("hospital", "name", "alias"), "serviceProvider"), "encounter")),
    ("Observation?patient.identifier=999-73-1339", lambda w: patient_where(w, identified("999-73-1339"))),
    ("Observation?patient._id=9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     lambda w: referring("subject", "Patient/9b6fa8e6-e618-17c5-28a8-1095559fd19b")),
    ("Observation?patient.gender:not=male", lambda w: patient_where(w, negated(equal("gender", "male")))),
    ("Encounter?participant.family:contains=2",
     lambda w: patient_where(w, holding("2", "name.family"), "participant.individual")),
    ("Encounter?participant:Practitioner.gender=female",
     lambda w: patient_where(w, equal("gender", "female"), "participant.individual")),
    ("Patient?_has:Observation:patient:code=8310-5", lambda w: has(w, "Observation", "subject", coded(CODE, "8310-5"))),
    ("Patient?_has:Observation:subject:value-quantity=gt180",
     lambda w: has(w, "Observation", "subject", measured("gt180"))),
    ("Patient?_has:Condition:patient:code=44054006,15777000",
     lambda w: has(w, "Condition", "subject", either(coded(CODE, "44054006"), coded(CODE, "15777000")))),
    ("Patient?_has:Condition:patient:code=44054006&_has:Condition:patient:clinical-status=resolved",
     lambda w: both(has(w, "Condition", "subject", coded(CODE, "44054006")),
                    has(w, "Condition", "subject", coded("clinicalStatus.coding", "resolved")))),
    ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final",
     lambda w: has(w, "Observation", "subject", has(w, "DiagnosticReport", "result", equal("status", "final")))),
    ("Encounter?_has:Observation:encounter:code-value-quantity=8302-2$gt150",
     lambda w: has(w, "Observation", "encounter", both(coded(CODE, "8302-2"), measured("gt150")))),
    ("Observation?patient._has:Condition:patient:code=44054006",
     lambda w: patient_where(w, has(w, "Condition", "subject", coded(CODE, "44054006")))),
    ("Practitioner?_has:Encounter:practitioner:class=EMER",
     lambda w: has(w, "Encounter", "participant.individual", lambda r: r["class"]["code"] == "EMER")),
    ("Organization?_has:Encounter:service-provider:subject.gender=female",
     lambda w: has(w, "Encounter", "serviceProvider", patient_where(w, equal("gender", "female")))),
    ("Patient?_has:Observation:patient:_id=nothing", lambda w: lambda r: False),
    ("Patient?_has:Observation:patient:date=ge2020",
     lambda w: has(w, "Observation", "subject", dated("ge2020", *OBSERVED))),
]  # fmt: skip


@pytest.mark.parametrize("case", CHAINS, ids=lambda case: case[0])
def test_chains_and_has_follow_references(loaded: Loaded, case: tuple[str, Linked]) -> None:
    query, linked = case
    found, wanted = ids_of(loaded, (query, linked(loaded.world)))
    assert set(found) == wanted
    assert loaded.page(f"{query}&_count=3&_total=accurate").total == len(wanted)


@pytest.mark.parametrize("form", [
    "subject={id}", "subject=Patient/{id}", "subject:Patient={id}", "patient={id}",
    "patient=http://example.org/fhir/Patient/{id}", "patient=Patient/{id},Patient/none",
])  # fmt: skip
def test_a_reference_is_found_in_every_form(loaded: Loaded, form: str) -> None:
    for patient in list(loaded.world.of("Patient"))[:3]:
        query = f"Observation?{form.format(id=patient['id'])}"
        found, wanted = ids_of(loaded, (query, referring("subject", f"Patient/{patient['id']}")))
        assert set(found) == wanted != set()


# Compartments


def test_a_compartment_holds_what_its_parameters_name(loaded: Loaded) -> None:
    patient = next(iter(loaded.world.of("Patient")))["id"]
    own = referring("subject", f"Patient/{patient}")
    assert set(loaded.ids(f"Patient/{patient}/Observation?_count=500")) == loaded.world.where("Observation", own)
    query = f"Patient/{patient}/Observation?code=8302-2&_count=500"
    assert set(loaded.ids(query)) == loaded.world.where("Observation", both(own, coded(CODE, "8302-2")))
    assert loaded.ids(f"Patient/{patient}/Practitioner") == []
    with pytest.raises(Problem, match="compartment"):
        loaded.ids("Patient/nobody/Observation")


def test_all_of_a_compartment_comes_in_pages(loaded: Loaded) -> None:
    patient = min(loaded.world.of("Patient"), key=lambda each: each["birthDate"], default=None)
    assert patient is not None
    pages = list(loaded.pages(f"Patient/{patient['id']}/*?_count=100&_type=Observation,Encounter,Condition"))
    found = [each.reference for page in pages for each in page.matches]
    own = referring("subject", f"Patient/{patient['id']}")
    wanted = [f"{each}/{id_}" for each in ("Observation", "Encounter", "Condition")
              for id_ in loaded.world.where(each, own)]  # fmt: skip
    assert sorted(found) == sorted(wanted)
    assert all(len(page.matches) == 100 for page in pages[:-1])


# Sorts


def least(path: str) -> Callable[[Json], Any]:
    return lambda r: min(map(str, at(r, path)), default=None)


def text(*paths: str, most: bool = False) -> Callable[[Json], Any]:
    choose = max if most else min
    return lambda r: choose((brute.folded(each) for path in paths for each in at(r, path)), default=None)


def moment(index: int, *paths: str) -> Callable[[Json], Any]:
    return lambda r: next((each[index] for each in brute.spans(r, *paths)), None)


SORTS: list[tuple[str, list[tuple[Callable[[Json], Any], bool]]]] = [
    ("Patient?_sort=birthdate", [(moment(0, "birthDate"), False)]),
    ("Patient?_sort=-birthdate", [(moment(1, "birthDate"), True)]),
    ("Patient?_sort=family", [(text("name.family"), False)]),
    ("Patient?_sort=-family", [(text("name.family", most=True), True)]),
    ("Patient?_sort=gender,-birthdate", [(least("gender"), False), (moment(1, "birthDate"), True)]),
    ("Patient?_sort=death-date", [(moment(0, "deceasedDateTime"), False)]),
    ("Patient?_sort=-death-date", [(moment(1, "deceasedDateTime"), True)]),
    ("Patient?_sort=-_id", [(least("id"), True)]),
    ("Observation?code=8302-2&_sort=date", [(moment(0, *OBSERVED), False)]),
    ("Observation?code=8302-2&_sort=-date", [(moment(1, *OBSERVED), True)]),
    ("Observation?subject.gender=female&code=8867-4&_sort=-date", [(moment(1, *OBSERVED), True)]),
    ("Observation?code=8302-2&_sort=-value-quantity", [(lambda r: r["valueQuantity"]["value"], True)]),
    ("Condition?_sort=-abatement-date", [(moment(1, "abatementDateTime"), True)]),
    ("Condition?_sort=abatement-date,_id", [(moment(0, "abatementDateTime"), False), (least("id"), False)]),
    ("Encounter?_has:Observation:encounter:code=8302-2&_sort=-date", [(moment(1, "period"), True)]),
]  # fmt: skip


@pytest.mark.parametrize("case", SORTS, ids=lambda case: case[0])
def test_results_are_sorted_and_none_is_lost(
    loaded: Loaded, case: tuple[str, list[tuple[Callable[[Json], Any], bool]]]
) -> None:
    query, orders = case
    resource_type = query.partition("?")[0]
    found = loaded.ids(f"{query}&_count=37")
    unsorted = loaded.ids(f"{query.partition('_sort')[0]}_count=1000")
    assert sorted(found) == sorted(unsorted) != []
    resources = [loaded.world.types[resource_type][each] for each in found]
    places = [[key(each) for key, _ in orders] for each in resources]
    for before, after in pairwise(places):
        assert _in_order(before, after, [descending for _, descending in orders]), (before, after)


def _in_order(before: list[Any], after: list[Any], ways: list[bool]) -> bool:
    for one, other, descending in zip(before, after, ways, strict=True):
        if one != other:
            if one is None or other is None:
                return other is None
            return bool(one > other if descending else one < other)
    return True


def test_the_shaped_search_gives_what_the_plain_one_gives(loaded: Loaded) -> None:
    """A patient's values of one code, newest first: answered by a key made for it."""
    for patient in loaded.world.of("Patient"):
        for code in ("8302-2", f"{LOINC}|8867-4", "29463-7,8302-2"):
            for date in ("", "&date=ge2014", "&date=lt2015&date=ge2011-02-03"):
                query = f"Observation?patient={patient['id']}&code={code}{date}"
                newest = loaded.ids(f"{query}&_sort=-date&_count=7")
                oldest = loaded.ids(f"{query}&_sort=date&_count=7")
                assert sorted(newest) == sorted(oldest) == sorted(loaded.ids(f"{query}&_count=500"))
                times = [moment(0, *OBSERVED)(loaded.world.types["Observation"][each]) for each in newest]
                assert times == sorted(times, reverse=True)
                times = [moment(0, *OBSERVED)(loaded.world.types["Observation"][each]) for each in oldest]
                assert times == sorted(times)


# Includes


def named(resource: Json, path: str, resource_type: str = "") -> set[str]:
    return {each["reference"] for each in at(resource, path) if each.get("reference", "").startswith(resource_type)}


def pointing_at(world: World, reference: str) -> set[str]:
    """Whatever refers there by a search parameter: of an Immunization's encounter there is none."""
    return {each for each in world.pointing("*", "*").get(reference, ()) if not each.startswith("Immunization/")}


INCLUDES: list[tuple[str, Callable[[World, Json], set[str]]]] = [
    ("Observation?code=8310-5&_include=Observation:subject", lambda w, r: named(r, "subject")),
    ("Observation?code=8310-5&_include=Observation:patient", lambda w, r: named(r, "subject")),
    ("Observation?code=8310-5&_include=Observation:subject:Group", lambda w, r: set()),
    ("Observation?code=8310-5&_include=Observation:encounter&_include=Observation:patient",
     lambda w, r: named(r, "subject") | named(r, "encounter")),
    ("Observation?code=8310-5&_include=Observation:*", lambda w, r: named(r, "subject") | named(r, "encounter")),
    ("Observation?code=8310-5&_include=Observation:encounter&_include:iterate=Encounter:service-provider",
     lambda w, r: {ref for each in named(r, "encounter")
                   for ref in {each} | named(w.find(each), "serviceProvider")}),
    ("Observation?code=8310-5&_include=Observation:encounter&_include=Encounter:service-provider",
     lambda w, r: named(r, "encounter")),
    ("DiagnosticReport?code=57698-3&_include=DiagnosticReport:result", lambda w, r: named(r, "result")),
    ("Encounter?class=EMER&_revinclude=Condition:encounter",
     lambda w, r: w.pointing("Condition", "encounter").get(f"Encounter/{r['id']}", set())),
    ("Encounter?class=EMER&_revinclude=*", lambda w, r: pointing_at(w, f"Encounter/{r['id']}")),
    ("Patient?_revinclude=Encounter:patient&_revinclude:iterate=Condition:encounter&_count=2",
     lambda w, r: {ref for each in w.pointing("Encounter", "subject").get(f"Patient/{r['id']}", set())
                   for ref in {each} | w.pointing("Condition", "encounter").get(each, set())}),
]  # fmt: skip


@pytest.mark.parametrize("case", INCLUDES, ids=lambda case: case[0])
def test_includes_belong_to_the_matches_of_their_page(
    loaded: Loaded, case: tuple[str, Callable[[World, Json], set[str]]]
) -> None:
    query, wanted = case
    count = "" if "_count" in query else "&_count=20"
    seen = []
    for page in loaded.pages(query + count):
        matches = {each.reference for each in page.matches}
        found = [each.reference for each in page.included]
        assert len(found) == len(set(found))
        resources = [loaded.world.find(each) for each in matches]
        assert set(found) == set().union(*(wanted(loaded.world, each) for each in resources)) - matches
        assert not page.warnings
        seen += [*matches]
    assert len(seen) == len(set(seen))
    assert set(seen) == {f"{query.partition('?')[0]}/{each}" for each in loaded.ids(query.partition("_")[0])}
