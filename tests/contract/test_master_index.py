"""The master index on every record store: who is who, and what is written of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from profiles.china import citizen
from server.access.decision import AccessPoint
from server.access.roles import NURSE
from server.fhir.json_form import decode
from server.fhir.services import FhirOptions, FhirServices, open_fhir
from server.kernel.context import INTERACTIONS, Actor, Grant
from server.kernel.problem import Kind, Problem
from server.mpi.blocking import BlockRules
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.master_index import MasterIndex
from server.mpi.number import is_number
from server.mpi.stored import DUE, MEMBERS, PERSONS
from storage.ports import Put, Record, Records
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, TickingClock

AUTHORITY = "1.2.3.4"
SYSTEM = f"urn:oid:{AUTHORITY}"
ZHANG = "11010519491231002X"
LI = "110000199001010013"
Json = dict[str, Any]


@dataclass
class Region:
    """A master index over FHIR services, and the hospitals' patients."""

    archive: Archive
    fhir: FhirServices
    index: MasterIndex

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.archive.run(work)

    def add(self, id: str, *numbers: tuple[str, str], **others: Any) -> str:
        identifiers = [{"system": system, "value": value} for system, value in numbers]
        patient: Json = {"resourceType": "Patient", "id": id, "active": True, **others}
        if identifiers:
            patient["identifier"] = identifiers
        self.run(self.fhir.repository.update(CONTEXT, "Patient", id, patient))
        return f"Patient/{id}"

    def read(self, patient: str) -> Json:
        stored = self.run(self.fhir.repository.read(CONTEXT, "Patient", patient.removeprefix("Patient/")))
        return decode(stored.body)

    def enroll(self, patient: str) -> PatientIdentity:
        found = self.run(self.index.enroll(CONTEXT, patient))
        assert isinstance(found, PatientIdentity)
        return found

    def numbers(self, patient: str) -> list[tuple[str, str]]:
        """Master numbers on a Patient with their use."""
        listed = self.read(patient).get("identifier", ())
        return [(each["value"], each["use"]) for each in listed if each.get("system") == SYSTEM]

    def links(self, patient: str) -> set[tuple[str, str]]:
        return {(each["other"]["reference"], each["type"]) for each in self.read(patient).get("link", ())}

    def refused(self, work: Coroutine[Any, Any, Any]) -> Problem:
        with pytest.raises(Problem) as raised:
            self.run(work)
        return raised.value


@pytest.fixture
def region(archive: Archive, store: Records) -> Region:
    clock = TickingClock()
    rules = (BlockRules(store, AUTHORITY, clock),)
    fhir = archive.run(open_fhir(store, AccessPoint(), clock, archive.threads, FhirOptions(), rules=rules))
    index = MasterIndex(store, fhir.repository, AUTHORITY, clock)
    archive.run(index.prepare())
    return Region(archive, fhir, index)


def named(family: str, given: str) -> list[Json]:
    return [{"family": family, "given": [given], "text": family + given}]


def test_a_patient_gets_a_number_that_finds_it_and_stands_on_it(region: Region) -> None:
    patient = region.add("a", ("urn:oid:1.9", "7"), name=named("张", "伟"))
    identity = region.enroll(patient)
    assert identity == region.enroll(patient)
    assert identity.patients == (patient,)
    assert is_number(identity.number.value)
    assert region.numbers(patient) == [(identity.number.value, "secondary")]
    assert region.run(region.index.resolve(identity.number)) == identity
    assert region.run(region.index.resolve(Identifier("urn:oid:1.9", "7"))) == identity
    assert region.run(region.index.of_patient(patient)) == identity
    assert region.run(region.index.resolve(Identifier(SYSTEM, "nobody"))) is None
    assert region.refused(region.index.enroll(CONTEXT, "Patient/none")).kind is Kind.NOT_FOUND


