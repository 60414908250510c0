"""The FHIR services under rights that see some resources only: nothing shows what a direct read would refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from server.access.decision import AccessPoint
from server.access.facets import PATIENT
from server.access.relations import RecordedRelations
from server.access.roles import NURSE, RADIOLOGIST, REFERRING, SYSTEM
from server.access.roles import PATIENT as PATIENT_ROLE
from server.fhir.history import HistoryRequest
from server.fhir.json_form import Resource, decode
from server.fhir.operations.everything import Everything
from server.fhir.operations.parameters import OperationParameters
from server.fhir.reindex import Reindexer
from server.fhir.search.request import SearchRequest, SearchResult
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.fhir.stored import from_record
from server.kernel.clock import SystemClock
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.smart.scopes import grants, parse_scopes
from storage.ports import Put
from storage.query import EVERYTHING
from storage.sqlite.records import SqliteRecords

T = TypeVar("T")
SERVER = Context(LOCAL_ACTOR, "test")
ALL = (Grant(INTERACTIONS),)


def actor(*roles: str, scopes: str = "user/*.cruds", patient: str = "", **more: Any) -> Context:
    granted = grants(parse_scopes(scopes), patient)
    return Context(Actor("|".join((*roles, scopes, patient)), "x", granted, frozenset(roles), **more), "test")


def app(scopes: str, patient: str = "a") -> Context:
    return actor(RADIOLOGIST, scopes=scopes, patient=patient)


@dataclass
class Ward:
    runner: asyncio.Runner
    fhir: FhirServices
    records: SqliteRecords

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def put(self, *resources: Resource, context: Context = SERVER) -> None:
        for each in resources:
            self.run(self.fhir.repository.update(context, each["resourceType"], each["id"], each))

    def page(self, context: Context, resource_type: str | None, *pairs: tuple[str, str], **more: Any) -> SearchResult:
        return self.run(self.fhir.searcher.search(context, SearchRequest(resource_type, pairs, **more)))

    def ids(self, context: Context, resource_type: str | None, *pairs: tuple[str, str], **more: Any) -> list[str]:
        return sorted(each.reference for each in self.page(context, resource_type, *pairs, **more).matches)

    def refused(self, work: Coroutine[Any, Any, object]) -> Kind:
        with pytest.raises(Problem) as raised:
            self.run(work)
        return raised.value.kind

    def is_refused(self, context: Context, resource_type: str | None, *pairs: tuple[str, str], **more: Any) -> Kind:
        return self.refused(self.fhir.searcher.search(context, SearchRequest(resource_type, pairs, **more)))


def observation(name: str, patient: str, category: str = "laboratory", **more: Any) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
    } | more


def confidential(code: str) -> dict[str, Any]:
    return {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}]}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    offload = Offload(io_threads=2, cpu_threads=2)
    with asyncio.Runner() as runner:
        records = SqliteRecords(tmp_path_factory.mktemp("ward") / "records.sqlite", offload)
        access, options = AccessPoint(relations=RecordedRelations(records)), FhirOptions(enforces_references=True)
        made = Ward(runner, runner.run(open_fhir(records, access, SystemClock(), offload, options)), records)
        made.put(
            {"resourceType": "Organization", "id": "org", "name": "Ward"},
            {"resourceType": "Practitioner", "id": "dr"},
            {"resourceType": "Patient", "id": "a", "name": [{"family": "Wang"}],
             "generalPractitioner": [{"reference": "Practitioner/dr"}]},
            {"resourceType": "Patient", "id": "b", "name": [{"family": "Li"}],
             "managingOrganization": {"reference": "Organization/org"}},
            observation("a1", "a"),
            observation("a2", "a", "vital-signs"),
            observation("b1", "b"),
            observation("v1", "a", meta=confidential("V")),
            {"resourceType": "DiagnosticReport", "id": "ra", "status": "final", "code": {"text": "x"},
             "subject": {"reference": "Patient/a"},
             "result": [{"reference": "Observation/a1"}, {"reference": "Observation/b1"}]},
            {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
             "member": [{"entity": {"reference": f"Patient/{each}"}} for each in "ab"]},
            {"resourceType": "List", "id": "l", "status": "current", "mode": "working",
             "subject": {"reference": "Patient/a"},
             "entry": [{"item": {"reference": f"Observation/{each}"}} for each in ("a1", "b1")]},
            {"resourceType": "Binary", "id": "of-a", "contentType": "text/plain", "data": "eA==",
             "securityContext": {"reference": "Observation/a1"}},
            {"resourceType": "Binary", "id": "of-b", "contentType": "text/plain", "data": "eA==",
             "securityContext": {"reference": "Observation/b1"}},
            {"resourceType": "Binary", "id": "of-v", "contentType": "text/plain", "data": "eA==",
             "securityContext": {"reference": "Observation/v1"}},
            {"resourceType": "Binary", "id": "of-none", "contentType": "text/plain", "data": "eA=="},
        )  # fmt: skip
        yield made
        runner.run(records.close())
    offload.close()


def test_records_say_whose_they_are(ward: Ward) -> None:
    for collection, name, patients, level in (
        ("Observation", "a1", ("Patient/a",), None),
        ("Observation", "v1", ("Patient/a",), 5),
        ("Group", "g", ("Patient/a", "Patient/b"), None),
        ("Organization", "org", (), None),
    ):
        [record] = ward.run(ward.records.get(f"fhir-{collection}", [name]))
        stored = from_record(collection, record)
        assert (stored.patients, stored.level) == (patients, level)
        found = ward.run(ward.records.values(f"fhir-{collection}", PATIENT, EVERYTHING, at_most=99))
        assert set(found) >= set(patients)


def test_a_patient_scope_shows_the_compartment(ward: Ward) -> None:
    context = app("patient/*.rs")
    assert ward.ids(context, "Observation") == ["Observation/a1", "Observation/a2"]
    assert ward.ids(context, "Patient") == ["Patient/a"]
    assert ward.ids(context, "Organization") == ["Organization/org"]
    assert ward.page(context, "Observation", ("_summary", "count")).total == 2
    assert ward.run(ward.fhir.repository.read(context, "Observation", "a1")).id == "a1"
    for resource_type, name in (("Observation", "b1"), ("Observation", "v1"), ("Patient", "b")):
        assert ward.refused(ward.fhir.repository.read(context, resource_type, name)) is Kind.NOT_FOUND
    assert ward.is_refused(context, "Group") is Kind.FORBIDDEN
    assert ward.refused(ward.fhir.repository.read(context, "Group", "g")) is Kind.FORBIDDEN


def test_a_type_that_was_not_granted_is_refused_wherever_it_is_asked_for(ward: Ward) -> None:
    context = app("patient/Observation.rs")
    for resource_type, pairs in (
        ("Patient", ()),
        ("Patient", (("_id", "a"),)),
        ("Observation", (("subject:Patient.family", "wang"),)),
        ("Observation", (("_has:DiagnosticReport:result:status", "final"),)),
        (None, (("_type", "Observation,Patient"),)),
    ):
        assert ward.is_refused(context, resource_type, *pairs) is Kind.FORBIDDEN
    assert ward.refused(ward.fhir.repository.read(context, "Patient", "a")) is Kind.FORBIDDEN
    assert ward.refused(ward.fhir.history.of_type(context, "Patient", HistoryRequest())) is Kind.FORBIDDEN
    assert ward.ids(context, None) == ["Observation/a1", "Observation/a2"]
    page = ward.page(context, "Observation", ("_include", "Observation:subject"), ("_revinclude", "*"))
    assert page.included == []


@pytest.mark.parametrize(
    "pair",
    [("patient", "b"), ("patient", "Patient/b"), ("subject", "Patient/b"), ("patient", "a,b"), ("patient", "zz")],
)
def test_a_search_about_another_patient_is_refused(ward: Ward, pair: tuple[str, str]) -> None:
    assert ward.is_refused(app("patient/*.rs"), "Observation", pair) is Kind.FORBIDDEN
    assert ward.is_refused(actor(REFERRING, fhir_user="Practitioner/dr"), "Observation", pair) is Kind.FORBIDDEN
    limited = actor(SYSTEM, scopes="system/*.rs", own_patients=frozenset("a"))
    assert ward.is_refused(limited, "Observation", pair) is Kind.FORBIDDEN
    assert ward.ids(app("patient/*.rs"), "Observation", ("patient", "a")) == ["Observation/a1", "Observation/a2"]


def test_granular_scopes_are_a_union_and_each_keeps_its_filter(ward: Ward) -> None:
    laboratory = "patient/Observation.rs?category=laboratory"
    assert ward.ids(app(laboratory), "Observation") == ["Observation/a1"]
    assert ward.ids(app(laboratory), "Observation", ("category", "vital-signs")) == []
    both = app(laboratory + " patient/Observation.rs?category=vital-signs")
    assert ward.ids(both, "Observation") == ["Observation/a1", "Observation/a2"]
    repository = ward.fhir.repository
    assert ward.refused(repository.read(app(laboratory), "Observation", "a2")) is Kind.NOT_FOUND
    assert ward.refused(repository.vread(app(laboratory), "Observation", "a2", "1")) is Kind.NOT_FOUND
    page = ward.page(app(laboratory + " patient/DiagnosticReport.rs"), "DiagnosticReport", ("_include", "*"))
    assert [each.reference for each in page.included] == ["Observation/a1"]
    page = ward.page(app(laboratory + " patient/Patient.rs"), "Patient", ("_revinclude", "Observation:subject"))
    assert [each.reference for each in page.included] == ["Observation/a1"]
    unknown = actor(NURSE)
    grant = Grant(INTERACTIONS, frozenset({"Observation"}), None, (("nonsense", "1"),))
    nothing = replace(unknown, actor=replace(unknown.actor, grants=(grant,)))
    assert ward.is_refused(nothing, "Observation") is Kind.FORBIDDEN


def test_no_detour_shows_what_a_read_would_refuse(ward: Ward) -> None:
    context = app("patient/*.rs")
    page = ward.page(context, "DiagnosticReport", ("_include", "DiagnosticReport:result"))
    assert [each.reference for each in page.included] == ["Observation/a1"]
    assert ward.ids(context, "DiagnosticReport", ("result.subject:Patient.family", "li")) == []
    assert ward.ids(context, "Organization", ("_has:Patient:organization:family", "li")) == []
    assert ward.ids(context, "Observation", ("_list", "l")) == ["Observation/a1"]
    assert ward.is_refused(context, "Observation", compartment=("Patient", "b")) is Kind.NOT_FOUND
    everything = Everything(ward.fhir.searcher)
    found = ward.run(everything.first(context, "Patient", "a", OperationParameters(())))
    assert "Observation/v1" not in {each.reference for each in (*found.matches, *found.included)}
    assert all("Patient/b" not in each.patients or each.type == "Group" for each in found.matches)
    assert "Group/g" not in {each.reference for each in (*found.matches, *found.included)}
    refused = everything.first(context, "Patient", "b", OperationParameters(()))
    assert ward.refused(refused) is Kind.NOT_FOUND


def test_histories_follow_the_same_rule(ward: Ward) -> None:
    ward.put(observation("h", "a"), observation("h", "b"), observation("h", "a", status="amended"))
    context = app("patient/*.rs")
    page = ward.run(ward.fhir.history.of_instance(context, "Observation", "h", HistoryRequest()))
    assert ([each.version for each in page.versions], page.total) == ([3, 1], 2)
    assert ward.refused(ward.fhir.repository.vread(context, "Observation", "h", "2")) is Kind.NOT_FOUND
    page = ward.run(ward.fhir.history.of_type(context, "Observation", HistoryRequest()))
    assert {each.versioned for each in page.versions if each.id == "h"} == {
        "Observation/h/_history/1",
        "Observation/h/_history/3",
    }
    assert not {"b1", "v1"} & {each.id for each in page.versions}
    ward.run(ward.fhir.repository.delete(SERVER, "Observation", "h"))
    assert ward.refused(ward.fhir.repository.read(context, "Observation", "h")) is Kind.GONE
    other = app("patient/*.rs", "b")
    assert ward.refused(ward.fhir.repository.read(other, "Observation", "h")) is Kind.NOT_FOUND
    assert ward.refused(ward.fhir.history.of_instance(other, "Observation", "h", HistoryRequest())) is Kind.NOT_FOUND


def test_who_acts_for_one_patient_writes_about_no_other(ward: Ward) -> None:
    context, repository = app("patient/*.cruds"), ward.fhir.repository
    stored = ward.run(repository.create(context, "Observation", observation("", "a") | {"id": "x"})).stored
    about_both = observation("", "b") | {"performer": [{"reference": "Patient/a"}]}
    for work in (
        repository.create(context, "Observation", observation("x", "b")),
        repository.create(context, "Observation", about_both),
        repository.update(context, "Observation", stored.id, observation(stored.id, "b")),
        repository.create(context, "Patient", {"resourceType": "Patient"}),
        repository.update(context, "Patient", "a", {"resourceType": "Patient", "id": "a",
                                                   "identifier": [{"system": "urn:x", "value": "b's"}]}),
        repository.create(context, "ImagingStudy", {"resourceType": "ImagingStudy", "status": "available",
                                                    "subject": {"reference": "Patient/a"}}),
    ):  # fmt: skip
        assert ward.refused(work) is Kind.FORBIDDEN
    assert ward.refused(repository.delete(context, "Observation", "b1")) is Kind.NOT_FOUND
    assert ward.run(repository.delete(context, "Observation", stored.id)) is not None


def test_an_update_moves_nothing_into_or_out_of_what_was_granted(ward: Ward) -> None:
    ward.put(observation("m", "a"))
    context, repository = app("patient/Observation.cruds?category=laboratory"), ward.fhir.repository
    assert ward.run(repository.update(context, "Observation", "m", observation("m", "a", status="amended")))
    out = repository.update(context, "Observation", "m", observation("m", "a", "vital-signs"))
    assert ward.refused(out) is Kind.FORBIDDEN
    into = repository.update(context, "Observation", "a2", observation("a2", "a"))
    assert ward.refused(into) is Kind.FORBIDDEN
    ward.run(repository.delete(SERVER, "Observation", "m"))


def test_conditional_writes_tell_of_nothing_hidden(ward: Ward) -> None:
    context, repository = app("patient/*.cruds"), ward.fhir.repository
    found = ward.run(repository.create(context, "Observation", observation("x", "a"), "_id=b1"))
    assert found.status == "created"
    ward.run(repository.delete(SERVER, "Observation", found.stored.id))
    assert ward.run(repository.delete_matching(context, "Observation", "_id=b1")) == []
    patch = repository.patch_matching(context, "Observation", "_id=b1", lambda each: each)
    assert ward.refused(patch) is Kind.NOT_FOUND


def test_references_are_no_way_to_find_out_what_is_hidden(ward: Ward) -> None:
    context, repository = app("patient/*.cruds"), ward.fhir.repository
    for name in ("b1", "never-was"):
        hinting = observation("x", "a", hasMember=[{"reference": f"Observation/{name}"}])
        assert ward.refused(repository.create(context, "Observation", hinting)) is Kind.UNSUPPORTED


def test_a_binary_is_as_secret_as_its_context(ward: Ward) -> None:
    read = ward.fhir.repository.read
    context = app("patient/*.rs")
    assert ward.run(read(context, "Binary", "of-a")).id == "of-a"
    for name in ("of-b", "of-v", "of-none"):
        assert ward.refused(read(context, "Binary", name)) is Kind.NOT_FOUND
        assert ward.refused(ward.fhir.repository.vread(context, "Binary", name, "1")) is Kind.NOT_FOUND
    assert ward.is_refused(context, "Binary") is Kind.FORBIDDEN
    nurse = actor(NURSE)
    for name in ("of-a", "of-b", "of-none"):
        assert ward.run(read(nurse, "Binary", name)).id == name
    assert ward.refused(read(nurse, "Binary", "of-v")) is Kind.NOT_FOUND
    assert ward.ids(nurse, "Binary") == ["Binary/of-none"]
    unread = app("patient/Binary.rs")
    assert ward.refused(read(unread, "Binary", "of-a")) is Kind.NOT_FOUND


def test_a_ceiling_of_labels_holds(ward: Ward) -> None:
    nurse = actor(NURSE)
    assert "Observation/v1" not in ward.ids(nurse, "Observation")
    assert ward.refused(ward.fhir.repository.read(nurse, "Observation", "v1")) is Kind.NOT_FOUND
    emergency = replace(nurse, purpose="BTG")
    assert ward.run(ward.fhir.repository.read(emergency, "Observation", "v1")).id == "v1"
    created = ward.run(ward.fhir.repository.create(nurse, "Observation", observation("x", "a", meta=confidential("V"))))
    assert ward.refused(ward.fhir.repository.read(nurse, "Observation", created.stored.id)) is Kind.NOT_FOUND
    ward.run(ward.fhir.repository.delete(SERVER, "Observation", created.stored.id))


def test_a_referring_physician_sees_who_is_tied_to_them(ward: Ward) -> None:
    doctor = actor(REFERRING, fhir_user="Practitioner/dr")
    assert ward.ids(doctor, "Patient") == ["Patient/a"]
    assert ward.is_refused(actor(REFERRING, fhir_user="Practitioner/other"), "Patient") is Kind.FORBIDDEN
    order = {"resourceType": "ServiceRequest", "id": "s", "status": "active", "intent": "order",
             "subject": {"reference": "Patient/b"}, "requester": {"reference": "Practitioner/dr"}}  # fmt: skip
    assert ward.refused(ward.fhir.repository.create(doctor, "ServiceRequest", order)) is Kind.FORBIDDEN
    ward.put(order)
    assert ward.ids(doctor, "Patient") == ["Patient/a", "Patient/b"]
    ward.run(ward.fhir.repository.delete(SERVER, "ServiceRequest", "s"))
    assert ward.ids(doctor, "Patient") == ["Patient/a"]


def test_a_patient_sees_themselves(ward: Ward) -> None:
    patient = actor(PATIENT_ROLE, scopes="patient/*.rs", patient="a", own_patients=frozenset("a"))
    assert "Observation/v1" in ward.ids(patient, "Observation")
    assert ward.refused(
        ward.fhir.repository.update(patient, "Patient", "a", {"resourceType": "Patient", "id": "a"})
    ) is (Kind.FORBIDDEN)


def test_a_link_to_a_page_is_its_actors(ward: Ward) -> None:
    context = app("patient/*.rs")
    token = ward.page(context, "Observation", ("_count", "1")).next
    assert token is not None
    assert ward.refused(ward.fhir.searcher.more(app("patient/*.rs", "b"), token)) is Kind.INVALID
    page = ward.run(ward.fhir.history.of_type(context, "Observation", HistoryRequest(count=1)))
    assert page.next is not None
    other = ward.fhir.history.of_type(app("patient/*.rs", "b"), "Observation", HistoryRequest(after=page.next))
    assert ward.refused(other) is Kind.INVALID


def test_kept_answers_are_bound_to_the_rights(ward: Ward) -> None:
    request = SearchRequest("Observation", (("status", "final"),))
    one, other = app("patient/*.rs"), app("patient/*.rs", "b")
    ward.run(ward.fhir.searcher.search(one, request))
    revisions = [ward.run(ward.fhir.searcher.revision(each, request)) for each in (one, one, other)]
    assert revisions[0] is not None
    assert revisions[0] == revisions[1] != revisions[2]


def test_what_is_read_is_whole(ward: Ward) -> None:
    stored = ward.run(ward.fhir.repository.read(app("patient/*.rs"), "Observation", "a1"))
    assert decode(stored.body)["subject"] == {"reference": "Patient/a"}


def test_an_archive_without_access_keys_is_closed_until_it_is_indexed_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        offload = Offload(io_threads=1, cpu_threads=1)
        records = SqliteRecords(tmp_path / "records.sqlite", offload)
        body = b'1 0\n{"resourceType":"Patient","id":"old"}'
        await records.commit(
            [Put("fhir-Patient", "old", body, {"_id": frozenset(("old",))}), Put("fhir-history", "Patient/old/1", body)]
        )

        async def opened() -> FhirServices:
            return await open_fhir(records, AccessPoint(), SystemClock(), offload, FhirOptions())

        fhir, limited = await opened(), app("patient/*.rs", "old")
        with pytest.raises(Problem) as refused:
            await fhir.repository.read(limited, "Patient", "old")
        assert refused.value.kind is Kind.UNAVAILABLE
        assert (await fhir.repository.read(SERVER, "Patient", "old")).patients == ()
        parameters, keys = fhir.knowledge.parameters, fhir.repository.writing.keys
        async for _ in Reindexer(records, parameters, keys, offload).run():
            pass
        assert (await (await opened()).repository.read(limited, "Patient", "old")).patients == ("Patient/old",)
        await records.close()
        offload.close()

    asyncio.run(scenario())
