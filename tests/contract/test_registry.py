"""The document registry on every record store: what a submission makes of it, what it refuses, who comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import pytest

from server.access.decision import AccessPoint, NoConsents
from server.audit.writes import Deed
from server.fhir.json_form import Resource
from server.kernel.context import Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.xds import vocabulary as v
from server.xds.errors import errors_of
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, SUBMISSION, bare
from server.xds.metadata import Association, DocumentEntry, Submission
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import Batch, Put, Records
from storage.query import NOTHING, All, Equals, OneOf, Predicate
from tests.contract.conftest import Archive
from tests.contract.registering_world import CONTEXT, RegistryWorld, association, cx, open_registry
from tests.data.xds_objects import folder

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Desk:
    """A world and a loop to run in."""

    archive: Archive
    world: RegistryWorld

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)

    def refused(self, made: Submission, context: Context = CONTEXT, **more: Any) -> list[tuple[str, str]]:
        """Codes and locations; nothing at all is kept of the submission."""
        before = self.run(self.world.counts())
        with pytest.raises(Problem) as raised:
            self.run(self.world.register(made, context, **more))
        assert self.run(self.world.counts()) == before
        return [(each.code, each.location) for each in errors_of(raised.value)]

    def ids(self, kind: str, predicate: Predicate) -> set[str]:
        found = self.run(self.world.records.values(kind, "_id", predicate, at_most=1000))
        return {f"urn:uuid:{each}" for each in found}


@pytest.fixture
def desk(archive: Archive, store: Records) -> Desk:
    return Desk(archive, archive.run(open_registry(store, archive.threads)))


def held(resource: Resource) -> list[str]:
    return [each["item"]["reference"] for each in resource.get("entry", ())]


def in_folder(container: str, *documents: str, by: str = "SubmissionSet01") -> tuple[Association, ...]:
    """Memberships of a folder, each told as an act of the set."""
    inside = [association(container, each) for each in documents]
    return (*inside, *(association(by, each.id) for each in inside))


def test_a_submission_is_kept_whole_and_found_by_its_keys(desk: Desk) -> None:
    world = desk.world
    entry = world.document(status=v.DEPRECATED, home="urn:oid:9.9", version="7")
    made = world.submission(
        entry, folders=(folder(last_update_time="1999"),), associations=in_folder("Folder01", "Document01")
    )
    known = desk.run(world.register(made))
    kept = desk.run(world.everything())
    [document], [filed], [sent] = kept[DOCUMENT], kept[FOLDER], kept[SUBMISSION]
    own = known[entry.unique_id]
    assert document == replace(entry, id=own, logical_id=own, status=v.APPROVED, home="urn:oid:1.2.3", version="1")
    assert (filed.id, getattr(filed, "last_update_time", "")) == (known["1.2.3.300.1"], "20261122090000")
    ends = {(each.source, each.target) for each in kept[ASSOCIATION] if isinstance(each, Association)}
    [inside] = [each for each in kept[ASSOCIATION] if isinstance(each, Association) and each.source == filed.id]
    assert ends == {(sent.id, document.id), (sent.id, filed.id), (filed.id, document.id), (sent.id, inside.id)}
    mine: Predicate = OneOf("patient", ("Patient/mpi-7",))
    keys: dict[str, str | int] = {
        "status": "Approved", "type": "stable", "unique": entry.unique_id, "repository": "1.2.3.1",
        "class": "11490-0^^2.16.840.1.113883.6.1", "event": "CT^^2.16.840.1.113883.6.1", "author": "^王^小明",
        "creation": 20240102030405, "start": 20240102030400, "stop": 20240102000000,
        "reference": entry.reference_ids[0], "logical": bare(document.id), "@patient": "Patient/mpi-7",
    }  # fmt: skip
    for key, value in keys.items():
        assert desk.ids(DOCUMENT, All((mine, Equals(key, value)))) == {document.id}, key
    assert desk.ids(FOLDER, All((mine, Equals("updated", 20261122090000)))) == {filed.id}
    assert desk.ids(SUBMISSION, All((mine, Equals("source", "1.2.3.3"), Equals("@patient", "Patient/mpi-7"))))
    derived = desk.run(world.resource("DocumentReference", document.id))
    assert (derived["status"], derived["subject"]["reference"]) == ("current", "Patient/mpi-7")
    assert held(desk.run(world.resource("List", filed.id))) == [f"DocumentReference/{bare(document.id)}"]
    assert held(desk.run(world.resource("List", sent.id))) == [
        f"DocumentReference/{bare(document.id)}",
        f"List/{bare(filed.id)}",
    ]


def test_several_submissions_are_kept_all_together_or_none(desk: Desk) -> None:
    world = desk.world
    old = desk.run(world.one())
    fresh, newer = world.document(), world.document("Document02")
    replacing = world.submission(newer, associations=(association("Document02", old, v.RPLC),))
    faulty = world.submission(world.document(), associations=(association("Document01", "urn:uuid:none", v.APND),))
    before = desk.run(world.everything())
    with pytest.raises(Problem):
        desk.run(world.registry.register_all(CONTEXT, [world.submission(fresh), replacing, faulty]))
    assert desk.run(world.everything()) == before
    desk.run(world.registry.register_all(CONTEXT, [world.submission(fresh), replacing]))
    kept = desk.run(world.everything())
    assert {each.unique_id for each in kept[DOCUMENT]} >= {fresh.unique_id, newer.unique_id}
    assert len(kept[SUBMISSION]) == len(before[SUBMISSION]) + 2
    assert desk.run(world.status(old)) == ["Deprecated"]


def test_ids_that_were_sent_are_kept_and_never_given_twice(desk: Desk) -> None:
    mine = "urn:uuid:0f3a2c52-7f6b-4f0b-9d56-0a3a5f2f1c01"
    assert desk.run(desk.world.one(desk.world.document(mine))) == mine
    again = desk.refused(desk.world.submission(desk.world.document(mine)))
    assert again == [("XDSRegistryMetadataError", mine)]


def test_a_replacement_deprecates_what_hangs_on_the_old_one_and_takes_its_place_in_folders(desk: Desk) -> None:
    world = desk.world
    old = desk.run(world.one(folders=(folder(),), associations=in_folder("Folder01", "Document01")))
    [filed] = [each.id for each in desk.run(world.everything())[FOLDER]]
    addendum = desk.run(world.replacing(old, world.document(), v.APND))
    other_form = desk.run(world.replacing(old, world.document(), v.XFRM))
    signature = desk.run(world.replacing(old, world.document(), v.SIGNS))
    world.clock.moment += timedelta(hours=1)
    new = desk.run(world.replacing(old, world.document(), v.XFRM_RPLC))
    assert desk.run(world.status(old, addendum, other_form, signature, new)) == [
        "Deprecated", "Deprecated", "Deprecated", "Approved", "Approved",
    ]  # fmt: skip
    around = desk.run(world.associations(new))
    [membership] = [each for each in around if each.source == filed]
    assert {each.type for each in around} == {v.HAS_MEMBER, v.XFRM_RPLC}
    [submitted] = [each for each in desk.run(world.associations(membership.id)) if each.target == membership.id]
    assert submitted.source in {each.source for each in around}
    assert held(desk.run(world.resource("List", filed))) == sorted(f"DocumentReference/{bare(e)}" for e in (old, new))
    assert desk.ids(FOLDER, Equals("updated", 20261122100000)) == {filed}
    assert desk.run(world.resource("DocumentReference", old))["status"] == "superseded"
    told = desk.run(world.resource("DocumentReference", addendum))
    assert (told["status"], told["relatesTo"][0]["code"]) == ("superseded", "appends")
    assert desk.ids(DOCUMENT, All((Equals("status", "Deprecated"), Equals("@patient", "Patient/mpi-7")))) == {
        old, addendum, other_form,
    }  # fmt: skip


def test_a_document_goes_into_a_folder_that_is_there(desk: Desk) -> None:
    world = desk.world
    desk.run(world.register(world.submission(folders=(folder(),))))
    [filed] = [each.id for each in desk.run(world.everything())[FOLDER]]
    old = desk.run(world.one())
    world.clock.moment += timedelta(minutes=1)
    desk.run(world.register(world.submission(associations=in_folder(filed, old))))
    new = desk.run(world.one(associations=in_folder(filed, "Document01")))
    assert held(desk.run(world.resource("List", filed))) == sorted(f"DocumentReference/{bare(e)}" for e in (old, new))
    assert desk.ids(FOLDER, Equals("updated", 20261122090100)) == {filed}


def test_a_uniqueid_stands_for_the_same_octets_for_ever(desk: Desk) -> None:
    world = desk.world
    entry = world.document()
    made = world.submission(entry)
    desk.run(world.register(made))
    assert desk.refused(made) == [("XDSDuplicateUniqueIdInRegistry", "SubmissionSet01")]
    desk.run(world.register(world.submission(replace(entry, hash=entry.hash.upper()))))
    assert len(desk.ids(DOCUMENT, Equals("unique", entry.unique_id))) == 2
    other = replace(entry, hash="0" * 40)
    assert desk.refused(world.submission(other)) == [("XDSNonIdenticalHash", "Document01")]
    assert desk.refused(world.submission(replace(entry, size=7))) == [("XDSNonIdenticalSize", "Document01")]
    duplicate = "XDSDuplicateUniqueIdInRegistry"
    assert desk.refused(world.submission(unique_id=entry.unique_id, folders=(folder(),))) == [
        (duplicate, "SubmissionSet01")
    ]
    taken = replace(entry, unique_id=made.submission_sets[0].unique_id)
    assert desk.refused(world.submission(taken)) == [(duplicate, "Document01")]


REFUSED: dict[str, tuple[Callable[[RegistryWorld, str, str], Submission], str]] = {
    "an unknown patient": (
        lambda w, old, f: w.submission(w.document(patient_id=cx("no")), patient_id=cx("no")),
        "XDSUnknownPatientId",
    ),
    "another authority's patient": (
        lambda w, old, f: w.submission(w.document(patient_id="MPI-7^^^&1.9&ISO"), patient_id="MPI-7^^^&1.9&ISO"),
        "XDSUnknownPatientId",
    ),
    "two patients": (lambda w, old, f: w.submission(w.document(patient_id=cx("MPI-8"))), "XDSPatientIdDoesNotMatch"),
    "replacing another patient's document": (
        lambda w, old, f: w.submission(
            w.document(patient_id=cx("MPI-8")),
            patient_id=cx("MPI-8"),
            associations=(association("Document01", old, v.RPLC),),
        ),
        "XDSPatientIdDoesNotMatch",
    ),
    "another patient's folder": (
        lambda w, old, f: w.submission(
            w.document(patient_id=cx("MPI-8")), patient_id=cx("MPI-8"), associations=in_folder(f, "Document01")
        ),
        "XDSPatientIdDoesNotMatch",
    ),
    "replacing what is not there": (
        lambda w, old, f: w.submission(
            w.document(), associations=(association("Document01", old[:-4] + "0000", v.RPLC),)
        ),
        "UnresolvedReferenceException",
    ),
    "replacing what comes along": (
        lambda w, old, f: w.submission(
            w.document(), w.document("Document02"), associations=(association("Document01", "Document02", v.RPLC),)
        ),
        "UnresolvedReferenceException",
    ),
    "relating what is not new": (
        lambda w, old, f: w.submission(w.document(), associations=(association(old, old, v.APND),)),
        "XDSRegistryMetadataError",
    ),
    "replacing a folder": (
        lambda w, old, f: w.submission(w.document(), associations=(association("Document01", f, v.RPLC),)),
        "UnresolvedReferenceException",
    ),
    "a snapshot of a stable document": (
        lambda w, old, f: w.submission(w.document(), associations=(association("Document01", old, v.IS_SNAPSHOT_OF),)),
        "XDSRegistryMetadataError",
    ),
    "a registered document as an original": (
        lambda w, old, f: w.submission(associations=(association("SubmissionSet01", old, is_original=True),)),
        "XDSRegistryMetadataError",
    ),
    "an on-demand document": (
        lambda w, old, f: w.submission(w.document(object_type=v.ON_DEMAND)),
        "XDSRegistryMetadataError",
    ),
}


def test_what_breaks_a_rule_is_refused_by_its_code_and_leaves_nothing(desk: Desk) -> None:
    world = desk.world
    old = desk.run(world.one(folders=(folder(),)))
    [filed] = [each.id for each in desk.run(world.everything())[FOLDER]]
    for name, (make, code) in REFUSED.items():
        assert {each for each, _ in desk.refused(make(world, old, filed))} == {code}, name
    desk.run(world.replacing(old, world.document(), v.RPLC))
    for type_ in (v.RPLC, v.APND, v.SIGNS):
        late = world.submission(world.document(), associations=(association("Document01", old, type_),))
        assert desk.refused(late) == [("XDSRegistryDeprecatedDocumentError", f"from Document01 to {old}")]
    late = world.submission(associations=in_folder(filed, old))
    assert desk.refused(late) == [("XDSRegistryDeprecatedDocumentError", f"from {filed} to {old}")]
    reference = association("SubmissionSet01", old, is_original=False)
    desk.run(world.register(world.submission(associations=(reference,))))


def test_merged_patients_are_one_and_a_replaced_number_is_no_longer_registered_under(desk: Desk) -> None:
    world = desk.world
    old = desk.run(world.one())
    world.identities.merge("MPI-7", into="MPI-8")
    assert desk.refused(world.submission(world.document())) == [("XDSUnknownPatientId", "")]
    new = desk.run(
        world.one(
            world.document(patient_id=cx("MPI-8")),
            patient_id=cx("MPI-8"),
            associations=(association("Document01", old, v.RPLC),),
        )
    )
    assert desk.run(world.status(old, new)) == ["Deprecated", "Approved"]
    assert desk.ids(DOCUMENT, Equals("patient", "Patient/mpi-7")) == {old}


def test_a_document_is_whose_patient_it_was_registered_for_whatever_number_that_has_by_now(desk: Desk) -> None:
    world = desk.world
    old = desk.run(world.one())
    person = world.identities.known["MPI-7"]
    world.identities.known["MPI-9"] = replace(person, number=person.number._replace(value="MPI-9"))
    again = {"patient_id": cx("MPI-9")}
    made = world.submission(world.document(**again), associations=(association("Document01", old, v.RPLC),), **again)
    desk.run(world.register(made))
    assert desk.run(world.status(old)) == ["Deprecated"]


async def outcomes(works: Sequence[Awaitable[Any]]) -> list[str]:
    """An empty text for each that succeeded, else the code of its first error."""

    async def told(work: Awaitable[Any]) -> str:
        try:
            await work
        except Problem as problem:
            return str(errors_of(problem)[0].code)
        return ""

    return sorted(await asyncio.gather(*map(told, works)))


def test_of_those_who_come_at_once_each_finds_what_the_others_left(desk: Desk) -> None:
    """As many registries as there are processes would be: what each read may be old when it writes."""
    world, store = desk.world, desk.archive.open()
    other = desk.run(open_registry(store, desk.archive.threads))
    desk.run(world.register(world.submission(folders=(folder(),))))
    [filed] = [each.id for each in desk.run(world.everything())[FOLDER]]
    old = desk.run(world.one())

    def both(make: Callable[[int], Submission], times: int = 4) -> list[str]:
        made = [make(number) for number in range(times)]
        return desk.run(outcomes([(world, other)[n % 2].registry.register(CONTEXT, e) for n, e in enumerate(made)]))

    def hashed(number: int) -> Submission:
        return world.submission(world.document(unique_id="1.2.3.88", hash=f"{number:040x}"))

    assert both(hashed) == ["", *["XDSNonIdenticalHash"] * 3]
    same = world.submission(world.document())
    assert both(lambda _: same) == ["", *["XDSDuplicateUniqueIdInRegistry"] * 3]
    assert both(lambda _: world.submission(world.document(), associations=in_folder(filed, "Document01"))) == [""] * 4
    assert len(held(desk.run(world.resource("List", filed)))) == 4

    def relating(number: int) -> Submission:
        type_ = (v.RPLC, v.APND)[number % 2]
        return world.submission(world.document(), associations=(association("Document01", old, type_),))

    told = both(relating, 8)
    assert set(told) == {"", "XDSRegistryDeprecatedDocumentError"}
    ends = [each for each in desk.run(world.associations(old)) if each.target == old and not each.is_membership]
    assert [each.type for each in ends].count(v.RPLC) == 1
    assert len(ends) == told.count("")
    for each in ends:
        assert desk.run(world.status(each.source)) == ["Approved" if each.type == v.RPLC else "Deprecated"]


def test_what_the_caller_adds_is_of_the_same_commit(desk: Desk) -> None:
    world = desk.world
    desk.run(world.register(world.submission(world.document()), beside=[Put("xds-content", "a", b"1", expected=0)]))
    before = desk.run(world.counts())
    with pytest.raises(VersionConflict):
        desk.run(world.register(world.submission(world.document()), beside=[Put("xds-content", "a", b"2", expected=0)]))
    assert desk.run(world.counts()) == before
    [record] = desk.run(world.records.get("xds-content", ["a"]))
    assert (record.version, bytes(record.body)) == (1, b"1")


class Failing:
    """A store that fails in the middle of a batch, after its first acts."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.is_failing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def commit(self, batch: Batch) -> list[int]:
        if self.is_failing:
            # The store itself finds the last act impossible, when it has done all the others.
            with pytest.raises(VersionConflict):
                await self._records.commit([*batch, Put("xds-test", "never", b"", expected=7)])
            raise StoreUnavailable("the disk is full")
        return await self._records.commit(batch)