def test_several_patients_are_enrolled_as_each_of_them_is_alone(region: Region) -> None:
    known = region.add("a", ("urn:oid:1.9", "1"))
    before = region.enroll(known)
    new = [region.add(f"n{number}", ("urn:oid:1.9", f"7{number}")) for number in range(3)]
    nameless, alike = region.add("b"), region.add("c", ("urn:oid:1.9", "1"))
    same = [region.add("d", (citizen.SYSTEM, ZHANG)), region.add("e", (citizen.SYSTEM, ZHANG))]
    fed = region.add("f", Identifier(SYSTEM, "MPI-0017"))
    asked = [known, *new, nameless, alike, *same, fed]
    found = region.run(region.index.enroll_all(CONTEXT, asked))
    assert found == {each: region.enroll(each) for each in asked}
    assert found[known].number == before.number == found[alike].number
    assert found[same[0]] == found[same[1]]
    assert found[fed].number.value == "MPI-0017"
    assert len({found[each].number for each in (known, *new, nameless, same[0], fed)}) == 7
    for each in (*new, nameless):
        assert found[each].patients == (each,)
        assert region.numbers(each) == [(found[each].number.value, "secondary")]
    with pytest.raises(Problem):
        region.run(region.index.enroll_all(CONTEXT, ["Patient/none", "Patient/nobody"]))


def test_a_number_the_patient_came_with_is_its_master_number(region: Region) -> None:
    fed = Identifier(SYSTEM, "MPI-0017")
    patient = region.add("a", fed)
    assert region.run(region.index.resolve(fed)) == PatientIdentity(fed, (patient,))
    assert region.enroll(patient).number == fed
    assert region.numbers(patient) == [("MPI-0017", "secondary")]


def test_one_citizen_number_makes_one_person_whichever_form_it_has(region: Region) -> None:
    short = ZHANG[:6] + ZHANG[8:17]
    at_a = region.add("a", (citizen.SYSTEM, ZHANG), name=named("章", "小明"))
    at_b = region.add("b", (citizen.SYSTEM, short), name=[{"family": "Zhang", "given": ["Xiaoming"]}])
    first, second = region.enroll(at_a), region.enroll(at_b)
    assert first.number == second.number
    assert region.enroll(at_a).patients == (at_a, at_b)
    assert region.links(at_b) == {(at_a, "seealso")}
    assert region.run(region.index.resolve(Identifier(citizen.SYSTEM, short.lower()))) == second


def test_what_cannot_be_true_of_one_person_is_left_to_review(region: Region) -> None:
    at_a = region.add("a", ("urn:oid:1.9", "7"), gender="male", birthDate="1970-01-01", name=named("张", "伟"))
    at_b = region.add("b", ("urn:oid:1.9", "7"), gender="female", birthDate="1988-05-05", name=named("王", "芳"))
    assert region.enroll(at_a).number != region.enroll(at_b).number
    assert region.run(region.index.resolve(Identifier("urn:oid:1.9", "7"))) is None


def test_those_who_enroll_at_once_meet_in_one_person(region: Region) -> None:
    patients = [region.add(f"p{n}", (citizen.SYSTEM, LI)) for n in range(4)]

    async def at_once() -> list[PatientIdentity]:
        return await asyncio.gather(*(region.index.enroll(CONTEXT, each) for each in patients))

    assert len({each.number for each in region.run(at_once())}) == 1
    assert set(region.enroll(patients[0]).patients) == set(patients)


def test_a_link_makes_one_person_and_parting_gives_back_the_number(region: Region) -> None:
    at_a, at_b, at_c = (region.add(each) for each in "abc")
    first, second = region.enroll(at_a), region.enroll(at_b)
    linked = region.run(region.index.link(CONTEXT, at_a, at_b, "same card"))
    assert linked == PatientIdentity(first.number, (at_a, at_b), (second.number,))
    assert region.run(region.index.resolve(second.number)) == linked
    assert region.numbers(at_b) == [(first.number.value, "secondary"), (second.number.value, "old")]
    region.run(region.index.link(CONTEXT, at_c, at_a))
    assert region.enroll(at_b).patients == (at_c, at_a, at_b)
    alone = region.run(region.index.unlink(CONTEXT, at_b, "another's card"))
    assert alone == PatientIdentity(second.number, (at_b,))
    assert region.numbers(at_b) == [(second.number.value, "secondary")]
    assert region.links(at_b) == set()
    assert region.enroll(at_a).patients == (at_c, at_a)
    assert region.refused(region.index.unlink(CONTEXT, at_b)).kind is Kind.CONFLICT


