"""Updating and removing metadata on every record store: versions, statuses, later associations, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Problem
from server.xds import vocabulary as v
from server.xds.code_sets import OPEN, keep_code_sets, load_code_sets
from server.xds.errors import errors_of
from server.xds.keys import bare
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, Slot, Submission
from server.xds.removing import Removals
from server.xds.updating import Updates
from storage.ports import Records
from tests.contract.conftest import Archive
from tests.contract.registering_world import CONTEXT, RegistryWorld, association, cx, open_registry
from tests.data.xds_objects import code, folder

T = TypeVar("T")
STATUS = v.UPDATE_AVAILABILITY
UPDATE, OPERATION, VERSION = "XDSMetadataUpdateError", "XDSMetadataUpdateOperationError", "XDSMetadataVersionError"


@dataclass
class Desk:
    """A registry that takes updates, and a loop to run in."""

    archive: Archive
    world: RegistryWorld

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)

    def one(self, **changes: Any) -> str:
        return self.run(self.world.one(self.world.document(**changes)))

    def entry(self, id_: str) -> DocumentEntry:
        return self.run(self.world.shelf.documents([id_]))[id_].object

    def folder(self, id_: str) -> Folder:
        return self.run(self.world.shelf.folders([id_]))[id_].object

    def update(self, made: Submission, context: Context = CONTEXT) -> None:
        assert self.run(Updates(self.world.registry).update(context, made)) == ()

    def remove(self, *ids: str, context: Context = CONTEXT) -> None:
        self.run(Removals(self.world.registry).remove(context, ids))

    def everything(self) -> dict[str, RegistryObject]:
        return {each.id: each for found in self.run(self.world.everything()).values() for each in found}

    def refused(self, work: Coroutine[Any, Any, Any]) -> list[tuple[str, str]]:
        """Codes and locations; nothing has changed."""
        before = self.everything()
        with pytest.raises(Problem) as raised:
            self.run(work)
        assert self.everything() == before
        return [(each.code, each.location) for each in errors_of(raised.value)]

    def refused_update(self, made: Submission, context: Context = CONTEXT) -> list[tuple[str, str]]:
        return self.refused(Updates(self.world.registry).update(context, made))

    def refused_removal(self, *ids: str, context: Context = CONTEXT) -> list[tuple[str, str]]:
        return self.refused(Removals(self.world.registry).remove(context, ids))

    def asks(self, *associations: Association) -> Submission:
        return self.world.submission(associations=associations)

    def version(self, entry: DocumentEntry | Folder, previous: str = "1", *slots: Slot, **changes: Any) -> Submission:
        """An update of an object, as its sender has seen it."""
        new = replace(entry, id="new", logical_id=entry.logical_id or entry.id, **changes)
        made = self.world.submission(new) if isinstance(new, DocumentEntry) else self.world.submission(folders=(new,))
        told = [
            replace(each, previous_version=previous, slots=slots) if each.target == "new" else each
            for each in made.associations
        ]
        return replace(made, associations=tuple(told))

    def latest(self, logical_id: str) -> DocumentEntry:
        found = self.run(self.world.everything())["xds-document"]
        return max(
            (each for each in found if isinstance(each, DocumentEntry) and logical_id in (each.logical_id, each.id)),
            key=lambda each: int(each.version or 1),
        )


@pytest.fixture
def desk(archive: Archive, store: Records) -> Desk:
    return Desk(archive, archive.run(open_registry(store, archive.threads)))


def status(target: str, before: str = v.APPROVED, after: str = v.DEPRECATED) -> Association:
    slots = (Slot("OriginalStatus", (before,)), Slot("NewStatus", (after,)))
    return association("SubmissionSet01", target, STATUS, id="change", slots=slots)


def _unknown(id_: str) -> str:
    return f"urn:uuid:{'0' * 8}{bare(id_)[8:]}"


def test_a_new_version_follows_and_takes_part_in_what_the_former_did(desk: Desk) -> None:
    world = desk.world
    first, other = world.document(), world.document("Document02")
    case = folder(unique_id=world.oid())
    inside = association(case.id, first.id)
    appended = association(other.id, first.id, v.APND)
    ids = desk.run(world.register(world.submission(first, other, folders=(case,), associations=(inside, appended))))
    old, addendum, holder = ids[first.unique_id], ids[other.unique_id], ids[case.unique_id]
    desk.update(desk.version(desk.entry(old), class_code=code("corrected"), title=()))
    new = desk.latest(old)
    assert (new.version, new.logical_id, new.status, new.title) == ("2", old, v.APPROVED, ())
    assert new.class_code == code("corrected")
    former = desk.entry(old)
    assert (former.version, former.logical_id, former.status) == ("1", old, v.DEPRECATED)
    ends = {(each.source, each.type) for each in desk.run(world.associations(new.id))}
    assert {(holder, v.HAS_MEMBER), (addendum, v.APND)} < ends
    told = desk.run(world.resource("DocumentReference", new.id))
    assert (told["status"], told["masterIdentifier"]["value"].endswith(first.unique_id)) == ("current", True)
    assert desk.run(world.resource("DocumentReference", old))["status"] == "superseded"
    targets = [
        each["target"]["reference"] for each in desk.run(world.resource("DocumentReference", addendum))["relatesTo"]
    ]
    assert sorted(targets) == sorted(f"DocumentReference/{bare(each)}" for each in (old, new.id))
    members = desk.run(world.resource("List", holder))["entry"]
    assert f"DocumentReference/{bare(new.id)}" in [each["item"]["reference"] for each in members]
    desk.update(desk.version(desk.entry(new.id), "2", Slot("AssociationPropagation", ("no",))))
    third = desk.latest(old)
    assert third.version == "3"
    assert len(desk.run(world.associations(third.id))) == 1


def test_a_folder_gets_a_new_version_with_its_documents(desk: Desk) -> None:
    world = desk.world
    first, case = world.document(), folder(unique_id=world.oid())
    inside = association(case.id, first.id)
    ids = desk.run(world.register(world.submission(first, folders=(case,), associations=(inside,))))
    old = desk.folder(ids[case.unique_id])
    desk.update(desk.version(old, codes=(code("other"),)))
    folders = [each for each in desk.run(world.everything())["xds-folder"] if isinstance(each, Folder)]
    new = next(each for each in folders if each.id != old.id)
    assert (new.version, new.logical_id, new.codes) == ("2", old.id, (code("other"),))
    assert desk.folder(old.id).status == v.DEPRECATED
    held = desk.run(world.resource("List", new.id))["entry"]
    assert [each["item"]["reference"] for each in held] == [f"DocumentReference/{bare(ids[first.unique_id])}"]


def test_an_update_that_does_not_fit_is_refused(desk: Desk) -> None:
    id_ = desk.one()
    entry = desk.entry(id_)
    for made, expected in (
        (desk.version(entry, "2"), (VERSION, "new")),
        (desk.version(replace(entry, logical_id=_unknown(id_))), (UPDATE, "new")),
        (desk.version(entry, unique_id="1.2.3.9.9"), (UPDATE, "new")),
        (desk.version(entry, hash="0" * 40), (UPDATE, "new")),
        (desk.version(entry, object_type=v.ON_DEMAND), (UPDATE, "new")),
        (desk.version(entry, ""), (OPERATION, "SubmissionSet01-new")),
        (desk.version(entry, "1", Slot("AssociationPropagation", ("maybe",))), (OPERATION, "SubmissionSet01-new")),
        (desk.version(entry, class_code=None), ("XDSRegistryMetadataError", "new")),
        (desk.asks(association("SubmissionSet01", id_)), (OPERATION, f"from SubmissionSet01 to {id_}")),
        (desk.asks(association(id_, _unknown(id_), v.APND)), (OPERATION, f"from {id_} to {_unknown(id_)}")),
    ):
        assert expected in desk.refused_update(made)
    foreign = desk.run(desk.world.one(desk.world.document(patient_id=cx("MPI-8")), patient_id=cx("MPI-8")))
    moved = desk.version(replace(desk.entry(foreign), patient_id=entry.patient_id))
    assert desk.refused_update(moved) == [("XDSPatientIDReconciliationError", "new")]
    assert desk.refused_update(desk.asks(status(foreign))) == [(UPDATE, "change")]
    submitted = association("SubmissionSet01", "later", v.SUBMIT_ASSOCIATION)
    for ends in ((foreign, id_), (id_, foreign)):
        made = desk.asks(association(*ends, v.APND, id="later"), submitted)
        assert desk.refused_update(made) == [("XDSPatientIdDoesNotMatch", "later")]


def test_a_status_changes_there_and_back(desk: Desk) -> None:
    id_ = desk.one()
    desk.update(desk.asks(status(id_)))
    assert desk.entry(id_).status == v.DEPRECATED
    assert desk.run(desk.world.resource("DocumentReference", id_))["status"] == "superseded"
    assert desk.refused_update(desk.asks(status(id_))) == [(UPDATE, "change")]
    desk.update(desk.asks(status(id_, v.DEPRECATED, v.APPROVED)))
    assert desk.run(desk.world.status(id_)) == ["Approved"]
    desk.update(desk.version(desk.entry(id_)))
    assert desk.refused_update(desk.asks(status(id_, v.DEPRECATED, v.APPROVED))) == [(UPDATE, "change")]
    assert desk.refused_update(desk.asks(status(id_, v.DEPRECATED, "gone"))) == [(OPERATION, "change")]
    sets = [each.id for each in desk.run(desk.world.everything())["xds-submission"]]
    assert desk.refused_update(desk.asks(status(sets[0]))) == [(UPDATE, "change")]
    assert desk.refused_update(desk.asks(status(_unknown(id_)))) == [(UPDATE, "change")]


def test_a_status_asked_beside_a_new_version_is_that_versions(desk: Desk) -> None:
    id_ = desk.one()
    made = desk.version(desk.entry(id_), class_code=code("last"))
    desk.update(replace(made, associations=(*made.associations, status(id_))))
    assert (desk.latest(id_).status, desk.latest(id_).class_code) == (v.DEPRECATED, code("last"))


def test_objects_are_associated_afterwards(desk: Desk) -> None:
    first, second, third = desk.one(), desk.one(), desk.one()
    later = association(second, first, v.APND, id="later")
    desk.update(desk.asks(later, association("SubmissionSet01", "later", v.SUBMIT_ASSOCIATION)))
    assert [each.type for each in desk.run(desk.world.associations(first)) if each.source == second] == [v.APND]
    related = desk.run(desk.world.resource("DocumentReference", second))["relatesTo"]
    assert related == [{"code": "appends", "target": {"reference": f"DocumentReference/{bare(first)}"}}]
    instead = association(third, first, v.RPLC, id="later")
    desk.update(desk.asks(instead, association("SubmissionSet01", "later", v.SUBMIT_ASSOCIATION)))
    assert desk.run(desk.world.status(first, second, third)) == ["Deprecated", "Deprecated", "Approved"]
    again = desk.asks(
        association(third, first, v.APND, id="later"), association("SubmissionSet01", "later", v.SUBMIT_ASSOCIATION)
    )
    assert desk.refused_update(again) == [("XDSRegistryDeprecatedDocumentError", "later")]
    backwards = association(first, third, v.APND, id="later")
    made = desk.asks(backwards, association("SubmissionSet01", "later", v.SUBMIT_ASSOCIATION))
    assert desk.refused_update(made) == [(UPDATE, "later")]


def test_of_two_updates_of_one_version_one_comes_first(desk: Desk) -> None:
    entry = desk.entry(desk.one())

    async def both() -> list[object]:
        updates = Updates(desk.world.registry)
        made = [desk.version(entry, title=()) for _ in range(2)]
        return await asyncio.gather(*(updates.update(CONTEXT, each) for each in made), return_exceptions=True)

    outcomes = desk.run(both())
    (problem,) = [each for each in outcomes if isinstance(each, Problem)]
    assert VERSION in {each.code for each in errors_of(problem)}
    assert desk.latest(entry.id).version == "2"


def reader() -> Context:
    return Context(Actor("reader", "reader", (Grant(frozenset({"read", "search"})),), frozenset({"clinician"})), "test")


def test_who_may_only_read_changes_nothing(desk: Desk) -> None:
    id_ = desk.one()
    assert desk.refused_update(desk.asks(status(id_)), reader())
    assert desk.refused_removal(id_, context=reader())


def _around(desk: Desk, id_: str) -> list[Association]:
    return desk.run(desk.world.associations(id_))


def test_associations_of_what_one_may_not_change_are_as_absent(desk: Desk) -> None:
    """Here an act of a submission set of somebody else, which is of no patient by itself."""
    world = desk.world
    inside = association("Folder01", "Document01")
    made = world.submission(
        world.document(patient_id=cx("MPI-8")),
        folders=(folder(patient_id=cx("MPI-8")),),
        associations=(inside, association("SubmissionSet01", inside.id)),
        patient_id=cx("MPI-8"),
    )
    desk.run(world.register(made))
    theirs = {each.id: each for each in desk.everything().values() if isinstance(each, Association)}
    mine = Context(Actor("dr", "Dr", (Grant(INTERACTIONS, None, "mpi-7"),), frozenset({"radiologist"})), "test")
    for each in theirs:
        assert desk.refused_update(desk.asks(status(each)), mine) == [(UPDATE, "change")]
    [act] = [each.id for each in theirs.values() if each.target in theirs]
    assert desk.refused_removal(act, context=mine) == [("UnresolvedReferenceException", act)]


def test_a_document_goes_with_all_that_names_it(desk: Desk) -> None:
    world = desk.world
    first, second = world.document(), world.document("Document02")
    ids = desk.run(world.register(world.submission(first, second)))
    gone, left = ids[first.unique_id], ids[second.unique_id]
    (membership,) = _around(desk, gone)
    holder = membership.source
    assert desk.refused_removal(gone) == [("ReferencesExistException", gone)]
    assert desk.refused_removal(membership.id) == [("XDSUnreferencedObjectException", gone)]
    assert desk.refused_removal(_unknown(gone)) == [("UnresolvedReferenceException", _unknown(gone))]
    desk.remove(gone, membership.id)
    assert desk.run(world.shelf.objects([gone, membership.id])) == {}
    held = desk.run(world.resource("List", holder))["entry"]
    assert [each["item"]["reference"] for each in held] == [f"DocumentReference/{bare(left)}"]
    with pytest.raises(Problem):
        desk.run(world.fhir.repository.read(CONTEXT, "DocumentReference", bare(gone)))
    (last,) = _around(desk, left)
    assert desk.refused_removal(left, last.id) == [("XDSUnreferencedObjectException", holder)]
    desk.remove(left, last.id, holder)
    assert desk.run(world.counts())[:4] == [0, 0, 0, 0]
    desk.run(world.register(world.submission(first, unique_id="1.2.3.200.7")))


def test_a_relation_may_go_alone(desk: Desk) -> None:
    world = desk.world
    first, second = world.document(), world.document("Document02")
    related = association(second.id, first.id, v.APND)
    ids = desk.run(world.register(world.submission(first, second, associations=(related,))))
    (relation,) = [each for each in _around(desk, ids[first.unique_id]) if each.type == v.APND]
    desk.remove(relation.id)
    assert "relatesTo" not in desk.run(world.resource("DocumentReference", ids[second.unique_id]))


def test_an_on_demand_entry_is_registered_by_its_own_transaction(desk: Desk) -> None:
    world = desk.world
    entry = world.document(object_type=v.ON_DEMAND, creation_time="", hash="", size=None)
    ids = desk.run(world.register(world.submission(entry), act="ITI-61"))
    snapshot = world.document("Document02")
    taken = association(snapshot.id, ids[entry.unique_id], v.IS_SNAPSHOT_OF)
    desk.run(world.register(world.submission(snapshot, associations=(taken,))))
    assert desk.run(world.status(ids[entry.unique_id])) == ["Approved"]
    assert desk.refused(world.registry.register(CONTEXT, world.submission(world.document()), act="ITI-61"))
    assert desk.refused(world.registry.register(CONTEXT, world.submission(replace(entry, unique_id=world.oid()))))
    made = desk.version(desk.entry(ids[entry.unique_id]), title=())
    desk.update(made)
    assert desk.latest(ids[entry.unique_id]).is_on_demand


def test_code_sets_are_those_that_were_kept(desk: Desk, store: Records) -> None:
    assert desk.run(load_code_sets(store)) == OPEN
    desk.run(keep_code_sets(store, {"classCode": ["a^^1.2", "a^^1.2"]}))
    assert desk.run(load_code_sets(store)).by_attribute == {"classCode": frozenset({"a^^1.2"})}