def test_a_commit_that_fails_leaves_nothing(archive: Archive, store: Records) -> None:
    failing: Any = Failing(store)
    world = archive.run(open_registry(failing, archive.threads))
    old = archive.run(world.one(folders=(folder(),), associations=in_folder("Folder01", "Document01")))
    before = archive.run(world.counts())
    failing.is_failing = True
    with pytest.raises(StoreUnavailable):
        archive.run(world.replacing(old, world.document(), v.RPLC))
    failing.is_failing = False
    assert archive.run(world.counts()) == before
    assert archive.run(world.status(old)) == ["Approved"]
    archive.run(world.replacing(old, world.document(), v.RPLC))


ANYTHING: dict[str, Any] = {"interactions": frozenset({"create", "update"}), "resource_types": None}


def doctor(**grant: Any) -> Context:
    actor = Actor("dr", "Dr", (Grant(**(ANYTHING | grant)),), frozenset({"radiologist"}))
    return Context(actor, "test")


def test_only_what_the_sender_may_create_is_registered_and_related_to(desk: Desk) -> None:
    world = desk.world
    theirs = world.document(patient_id=cx("MPI-8"))
    foreign = desk.run(world.one(theirs, patient_id=cx("MPI-8")))
    mine = doctor(patient="mpi-7")
    old = desk.run(world.one())
    desk.run(world.register(world.submission(world.document()), mine))
    forbidden = [("XDSRegistryError", "")]
    elsewhere = world.submission(world.document(patient_id=cx("MPI-8")), patient_id=cx("MPI-8"))
    assert desk.refused(elsewhere, mine) == forbidden
    nothing = doctor(interactions=frozenset({"read", "search"}))
    assert desk.refused(world.submission(world.document()), nothing) == forbidden
    hidden = world.submission(associations=(association("SubmissionSet01", foreign, is_original=False),))
    assert desk.refused(hidden, mine) == [("UnresolvedReferenceException", f"from SubmissionSet01 to {foreign}")]
    made = world.submission(world.document(), associations=(association("Document01", old, v.RPLC),))
    desk.run(world.register(made, mine))
    assert desk.run(world.status(old)) == ["Deprecated"]