def test_a_merge_takes_the_replaced_patient_out_of_use_and_undoing_it_brings_it_back(region: Region) -> None:
    kept, gone = region.add("kept", ("urn:oid:1.9", "1")), region.add("gone", ("urn:oid:1.9", "2"))
    numbers = Identifier("urn:oid:1.9", "1"), Identifier("urn:oid:1.9", "2")
    former = region.enroll(gone)
    before = region.read(gone)
    merged = region.run(region.index.merge(CONTEXT, *numbers, "typed twice"))
    assert (merged.patients, merged.former) == ((kept, gone), (former.number,))
    assert region.read(gone)["active"] is False
    assert region.links(gone) == {(kept, "replaced-by")}
    assert region.links(kept) == {(gone, "replaces")}
    version = region.read(gone)["meta"]["versionId"]
    assert region.run(region.index.merge(CONTEXT, *numbers)) == merged
    assert region.read(gone)["meta"]["versionId"] == version
    assert region.refused(region.index.merge(CONTEXT, numbers[1], numbers[0])).kind is Kind.CONFLICT
    [(act, told)] = region.run(region.index.history(CONTEXT, gone))
    assert (told.kind, told.why, told.by, told.other) == ("merge", "typed twice", "local", former.number.value)
    region.run(region.index.undo(CONTEXT, act, "two people"))
    assert region.run(region.index.of_patient(gone)) == former
    assert {**region.read(gone), "meta": {}} == {**before, "meta": {}}
    assert region.links(kept) == set()
    assert region.refused(region.index.undo(CONTEXT, act)).kind is Kind.CONFLICT
    assert [each.act.kind for each in region.run(region.index.history(CONTEXT, kept))] == ["undo", "merge"]


def test_numbers_of_the_authority_merge_once_and_in_chains_but_not_in_circles(region: Region) -> None:
    one, two, three = (Identifier(SYSTEM, f"N{n}") for n in range(1, 4))
    patients = [region.add(f"p{n}", each) for n, each in enumerate((one, two, three))]
    region.run(region.index.merge(CONTEXT, two, three))
    region.run(region.index.merge(CONTEXT, one, two))
    whole = region.run(region.index.resolve(three))
    assert whole == PatientIdentity(one, tuple(patients), (two, three))
    assert region.run(region.index.merge(CONTEXT, two, three)) == whole
    assert region.refused(region.index.merge(CONTEXT, three, one)).kind is Kind.CONFLICT
    assert region.refused(region.index.merge(CONTEXT, one, Identifier(SYSTEM, "N9"))).kind is Kind.NOT_FOUND
    assert [region.read(each)["active"] for each in patients] == [True, False, False]
    assert ("N1", "secondary") in region.numbers(patients[2])
    acts = {each.act.other: each.id for each in region.run(region.index.history(CONTEXT, patients[2]))}
    region.run(region.index.undo(CONTEXT, acts["N3"]))
    assert region.run(region.index.resolve(three)).patients == (patients[2],)
    assert region.run(region.index.resolve(two)).patients == tuple(patients[:2])
    assert region.numbers(patients[2]) == [("N3", "secondary")]


