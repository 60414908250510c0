"""`$everything` and `$lastn`: what they gather of a store, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.fhir.operations.everything import Everything
from server.fhir.operations.lastn import LastN
from server.fhir.operations.parameters import OperationParameters
from server.fhir.search.request import SearchResult
from server.fhir.stored import DELETED, Stored
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.ports import Put
from storage.query import EVERYTHING, NOTHING, Predicate
from tests.contract.conftest import Archive
from tests.contract.fhir_store import FhirStore

Json = Any
Pairs = dict[str, str]


def about(resource_type: str, id_: str, patient: str = "a", **members: Json) -> Json:
    name = "patient" if resource_type in ("AllergyIntolerance", "Immunization") else "subject"
    return {"resourceType": resource_type, "id": id_, name: {"reference": f"Patient/{patient}"}} | members


def observed(id_: str, code: str, time: str | None = None, patient: str = "a", **members: Json) -> Json:
    codings = [{"system": "http://c.example", "code": each} for each in code.split("+") if each]
    when = {"effectiveDateTime": time} if time else {}
    return about("Observation", id_, patient, status="final", code={"coding": codings}, **when) | members


WARD: list[Json] = [
    {"resourceType": "Patient", "id": "a", "generalPractitioner": [{"reference": "Practitioner/gp"}],
     "link": [{"other": {"reference": "Patient/b"}, "type": "seealso"}]},
    {"resourceType": "Patient", "id": "b"},
    {"resourceType": "Practitioner", "id": "gp"},
    {"resourceType": "Practitioner", "id": "stranger"},
    {"resourceType": "Organization", "id": "ward"},
    {"resourceType": "Location", "id": "bed"},
    {"resourceType": "Medication", "id": "drug"},
    {"resourceType": "Binary", "id": "scan", "contentType": "text/plain"},
    about("Encounter", "stay", status="finished", period={"start": "2020-01-01", "end": "2020-01-09"},
          serviceProvider={"reference": "Organization/ward"}, location=[{"location": {"reference": "Location/bed"}}]),
    about("Encounter", "other", "b", status="finished", period={"start": "2020-01-01"}),
    observed("early", "hr", "2020-01-02T08:00:00Z", encounter={"reference": "Encounter/stay"}),
    observed("late", "hr", "2021-05-02T08:00:00Z"),
    observed("undated", "hr"),
    observed("theirs", "hr", "2020-01-02", "b"),
    about("MedicationRequest", "order", status="active", intent="order", authoredOn="2020-01-03",
          medicationReference={"reference": "Medication/drug"}, encounter={"reference": "Encounter/stay"}),
    about("DocumentReference", "letter", status="current", date="2020-01-04T00:00:00Z",
          content=[{"attachment": {"url": "Binary/scan"}}]),
    about("AllergyIntolerance", "nuts"),
    {"resourceType": "Provenance", "id": "why", "target": [{"reference": "Observation/early"}],
     "agent": [{"who": {"reference": "Practitioner/gp"}}]},
    {"resourceType": "Provenance", "id": "why-not", "target": [{"reference": "Observation/theirs"}]},
]  # fmt: skip

ALL_OF_A = {
    "Patient/a", "Practitioner/gp", "Organization/ward", "Location/bed", "Medication/drug", "Encounter/stay",
    "Observation/early", "Observation/late", "Observation/undated", "MedicationRequest/order",
    "DocumentReference/letter", "Binary/scan", "AllergyIntolerance/nuts", "Provenance/why", "Patient/b",
}  # fmt: skip


class Ward:
    def __init__(self, archive: Archive, access: AccessPoint | None = None) -> None:
        self.archive = archive
        self.store = FhirStore(archive.open(), access)
        self.everything = Everything(self.store.searcher)
        archive.run(self.store.load(WARD))

    def pages(self, reference: str, **pairs: str) -> list[SearchResult]:
        asked = OperationParameters.of_query((name.removeprefix("x"), value) for name, value in pairs.items())
        found = [self.archive.run(self.everything.first(self.store.context, *reference.split("/"), asked))]
        while token := found[-1].next:
            found.append(self.archive.run(self.everything.more(self.store.context, token)))
        return found

    def all(self, reference: str, **pairs: str) -> set[str]:
        found = [each.reference for page in self.pages(reference, **pairs) for each in (*page.matches, *page.included)]
        assert len(found) == len(set(found))
        return set(found)


@pytest.fixture
def ward(archive: Archive) -> Ward:
    return Ward(archive)


def test_everything_of_a_patient(ward: Ward) -> None:
    assert ward.all("Patient/a") == ALL_OF_A - {"Patient/b"}
    (page,) = ward.pages("Patient/a")
    assert {each.type for each in page.included} >= {"Practitioner", "Organization", "Location", "Medication"}
    assert page.total == len(ALL_OF_A) - 1


def test_everything_of_an_encounter(ward: Ward) -> None:
    assert ward.all("Encounter/stay") == {
        "Encounter/stay", "Patient/a", "Organization/ward", "Location/bed", "Observation/early",
        "MedicationRequest/order", "Medication/drug", "Provenance/why", "Practitioner/gp",
    } - {"Practitioner/gp"}  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, 5, 50])
def test_everything_comes_in_pages_with_each_resource_once(ward: Ward, count: int) -> None:
    pages = ward.pages("Patient/a", _count=str(count))
    assert ward.all("Patient/a", _count=str(count)) == ALL_OF_A - {"Patient/b"}
    assert all(len(page.matches) + len(page.included) == count for page in pages[:-1])


def test_everything_is_narrowed_by_care_date_type_and_change(ward: Ward) -> None:
    whole = ALL_OF_A - {"Patient/b"}
    assert ward.all("Patient/a", end="2020-12-31") == whole - {"Observation/late"}
    assert ward.all("Patient/a", start="2021") == {
        "Patient/a", "Practitioner/gp", "Observation/late", "Observation/undated", "AllergyIntolerance/nuts",
    }  # fmt: skip
    assert ward.all("Patient/a", _type="Patient,Observation") == {each for each in whole if each[:3] in ("Pat", "Obs")}
    assert ward.all("Patient/a", _since="2100-01-01T00:00:00Z") == set()
    assert ward.all("Patient/a", _since="2000-01-01T00:00:00Z") == whole


def refusal(ward: Ward, reference: str, **pairs: str) -> Kind:
    with pytest.raises(Problem) as caught:
        ward.pages(reference, **pairs)
    return caught.value.kind


def test_everything_of_nobody(ward: Ward) -> None:
    gone = Stored("Patient", "gone", 2, 1, b"")
    ward.archive.run(ward.store.records.commit([Put(DELETED, "Patient/gone", gone.record_body())]))
    assert refusal(ward, "Patient/nobody") is Kind.NOT_FOUND
    assert refusal(ward, "Patient/gone") is Kind.GONE
    for pairs in (
        {"_count": "0"},
        {"_count": "x"},
        {"_type": "Nothing"},
        {"start": "soon"},
        {"_since": "x"},
        {"no": "1"},
    ):
        assert refusal(ward, "Patient/a", **pairs) is Kind.INVALID


def test_a_link_of_a_search_leads_to_no_page_of_everything(ward: Ward) -> None:
    token = ward.pages("Patient/a", _count="2")[0].next
    assert token is not None
    with pytest.raises(Problem):
        ward.archive.run(ward.store.searcher.more(ward.store.context, token))


def test_everything_leaves_out_what_may_not_be_seen(archive: Archive) -> None:
    class NoPractitioners(AccessPoint):
        async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate:
            return NOTHING if resource_type in ("Practitioner", "Observation") else EVERYTHING

    found = Ward(archive, NoPractitioners()).all("Patient/a")
    assert not {each for each in found if each.startswith(("Practitioner", "Observation"))}
    assert "AllergyIntolerance/nuts" in found


# $lastn


def latest(archive: Archive, resources: list[Json], **pairs: str) -> list[str]:
    store = FhirStore(archive.open())
    archive.run(store.load(resources))
    asked = OperationParameters.of_query(pairs.items())
    found = archive.run(LastN(store.searcher)(store.context, asked))
    assert (found.next, found.total) == (None, len(found.matches))
    return [each.id for each in found.matches]


def series(code: str, *days: int) -> list[Json]:
    return [observed(f"{code.replace('+', '')}{day}", code, f"2020-01-{day:02}T08:00:00Z") for day in days]


def test_the_latest_of_each_code(archive: Archive) -> None:
    ward = [*series("hr", 3, 1, 2), *series("bp", 5, 4), observed("none", "hr"), observed("b1", "hr", "2021", "b")]
    assert sorted(latest(archive, ward, patient="a", code="hr,bp")) == ["bp5", "hr3"]
    assert sorted(latest(archive, [], patient="a", code="hr,bp", max="2")) == ["bp4", "bp5", "hr2", "hr3"]
    assert latest(archive, [], subject="Patient/a", code="hr", max="9") == ["hr3", "hr2", "hr1", "none"]
    assert latest(archive, [], patient="a", code="hr", date="lt2020-01-03") == ["hr2"]
    assert latest(archive, [], patient="nobody", code="hr") == []


def test_codes_that_stand_together_are_one_group(archive: Archive) -> None:
    ward = [*series("x", 1), *series("y", 2), *series("x+y", 3), *series("z", 4), *series("z+w", 5), *series("v", 6)]
    vital = {"category": [{"coding": [{"code": "vital-signs"}]}]}
    ward = [each | vital for each in ward]
    assert sorted(latest(archive, ward, patient="a", category="vital-signs")) == ["v6", "xy3", "zw5"]
    assert sorted(latest(archive, [], patient="a", category="vital-signs", max="2")) == ["v6", "xy3", "y2", "z4", "zw5"]


def test_the_same_code_in_another_system_is_another_group(archive: Archive) -> None:
    other = {"code": {"coding": [{"system": "http://d.example", "code": "hr"}]}}
    ward = [*series("hr", 1, 2), observed("d1", "", "2019-01-01") | other]
    assert sorted(latest(archive, ward, patient="a", code="hr")) == ["d1", "hr2"]


def test_texts_make_groups_of_their_own(archive: Archive) -> None:
    def said(id_: str, text: str, time: str) -> Json:
        return about("Observation", id_, status="final", code={"text": text}, effectiveDateTime=time,
                     category=[{"coding": [{"code": "c"}]}])  # fmt: skip

    ward = [
        said("a1", "Pain", "2020"),
        said("a2", "Pain", "2021"),
        said("b1", "pain", "2020"),
        said("b2", "pain", "2020"),
    ]
    assert sorted(latest(archive, ward, patient="a", category="c")) == ["a2", "b1", "b2"]


def test_equal_times_at_the_cut_are_all_given(archive: Archive) -> None:
    ward = [*series("hr", 1, 2), *(observed(f"tie{each}", "hr", "2020-01-05T08:00:00Z") for each in range(4))]
    assert sorted(latest(archive, ward, patient="a", code="hr", max="2")) == ["tie0", "tie1", "tie2", "tie3"]
    assert len(latest(archive, [], patient="a", code="hr", max="5")) == 5


@pytest.mark.parametrize("pairs", [
    {"patient": "a"}, {"code": "hr"}, {"subject": "Patient/a", "date": "2020"},
    {"patient": "a", "code": "x", "max": "0"},
    {"patient": "a", "code": "x", "max": "many"}, {"patient": "a", "code": "x", "max": "100000"},
    {"patient": "a", "code:nothing": "x"},
])  # fmt: skip
def test_lastn_without_what_it_needs_is_refused(archive: Archive, pairs: Pairs) -> None:
    with pytest.raises(Problem) as caught:
        latest(archive, [], **pairs)
    assert caught.value.kind is Kind.INVALID
