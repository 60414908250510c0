"""The registry's small parts: keys, ids, patients of answers, plans that are made anew."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, PatientIdentity
from server.xds import vocabulary as v
from server.xds.committing import ATTEMPTS, Overtaken, replanned
from server.xds.ebxml_writing import write_object
from server.xds.errors import RegistryError
from server.xds.keys import keys_of, moment, studies_of
from server.xds.merged_patients import is_of, number_of, surviving, with_patient
from server.xds.metadata import Slot
from server.xds.stored import BATCH, batches
from server.xds.symbolic import settle
from storage.query import Key
from tests.data.xds_objects import association, document, folder, submission, submission_set
from tests.server.archive.in_memory import InMemoryRecords

PERSON = PatientIdentity(
    Identifier("urn:oid:1.2.3.4.5", "8"), ("Patient/8", "Patient/7"), (Identifier("urn:oid:1.2.3.4.5", "7"),)
)


def one(value: Key) -> frozenset[Key]:
    return frozenset((value,))


@pytest.mark.parametrize(
    ("text", "number"),
    [("2024", 20240101000000), ("202402", 20240201000000), ("20240203", 20240203000000), ("2024020304", 20240203040000),
     ("202402030405", 20240203040500), ("20240203040506", 20240203040506), ("", None), ("202", None),
     ("２０２４", None)],
)  # fmt: skip
def test_a_short_time_is_its_beginning(text: str, number: int | None) -> None:
    assert moment(text) == number


def test_access_keys_come_from_the_derived_resource_and_empty_ones_are_left_out() -> None:
    derived = {"@patient": one("Patient/7"), "@level": one(2), "status": one("current")}
    keys = keys_of(document(object_type=v.ON_DEMAND, hash="", creation_time="", reference_ids=()), "Patient/7", derived)
    assert (keys["@patient"], keys["@level"], keys["status"]) == (one("Patient/7"), one(2), one("Approved"))
    assert keys["type"] == one("on-demand")
    assert not {"creation", "reference", "study"} & keys.keys()
    joined = keys_of(association("urn:uuid:A", "urn:uuid:B", v.RPLC, id="urn:uuid:C"))
    assert joined == {
        "_id": one("c"), "source": one("a"), "target": one("b"), "type": one(v.RPLC), "status": one("Approved"),
    }  # fmt: skip


def test_every_study_a_document_names_is_a_key() -> None:
    ids = (f"1.2^^^^{v.STUDY_INSTANCE}", f"1.3^^^^{v.STUDY_INSTANCE}", f"7^^^&1.9&ISO^{v.ACCESSION}", "odd")
    assert studies_of(ids) == {"1.2", "1.3"}


def test_symbolic_ids_become_the_same_uuid_wherever_they_stand() -> None:
    numbers = count(1)
    given_id = "urn:uuid:00000000-0000-4000-8000-000000000001"
    unnamed = association("Folder01", given_id, id="")
    made = submission(document(id=given_id), folders=(folder(),), associations=(unnamed,))
    settled = settle(made, lambda: f"n{next(numbers)}")
    [own] = settled.submission.submission_sets
    first, second, third = settled.submission.associations
    assert (settled.submission.documents[0].id, settled.given) == (given_id, (given_id,))
    assert {own.id, first.source, second.source} == {"urn:uuid:n1"}
    assert (third.source, third.target) == (settled.submission.folders[0].id, given_id)
    ids = [own.id, settled.submission.folders[0].id, *(each.id for each in settled.submission.associations)]
    assert len(set(ids)) == 5
    assert all(each.startswith("urn:uuid:n") for each in ids)
    [told] = settled.told([RegistryError("X", "wrong", own.id)])
    assert told.location == "SubmissionSet01"


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1),
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
)
def test_an_answer_has_the_surviving_number_and_is_otherwise_as_stored(patient_id: str, remark: str) -> None:
    decoy = Slot("urn:x", (remark, f' identificationScheme="{v.DOCUMENT_PATIENT}" value="{remark}"'))
    for make in (document, submission_set, folder):
        stored = write_object(make(slots=(decoy,)))
        assert with_patient(stored, patient_id) == write_object(make(slots=(decoy,), patient_id=patient_id))
    joined = write_object(association("a", "b"))
    assert with_patient(joined, patient_id) == joined


def test_a_person_is_known_by_every_number_they_had() -> None:
    assert surviving(PERSON) == "8^^^&1.2.3.4.5&ISO"
    assert is_of(PERSON, "7^^^&1.2.3.4.5&ISO")
    assert not any(is_of(PERSON, each) for each in ("7^^^&1.9&ISO", "9^^^&1.2.3.4.5&ISO", "7"))
    assert number_of("7") is None


def test_many_ids_are_asked_for_in_parts() -> None:
    parts = batches([str(number) for number in range(2 * BATCH + 1)])
    assert [len(each) for each in parts] == [BATCH, BATCH, 1]


def test_who_is_always_overtaken_is_told_that_the_registry_is_busy() -> None:
    tries = []

    async def never() -> None:
        tries.append(1)
        raise Overtaken

    with pytest.raises(Problem) as raised:
        asyncio.run(replanned(InMemoryRecords(), (), never))
    assert (raised.value.kind, raised.value.issues[0].code) == (Kind.BUSY, "XDSRegistryBusy")
    assert len(tries) == ATTEMPTS