def test_likely_people_are_proposed_and_joined_by_a_person_alone(region: Region) -> None:
    born: Json = {"birthDate": "1962-03-14", "gender": "female"}
    at_a = region.add("a", name=named("欧阳", "晓红"), **born)
    at_b = region.add("b", name=[{"text": "OUYANG XIAO HONG"}], **born)
    at_c = region.add("c", name=named("欧阳", "小红"), **born)
    for each in (at_a, at_b):
        region.enroll(each)
    found = region.run(region.index.match(CONTEXT, region.read(at_a)))
    assert [each.patient.reference for each in found] == [at_a, at_b, at_c]
    assert region.run(region.index.match(CONTEXT, region.read(at_c), only_certain=True)) == []
    region.run(region.index.settle())
    proposals = region.run(region.index.proposals(CONTEXT))
    assert {each.proposal.patients for each in proposals} == {(at_a, at_b), (at_a, at_c), (at_b, at_c)}
    assert region.enroll(at_a).patients == (at_a,)
    by_pair = {each.proposal.patients: each.id for each in proposals}
    assert region.run(region.index.confirm(CONTEXT, by_pair[at_a, at_b])).patients == (at_a, at_b)
    region.run(region.index.reject(CONTEXT, by_pair[at_a, at_c], "sister"))
    assert region.refused(region.index.confirm(CONTEXT, by_pair[at_a, at_c])).kind is Kind.CONFLICT
    region.add("a", name=named("欧阳", "晓红"), telecom=[{"system": "phone", "value": "13800138000"}], **born)
    assert region.numbers(at_a) == []
    region.run(region.index.settle())
    assert len(region.numbers(at_a)) == 1
    assert {each.proposal.patients for each in region.run(region.index.proposals(CONTEXT))} == {(at_b, at_c)}


def test_a_feed_writes_its_own_and_leaves_what_others_know(region: Region) -> None:
    source = Identifier("urn:oid:1.9", "77")
    told: Json = {
        "resourceType": "Patient",
        "identifier": [{"system": source.system, "value": source.value}],
        "name": named("张", "伟"),
    }
    first = region.run(region.index.register_feed(CONTEXT, told, source))
    again = region.run(region.index.register_feed(CONTEXT, {**told, "gender": "male"}, source))
    assert (first.is_new, again.is_new, again.identity) == (True, False, first.identity)
    assert region.read(again.patient)["gender"] == "male"
    assert region.numbers(again.patient) == [(first.identity.number.value, "secondary")]
    other = region.add("other", ("urn:oid:2.9", "5"))
    region.run(region.index.link(CONTEXT, first.patient, other))
    found = region.run(region.index.cross_references(CONTEXT, source))
    assert found.identifiers == (first.identity.number, Identifier("urn:oid:2.9", "5"))
    assert region.run(region.index.cross_references(CONTEXT, source, ("urn:oid:2.9",))).identifiers == (
        Identifier("urn:oid:2.9", "5"),
    )
    assert region.run(region.index.cross_references(CONTEXT, Identifier("urn:oid:1.9", "78"))) is None
    assert region.run(region.index.is_domain("urn:oid:2.9"))
    assert not region.run(region.index.is_domain("urn:oid:2"))


def test_a_patient_that_shared_its_number_gets_a_new_one_when_it_is_parted(region: Region) -> None:
    at_a, at_b = region.add("a", ("urn:oid:1.9", "7")), region.add("b", ("urn:oid:1.9", "7"))
    shared = region.enroll(at_a)
    assert shared.patients == (at_a, at_b)
    [(act, told)] = region.run(region.index.history(CONTEXT, at_b))
    assert (told.kind, told.by) == ("join", "local")
    region.run(region.index.undo(CONTEXT, act))
    assert region.enroll(at_a) == region.run(region.index.of_patient(at_a))
    identities = {region.enroll(at_a).number, region.enroll(at_b).number}
    assert len(identities) == 2
    assert region.run(region.index.resolve(Identifier("urn:oid:1.9", "7"))) is None
    assert [use for _, use in (*region.numbers(at_a), *region.numbers(at_b))] == ["secondary"] * 2
    region.run(region.index.settle())
    assert region.run(region.index.proposals(CONTEXT)) == []