class Denying(NoConsents):
    """Nobody may see anything."""

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        return NOTHING


def test_consent_decides_what_is_seen_and_not_what_is_registered(archive: Archive, store: Records) -> None:
    world = archive.run(open_registry(store, archive.threads, access=AccessPoint(Denying())))
    mine = doctor(patient="mpi-7")
    old = world.document()
    archive.run(world.register(world.submission(old), mine))
    [stored] = archive.run(world.shelf.documents_named([old.unique_id]))
    replacing = (association("Document01", stored.object.id, v.RPLC),)
    archive.run(world.register(world.submission(world.document(), associations=replacing), mine))
    assert archive.run(world.status(stored.object.id)) == ["Deprecated"]


def test_a_snapshot_is_taken_of_an_on_demand_document(desk: Desk) -> None:
    world = desk.world
    without: dict[str, Any] = {"object_type": v.ON_DEMAND, "hash": "", "size": None, "creation_time": ""}
    live = world.document(**without)
    assert {code for code, _ in desk.refused(world.submission(live))} == {"XDSRegistryMetadataError"}
    known = desk.run(world.register(world.submission(live), act="ITI-61"))
    snapshot = association("Document01", known[live.unique_id], v.IS_SNAPSHOT_OF)
    desk.run(world.register(world.submission(world.document(), associations=(snapshot,))))
    assert desk.run(world.status(known[live.unique_id])) == ["Approved"]
    assert len(desk.ids(DOCUMENT, Equals("type", "on-demand"))) == 1


