"""Institutions and the regional index of examinations on every record store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from profiles.china import citizen
from server.access.decision import AccessPoint
from server.access.roles import PATIENT, RADIOLOGIST
from server.fhir.json_form import Resource, decode
from server.fhir.operations.catalogue import Invocation, Level
from server.fhir.operations.parameters import OperationParameters
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.mpi.blocking import BlockRules
from server.mpi.examination_conflicts import ExaminationConflicts
from server.mpi.index_key import open_index_key
from server.mpi.index_operation import ImagingIndexOperation
from server.mpi.institutions import Institution, Institutions, organization_id
from server.mpi.lookup import Asked, Document, Found, Lookup
from server.mpi.master_index import MasterIndex
from server.mpi.regional_index import RegionalIndex
from storage.encryption.keys import KeyFileError
from storage.ports import Records
from storage.query import All
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, TickingClock

ZHANG, LI = "11010519491231002X", "110000199001010013"
EAST, WEST = Institution("E001", "东城医院", "1.9.1"), Institution("W001", "West Hospital", aliases=("WEST HOSP",))
Json = dict[str, Any]


@dataclass
class Manifests:
    """As the registry would tell of them."""

    known: dict[str, list[Document]] = field(default_factory=dict)

    async def of_studies(self, context: Context, studies: Any) -> dict[str, list[Document]]:
        return {each: self.known[each] for each in studies if each in self.known}


@dataclass
class Region:
    archive: Archive
    store: Records
    fhir: FhirServices
    master: MasterIndex
    institutions: Institutions
    index: RegionalIndex
    lookup: Lookup
    manifests: Manifests

    def run(self, work: Awaitable[Any]) -> Any:
        return self.archive.run(awaited(work))

    def put(self, resource: Resource) -> str:
        type_, id_ = resource["resourceType"], resource["id"]
        self.run(self.fhir.repository.update(CONTEXT, type_, id_, resource))
        return f"{type_}/{id_}"

    def examine(self, patient: str, study: str) -> None:
        """A study as the bridge writes it."""
        identifiers = [{"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}]
        self.put(
            {
                "resourceType": "ImagingStudy",
                "id": study.replace(".", "-"),
                "status": "available",
                "identifier": identifiers,
                "subject": {"reference": patient},
            }
        )

    def find(self, context: Context = CONTEXT, **asked: str) -> list[Found]:
        found = self.run(self.lookup.find(context, Asked(**asked)))
        assert isinstance(found, list)
        return found


def patient(id: str, number: str, **others: Any) -> Resource:
    identifiers = [{"system": citizen.SYSTEM, "value": number}] if number else []
    return {"resourceType": "Patient", "id": id} | ({"identifier": identifiers} if identifiers else {}) | others


@pytest.fixture
def region(archive: Archive, store: Records) -> Region:
    clock = TickingClock()
    rules = (BlockRules(store, "1.2.4", clock),)
    fhir = archive.run(open_fhir(store, AccessPoint(), clock, archive.threads, FhirOptions(), rules=rules))
    master = MasterIndex(store, fhir.repository, "1.2.4", clock)
    institutions, manifests = Institutions(store, fhir.repository, "W001"), Manifests()
    index = RegionalIndex(bytes(32), "1.2.6", store, fhir.repository, master, clock)
    lookup = Lookup(store, fhir.repository, master, index, institutions, "https://weft.example/dicomweb", manifests)
    archive.run(master.prepare())
    return Region(archive, store, fhir, master, institutions, index, lookup, manifests)


def test_one_examination_told_by_two_hospitals_is_one_patient_and_two_examinations(region: Region) -> None:
    for each in (EAST, WEST):
        region.run(region.institutions.add(CONTEXT, each))
    at_east = region.put(patient("e", ZHANG, name=[{"family": "欧阳", "given": ["小明"]}], gender="female"))
    at_west = region.put(patient("w", ZHANG.lower(), name=[{"text": "OUYANG XIAOMING"}]))
    for named, study in ((at_east, "1.2.3.1"), (at_west, "1.2.3.2")):
        region.run(region.master.enroll(CONTEXT, named))
        region.examine(named, study)
    region.manifests.known["1.2.3.1"] = [Document("1.5.1", "1.7.7", "urn:oid:1.5")]
    told = [
        region.run(region.index.of_examination(institution, named, "CT0007", study))
        for institution, named, study in (("E001", at_east, "1.2.3.1"), ("W001", at_west, "1.2.3.2"))
    ]
    again = region.run(region.index.of_examination("e001 ", at_east, "\uff23\uff340007", "1.2.3.1"))
    assert again == told[0] == f"{region.index.of('E001', ZHANG, 'CT0007')}^^^&1.2.6&ISO^urn:weft:xds:imaging-index"
    by_citizen = region.find(citizen=ZHANG)
    assert [each.examination.institution for each in by_citizen] == ["E001", "W001"]
    assert region.run(region.master.of_patient(at_east)) == region.run(region.master.of_patient(at_west))
    assert region.find(number="CT0007") == by_citizen
    assert region.find(number="CT0007", institution="E001") == by_citizen[:1]
    assert region.find(index=told[1].partition("^")[0]) == by_citizen[1:]
    assert region.find(citizen=LI) == region.find(number="CT0008") == []
    [seen] = by_citizen[0].studies
    assert (seen.url, seen.resource) == ("https://weft.example/dicomweb/studies/1.2.3.1", "ImagingStudy/1-2-3-1")
    assert seen.documents == (Document("1.5.1", "1.7.7", "urn:oid:1.5"),)
    kept = decode(region.run(region.fhir.repository.read(CONTEXT, "ImagingStudy", "1-2-3-1")).body)
    assert {"system": "urn:oid:1.2.6", "value": by_citizen[0].examination.index} in kept["identifier"]


def test_an_index_is_a_uuid_that_follows_from_the_key_alone(region: Region) -> None:
    index = region.index.of("E001", ZHANG, "7")
    assert UUID(index).version == 8
    assert index == region.index.of("E001", ZHANG[:6] + ZHANG[8:17], " 7")
    others = [
        region.index.of("E001", ZHANG, "07"),
        region.index.of("E001", LI, "7"),
        region.index.of("E002", ZHANG, "7"),
    ]
    assert len({index, *others}) == 4


def test_a_number_that_comes_again_for_somebody_else_is_refused_and_kept_for_review(region: Region) -> None:
    first, second = region.put(patient("a", ZHANG)), region.put(patient("b", LI))
    assert region.run(region.index.of_examination("E001", first, "7"))
    assert region.run(region.index.of_examination("E001", second, "7", "1.2.3")) == ""
    with pytest.raises(Problem) as raised:
        region.run(region.index.register(CONTEXT, "E001", LI, "7"))
    assert raised.value.kind is Kind.CONFLICT
    assert LI not in raised.value.text
    assert region.run(region.store.count("mpi-conflict", All(()), at_most=9)) == 1


def test_a_conflict_is_settled_once_both_are_one_person_or_dismissed(region: Region) -> None:
    first, second, third = (region.put(patient(name, number)) for name, number in (("a", ""), ("b", ""), ("c", "")))
    conflicts = ExaminationConflicts(region.index, region.store)
    index = region.run(region.index.of_examination("E001", first, "7", "1.2.2")).partition("^")[0]
    region.examine(second, "1.2.3")
    for other in (second, third):
        assert region.run(region.index.of_examination("E001", other, "7", "1.2.3")) == ""
    [(one, conflict), (two, _)] = region.run(conflicts.open())
    assert (conflict.index, conflict.number, conflict.patient, conflict.study) == (index, "7", second, "1.2.3")

    with pytest.raises(Problem) as raised:
        region.run(conflicts.settle(CONTEXT, one))
    assert raised.value.kind is Kind.CONFLICT
    region.run(region.master.link(CONTEXT, first, second))
    made = region.run(conflicts.settle(CONTEXT, one))
    assert (made.index, made.patients, made.studies) == (index, (first, second), ("1.2.2", "1.2.3"))
    assert [each for each, _ in region.run(conflicts.open())] == [two]
    region.run(conflicts.dismiss(two))
    assert region.run(conflicts.open()) == []
    for work in (conflicts.settle(CONTEXT, one), conflicts.dismiss(two)):
        with pytest.raises(Problem) as raised:
            region.run(work)
        assert raised.value.kind is Kind.NOT_FOUND

    with pytest.raises(Problem):
        region.run(region.index.register(CONTEXT, "E001", LI, "7"))
    [(nobody, _)] = region.run(conflicts.open())
    with pytest.raises(Problem, match="only be dismissed"):
        region.run(conflicts.settle(CONTEXT, nobody))


def test_who_has_no_citizen_number_keeps_the_index_once_it_is_known(region: Region) -> None:
    newborn = region.put(patient("n", ""))
    region.examine(newborn, "1.2.3")
    told = region.run(region.index.of_examination("E001", newborn, "7", "1.2.3"))
    region.put(patient("n", LI))
    assert region.run(region.index.of_examination("E001", newborn, "7", "1.2.3")) == told
    assert [each.examination.index for each in region.find(citizen=LI)] == [told.partition("^")[0]]


def test_those_who_register_at_once_make_one_examination(region: Region) -> None:
    named = region.put(patient("a", ZHANG))
    studies = [f"1.2.3.{n}" for n in range(4)]
    for each in studies:
        region.examine(named, each)

    async def at_once() -> list[str]:
        return await asyncio.gather(*(region.index.of_examination("E001", named, "7", each) for each in studies))

    assert len(set(region.run(at_once()))) == 1
    [found] = region.find(number="7")
    assert {each.uid for each in found.studies} == set(studies)


def test_what_may_not_be_seen_is_not_found(region: Region) -> None:
    mine, other = region.put(patient("mine", ZHANG)), region.put(patient("other", LI))
    for named, study in ((mine, "1.2.3.1"), (other, "1.2.3.2")):
        region.examine(named, study)
        region.run(region.index.of_examination("E001", named, f"N{study}", study))
    actor = Actor("p", "p", (Grant(INTERACTIONS),), frozenset((PATIENT,)), own_patients=frozenset(("mine",)))
    context = replace(CONTEXT, actor=actor)
    assert len(region.find(context, citizen=ZHANG)) == 1
    assert region.find(context, citizen=LI) == region.find(context, number="N1.2.3.2") == []


def test_who_sees_images_without_names_does_not_learn_whose_they_are(region: Region) -> None:
    named = region.put(patient("a", ZHANG))
    region.examine(named, "1.2.3")
    region.run(region.index.of_examination("E001", named, "7", "1.2.3"))
    images = Grant(frozenset({"read", "search"}), frozenset({"ImagingStudy"}))
    context = replace(CONTEXT, actor=Actor("r", "r", (images,), frozenset({RADIOLOGIST})))
    assert len(region.find(context, number="7")) == 1
    assert region.find(context, citizen=ZHANG) == []


def test_a_newborn_under_its_mothers_number_is_not_found_as_her(region: Region) -> None:
    mother = region.put(patient("mother", LI))
    newborn = region.put(patient("newborn", LI, birthDate="2026-11-01"))
    for named, study in ((mother, "1.2.3.1"), (newborn, "1.2.3.2")):
        region.examine(named, study)
        region.run(region.index.of_examination("E001", named, f"N{study}", study))
    assert [each.examination.number for each in region.find(citizen=LI)] == ["N1.2.3.1"]
    assert len(region.find(number="N1.2.3.2")) == 1


def test_a_study_that_turned_out_to_be_somebody_elses_is_not_told(region: Region) -> None:
    zhang, li = region.put(patient("a", ZHANG)), region.put(patient("b", LI))
    region.examine(zhang, "1.2.3")
    region.run(region.index.of_examination("E001", zhang, "7", "1.2.3"))
    region.examine(li, "1.2.3")
    assert region.run(region.index.of_examination("E001", li, "7", "1.2.3")) == ""
    assert region.find(citizen=ZHANG) == region.find(citizen=LI) == region.find(number="7") == []
    region.run(region.master.link(CONTEXT, zhang, li))
    assert len(region.find(number="7")) == 1


def test_the_operation_answers_parameters_and_takes_no_citizen_number_from_a_url(region: Region) -> None:
    named = region.put(patient("a", ZHANG))
    region.examine(named, "1.2.3")
    region.run(region.index.of_examination("E001", named, "7", "1.2.3"))
    [row] = ImagingIndexOperation(region.lookup).rows()

    def called(parameters: OperationParameters) -> Json:
        invocation = Invocation(Level.TYPE, parameters, "http://localhost/fhir", "ImagingStudy")
        answer = region.run(row.handler(CONTEXT, invocation))
        assert isinstance(answer, dict)
        return answer

    posted: Json = {"resourceType": "Parameters", "parameter": [{"name": "citizen", "valueString": ZHANG}]}
    [found] = called(OperationParameters.read(posted))["parameter"]
    assert {"name": "number", "valueString": "7"} in found["part"]
    assert called(OperationParameters.of_query([("number", "8")])) == {"resourceType": "Parameters"}
    for pairs in ([("citizen", ZHANG)], [("institution", "E001")], [("name", "x")]):
        with pytest.raises(Problem) as raised:
            called(OperationParameters.of_query(pairs))
        assert raised.value.kind is Kind.INVALID


def test_a_study_tells_its_institution_by_issuer_by_name_or_not_at_all(region: Region) -> None:
    for each in (EAST, WEST):
        region.run(region.institutions.add(CONTEXT, each))

    def of(**attributes: Any) -> str:
        found = region.run(region.institutions.of_study({tag[1:]: value for tag, value in attributes.items()}))
        return str(found.code)

    issuer = {"00400032": {"vr": "UT", "Value": ["1.9.1"]}, "00400033": {"vr": "CS", "Value": ["ISO"]}}
    west = {"vr": "LO", "Value": ["West  hosp"]}
    assert of(_00080051={"vr": "SQ", "Value": [issuer]}, _00080080=west) == "E001"
    assert of(_00080080=west) == of(_00080080={"vr": "LO", "Value": ["nowhere"]}) == "W001"
    shown = decode(region.run(region.fhir.repository.read(CONTEXT, "Organization", organization_id("E001"))).body)
    assert (shown["name"], shown["identifier"][0]["value"]) == ("东城医院", "E001")
    with pytest.raises(Problem) as raised:
        region.run(region.institutions.add(CONTEXT, Institution("X", "X", aliases=("west hosp",))))
    assert raised.value.kind is Kind.CONFLICT
    region.run(region.institutions.add(CONTEXT, replace_name(EAST, "East")))
    assert [each.name for each in region.run(region.institutions.every())] == ["East", "West Hospital"]


def test_the_key_is_made_once_kept_private_and_never_made_anew_over_indexes(region: Region, tmp_path: Path) -> None:
    path, threads = tmp_path / "keys" / "index.key", region.archive.threads
    key = region.run(open_index_key(region.store, path, threads))
    assert key == region.run(open_index_key(region.store, path, threads))
    assert path.stat().st_mode & 0o777 == 0o600
    region.run(region.index.register(CONTEXT, "E001", ZHANG, "7"))
    path.unlink()
    with pytest.raises(KeyFileError, match="restore"):
        region.run(open_index_key(region.store, path, threads))
    path.write_bytes(b"{}")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="holds no secret"):
        region.run(open_index_key(region.store, path, threads))


async def awaited(work: Awaitable[Any]) -> Any:
    return await work


def replace_name(institution: Institution, name: str) -> Institution:
    return Institution(institution.code, name, institution.oid)