def test_two_patients_of_one_person_are_merged_and_parted_in_fhir_alone(region: Region) -> None:
    kept, gone = (region.add(each, (citizen.SYSTEM, LI), ("urn:oid:1.9", each)) for each in ("kept", "gone"))
    person = region.enroll(kept)
    merged = region.run(
        region.index.merge(CONTEXT, Identifier("urn:oid:1.9", "kept"), Identifier("urn:oid:1.9", "gone"))
    )
    assert merged == person
    assert region.links(gone) == {(kept, "replaced-by")}
    latest = region.run(region.index.history(CONTEXT, gone))[0]
    region.run(region.index.undo(CONTEXT, latest.id))
    assert (region.links(gone), region.read(gone)["active"]) == ({(kept, "seealso")}, True)
    assert region.enroll(gone) == person


def test_who_leaves_or_is_denied_by_a_member_is_not_of_the_person(region: Region) -> None:
    at_a = region.add("a", ("urn:oid:1.9", "7"), gender="male")
    at_b = region.add("b", ("urn:oid:1.9", "8"), gender="female")
    region.enroll(at_a)
    region.run(region.index.link(CONTEXT, at_a, at_b))
    at_c = region.add("c", ("urn:oid:1.9", "7"), ("urn:oid:1.9", "8"), gender="male")
    assert region.enroll(at_c).patients == (at_c,)
    proposed = {each.proposal.patients for each in region.run(region.index.proposals(CONTEXT))}
    assert proposed == {(at_a, at_c), (at_b, at_c)}
    region.run(region.fhir.repository.delete(CONTEXT, "Patient", "b"))
    region.run(region.index.settle())
    assert region.enroll(at_a).patients == (at_a,)
    assert region.run(region.index.of_patient(at_b)) is None


def test_a_number_that_everybody_has_makes_nobody_one(region: Region) -> None:
    crowd = [region.add(f"p{n}", ("urn:oid:1.9", "0")) for n in range(65)]
    assert region.enroll(crowd[0]).patients == (crowd[0],)


def test_newborn_twins_under_their_mothers_citizen_number_are_two(region: Region) -> None:
    twins = {"name": named("李", "某之子"), "birthDate": "2026-11-01", "gender": "female"}
    one, other = (region.add(each, (citizen.SYSTEM, LI), ("urn:oid:1.9", "0000"), **twins) for each in ("a", "b"))
    assert (region.enroll(one).patients, region.enroll(other).patients) == ((one,), (other,))
    assert [each.proposal.patients for each in region.run(region.index.proposals(CONTEXT))] == [(one, other)]


def test_a_written_number_of_somebody_else_is_taken_away_again(region: Region) -> None:
    victim, thief = region.add("v", ("urn:oid:1.9", "7")), region.add("t", ("urn:oid:1.9", "8"))
    stolen, own = region.enroll(victim).number.value, region.enroll(thief).number.value
    region.run(region.index.settle())
    region.add("t", ("urn:oid:1.9", "8"), (SYSTEM, stolen), (SYSTEM, own))
    region.run(region.index.settle())
    assert [number for number, _ in region.numbers(thief)] == [own]
    assert region.enroll(victim).patients == (victim,)
    [proposal] = region.run(region.index.proposals(CONTEXT))
    assert proposal.proposal.patients == (thief, victim)


def test_a_link_that_an_ordinary_update_drops_comes_back_since_consents_follow_it(region: Region) -> None:
    a, b = region.add("a", ("urn:oid:1.9", "7")), region.add("b", ("urn:oid:1.9", "8"))
    region.run(region.index.link(CONTEXT, a, b))
    region.run(region.index.settle())
    for each, number in ((a, "7"), (b, "8")):
        region.add(each.removeprefix("Patient/"), ("urn:oid:1.9", number))
    region.run(region.index.settle())
    assert (region.links(a), region.links(b)) == (set(), {(a, "seealso")})


