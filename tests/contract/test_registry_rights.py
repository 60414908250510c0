"""What a sender without every right may not bring about by registering, on every record store."""

from __future__ import annotations

from typing import Any

import pytest

from server.access.decision import AccessPoint, NoConsents
from server.access.roles import PATIENT
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Problem
from server.xds import vocabulary as v
from server.xds.errors import errors_of
from server.xds.fhir_codes import CONFIDENTIALITY
from server.xds.keys import DOCUMENT, FOLDER, SUBMISSION, bare
from server.xds.metadata import Code, DocumentEntry, Submission
from server.xds.reindexing import RegistryReindexer
from storage.ports import Put, Records
from storage.query import EVERYTHING, Equals, Keys, Not, Predicate
from tests.contract.conftest import Archive
from tests.contract.registering_world import KINDS, RegistryWorld, association, cx, open_registry
from tests.data.xds_objects import SHA1, folder

SENSITIVITIES = "2.16.840.1.113883.5.4"


class Discreet(NoConsents):
    """What is of one patient is shown to nobody."""

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        return Not(Equals("@patient", "Patient/mpi-8"))


@pytest.fixture
def world(archive: Archive, store: Records) -> RegistryWorld:
    return archive.run(open_registry(store, archive.threads, access=AccessPoint(Discreet())))


def somebody(role: str, **more: Any) -> Context:
    return Context(Actor("a", "A", (Grant(INTERACTIONS),), frozenset({role}), **more), "test")


def codes(archive: Archive, world: RegistryWorld, made: Submission, context: Context) -> list[str]:
    before = archive.run(world.counts())
    with pytest.raises(Problem) as raised:
        archive.run(world.register(made, context))
    assert archive.run(world.counts()) == before
    return [each.code for each in errors_of(raised.value)]


def test_who_may_add_and_not_change_replaces_nothing_and_fills_no_folder_of_others(
    archive: Archive, world: RegistryWorld
) -> None:
    old = archive.run(world.one(folders=(folder(),), associations=_filed("Folder01", "Document01")))
    [filed] = [each.id for each in archive.run(world.everything())[FOLDER]]
    patient = somebody(PATIENT, own_patients=frozenset({"mpi-7"}))
    for type_ in (v.RPLC, v.XFRM_RPLC):
        replacing = world.submission(world.document(), associations=(association("Document01", old, type_),))
        assert codes(archive, world, replacing, patient) == ["XDSRegistryError"]
    filling = world.submission(world.document(), associations=_filed(filed, "Document01"))
    assert codes(archive, world, filling, patient) == ["XDSRegistryError"]
    adding = world.submission(world.document(), associations=(association("Document01", old, v.APND),))
    archive.run(world.register(adding, patient))
    assert archive.run(world.status(old)) == ["Approved"]
    replacing = world.submission(world.document(), associations=(association("Document01", old, v.RPLC),))
    archive.run(world.register(replacing, somebody("radiologist")))
    assert archive.run(world.status(old)) == ["Deprecated"]


def test_octets_one_may_not_see_are_not_had_by_naming_their_hash(archive: Archive, world: RegistryWorld) -> None:
    hidden = world.document(patient_id=cx("MPI-8"))
    archive.run(world.one(hidden, patient_id=cx("MPI-8")))
    doctor = somebody("radiologist")
    for hash_ in (SHA1, SHA1[::-1]):
        mine = world.submission(world.document(unique_id=hidden.unique_id, hash=hash_))
        assert codes(archive, world, mine, doctor) == ["XDSNonIdenticalHash"]
    shown = world.document()
    archive.run(world.one(shown))
    archive.run(world.register(world.submission(world.document(unique_id=shown.unique_id)), doctor))


def test_a_list_is_as_secret_as_the_least_secret_document_it_holds(archive: Archive, world: RegistryWorld) -> None:
    def labelled(name: str, *labels: str) -> DocumentEntry:
        made = (Code(each, SENSITIVITIES if len(each) > 1 else CONFIDENTIALITY) for each in labels)
        return world.document(name, confidentiality_codes=tuple(made))

    def told(id_: str) -> list[str]:
        return [each["code"] for each in archive.run(world.resource("List", id_))["meta"].get("security", ())]

    def sent(*documents: DocumentEntry, **more: Any) -> dict[str, str]:
        return archive.run(world.register(world.submission(*documents, **more)))

    secret = sent(
        labelled("Document01", "R", "HIV"), folders=(folder(),), associations=_filed("Folder01", "Document01")
    )
    [filed] = [each.id for each in archive.run(world.everything())[FOLDER]]
    first = next(iter(secret.values()))
    assert told(first) == told(filed) == ["R", "HIV"]
    mixed = sent(labelled("Document01", "V", "HIV", "PSY"), labelled("Document02", "N", "HIV"))
    assert told(next(iter(mixed.values()))) == ["N", "HIV"]
    sent(labelled("Document01", "N"), associations=_filed(filed, "Document01"))
    assert (told(first), told(filed)) == (["R", "HIV"], ["N"])
    labels = world.records.values(SUBMISSION, "@label", Equals("_id", bare(first)), at_most=9)
    assert set(archive.run(labels)) == {"R", "HIV"}


def _filed(container: str, name: str) -> tuple[Any, ...]:
    inside = association(container, name)
    return inside, association("SubmissionSet01", inside.id)


def test_objects_are_decided_about_by_the_keys_their_resources_have_now(archive: Archive, world: RegistryWorld) -> None:
    id_ = archive.run(world.one(folders=(folder(),), associations=_filed("Folder01", "Document01")))
    [record] = archive.run(world.records.get(DOCUMENT, [bare(id_)]))
    before = dict(archive.run(_keys(world)))
    left: Keys = {"_id": frozenset({bare(id_)}), "patient": frozenset({"Patient/mpi-7"})}
    archive.run(world.records.commit([Put(DOCUMENT, record.id, record.body, left)]))
    assert archive.run(_keys(world)) != before
    done = archive.run(RegistryReindexer(world.shelf, world.fhir.repository.writing.keys).run())
    assert (done, archive.run(_keys(world))) == (sum(archive.run(world.counts())[:4]), before)


async def _keys(world: RegistryWorld) -> dict[tuple[str, str], frozenset[object]]:
    names = ("_id", "patient", "status", "unique", "@patient", "@label", "source", "target")
    return {
        (kind, name): frozenset(await world.records.values(kind, name, EVERYTHING, at_most=99))
        for kind in KINDS
        for name in names
    }