@dataclass
class Noting:
    """Keeps what is told, and puts a record of it into the commit."""

    deeds: list[Deed] = field(default_factory=list)

    def acts(self, context: Context, deeds: Sequence[Deed]) -> tuple[Put, ...]:
        told = [each for each in deeds if each.interaction.startswith("ITI")]
        self.deeds += told
        return tuple(Put("told", f"{each.interaction} {each.reference}", b"", expected=0) for each in told)


def test_the_act_is_told_in_its_own_commit(archive: Archive, store: Records) -> None:
    noting = Noting()
    world = archive.run(open_registry(store, archive.threads, writes=noting))
    made = world.submission(world.document())
    archive.run(world.register(made, act="ITI-41"))
    unique_id = made.submission_sets[0].unique_id
    assert noting.deeds == [Deed("ITI-41", unique_id, ("Patient/mpi-7",))]
    assert len(archive.run(store.get("told", [f"ITI-41 {unique_id}"]))) == 1


def test_documents_are_deprecated_when_what_they_are_of_is_gone(desk: Desk) -> None:
    world = desk.world
    one, two = desk.run(world.one()), desk.run(world.one())
    desk.run(world.registry.deprecate(CONTEXT, [one, "urn:uuid:00000000-0000-4000-8000-000000000000"]))
    desk.run(world.registry.deprecate(CONTEXT, [one]))
    assert desk.run(world.status(one, two)) == ["Deprecated", "Approved"]
    assert desk.run(world.resource("DocumentReference", one))["status"] == "superseded"
    assert desk.run(world.resource("DocumentReference", one))["meta"]["versionId"] == "2"


def test_many_documents_are_one_commit(desk: Desk) -> None:
    world, many = desk.world, 150
    documents: list[DocumentEntry] = [world.document(f"Document{number}") for number in range(many)]
    known = desk.run(world.register(world.submission(*documents)))
    assert len(set(known.values())) == many + 1
    assert desk.run(world.counts()) == [1, many, 0, many, many, 1, many + 1]


class Watched(Offload):
    """Knows what was not done on the event loop, where a long submission would keep everybody waiting."""

    def __init__(self) -> None:
        super().__init__(io_threads=2, cpu_threads=1)
        self.worked: set[str] = set()

    async def cpu(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.worked.add(getattr(work, "__name__", ""))
        return await super().cpu(work, *args, **kwargs)


def test_a_long_submission_is_checked_and_planned_beside_the_event_loop(archive: Archive, store: Records) -> None:
    threads = Watched()
    try:
        world = archive.run(open_registry(store, threads))
        archive.run(world.register(world.submission(*(world.document(f"Document{number}") for number in range(21)))))
    finally:
        threads.close()
    assert {"settle", "check", "_made", "_drafted", "_acts"} <= threads.worked
    assert archive.run(world.counts()) == [1, 21, 0, 21, 21, 1, 22]