class Between:
    """A store where something happens once, right after persons were read for the nth time."""

    def __init__(self, records: Records, number: int, act: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._records = records
        self._left = number
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        found = await self._records.get(collection, ids)
        self._left -= collection == PERSONS
        if collection == PERSONS and not self._left:
            await self._act()
        return found


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("leaving", ["a", "b"])
def test_a_link_that_is_taken_back_while_it_is_restored_does_not_return(
    region: Region, leaving: str, number: int
) -> None:
    a, b = region.add("a", ("urn:oid:1.9", "7")), region.add("b", ("urn:oid:1.9", "8"))
    region.run(region.index.link(CONTEXT, a, b))
    region.add("b", ("urn:oid:1.9", "8"))
    store = region.fhir.repository.records
    meddled: Any = Between(store, number, lambda: region.index.unlink(CONTEXT, f"Patient/{leaving}"))
    region.run(MasterIndex(meddled, region.fhir.repository, AUTHORITY, TickingClock()).restore(b))
    assert region.enroll(b).patients == (b,)
    assert [each for each, _ in region.numbers(b)] == [region.enroll(b).number.value]
    assert region.links(b) == set()


def test_whoever_may_not_change_all_of_both_persons_does_not_make_them_one(region: Region) -> None:
    a, b, c = (region.add(each) for each in "abc")
    region.run(region.index.link(CONTEXT, b, c))
    grants = tuple(Grant(INTERACTIONS, patient=each) for each in "ab")
    nurse = replace(CONTEXT, actor=Actor("n", "n", grants, frozenset({NURSE})))
    assert region.refused(region.index.link(nurse, a, b)).kind is Kind.NOT_FOUND
    assert region.enroll(a).patients == (a,)


def test_a_patient_that_cannot_be_settled_does_not_keep_others_waiting(region: Region) -> None:
    a, b = region.add("a", ("urn:oid:1.9", "7")), region.add("b", ("urn:oid:1.9", "8"))
    number = region.enroll(b).number.value
    region.add("b", ("urn:oid:1.9", "8"))
    broken = [Put(MEMBERS, a, b"BROKEN"), Put(PERSONS, "BROKEN", b"{"), Put(DUE, a, b"-")]
    region.run(region.fhir.repository.records.commit(broken))
    while region.run(region.index.settle()):
        pass
    assert [each for each, _ in region.numbers(b)] == [number]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_done_every_patient_is_one_person_and_undoing_all_brings_back_the_first(
    region: Region, seed: int
) -> None:
    random = Random(seed)
    patients = [region.add(f"p{n}", ("urn:oid:1.9", str(n))) for n in range(6)]
    first = {each: region.enroll(each) for each in patients}
    fresh = {each: {**region.read(each), "meta": {}} for each in patients}
    for _ in range(14):
        one, other = random.sample(patients, 2)
        match random.randrange(3):
            case 0:
                attempt = region.index.link(CONTEXT, one, other)
            case 1:
                numbers = [Identifier("urn:oid:1.9", each.removeprefix("Patient/p")) for each in (one, other)]
                attempt = region.index.merge(CONTEXT, numbers[0], numbers[1])
            case _:
                attempt = region.index.unlink(CONTEXT, one)
        with suppress(Problem):
            region.run(attempt)
        _check(region, patients)
    acts = {told.id: told.act for each in patients for told in region.run(region.index.history(CONTEXT, each))}
    for id, act in sorted(acts.items(), key=lambda named: -named[1].at):
        assert act.kind != "undo"
        region.run(region.index.undo(CONTEXT, id))
        _check(region, patients)
    assert {each: region.enroll(each).patients for each in patients} == {
        each: first[each].patients for each in patients
    }
    for each in patients:
        now = {**region.read(each), "meta": {}}
        assert {**now, "identifier": []} == {**fresh[each], "identifier": []}


def _check(region: Region, patients: list[str]) -> None:
    for each in patients:
        identity = region.enroll(each)
        assert region.run(region.index.resolve(identity.number)) == identity
        assert each in identity.patients
        assert [value for value, use in region.numbers(each) if use != "old"] == [identity.number.value]
        assert all(region.enroll(other) == identity for other in identity.patients)
        for former in identity.former:
            assert region.run(region.index.resolve(former)) == identity
