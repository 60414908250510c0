"""Documents go into the repository and come out of it (ITI-41, 43, 86), over SOAP, in every store."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from server.access.roles import RADIOLOGIST
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.xds.contents import CONTENT
from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import DocumentEntry, Submission
from server.xds.providing import Made, Providing
from server.xds.repository import DocumentRequest
from server.xds.vocabulary import ON_DEMAND, RPLC
from storage.errors import StoreUnavailable, VersionConflict
from storage.ports import BlobRef, Delete, Put
from storage.query import EVERYTHING
from tests.contract.conftest import Archive
from tests.contract.registering_world import COMMUNITY, CONTEXT, association, cx
from tests.contract.repository_world import ACROSS, RepositoryWorld, open_repository
from tests.data.soap_messages import Answered

TEXT = "胸部CT未见异常。".encode() * 40
SEES_8 = Actor("r", "reader", (Grant(INTERACTIONS, patient="mpi-8"),), frozenset({RADIOLOGIST}))


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> RepositoryWorld:
    return archive.run(open_repository(archive.open(), archive.threads, tmp_path))


def entry(world: RepositoryWorld, name: str = "Document01", **changes: object) -> DocumentEntry:
    """As a source sends it: it need not say what the octets are."""
    return world.registry.document(name, **{"hash": "", "size": None, "repository_unique_id": "", **changes})


def test_a_document_comes_out_as_it_went_in(archive: Archive, world: RepositoryWorld) -> None:
    async def there_and_back() -> None:
        first, second = entry(world), entry(world, "Document02", hash=sha1(b"two").hexdigest().upper(), size=3)

        provided = await world.provide(
            world.registry.submission(first, second), {"Document01": TEXT, "Document02": b"two"}
        )

        assert (provided.http, provided.status, provided.errors) == (200, "Success", [])
        assert world.door.trail.act == "ITI-41"
        [stored] = await world.registry.shelf.documents_named([first.unique_id])
        assert (stored.object.hash, stored.object.size) == (sha1(TEXT).hexdigest(), len(TEXT))
        assert stored.object.repository_unique_id == COMMUNITY.repository

        asked = world.request(first), world.request(second), world.request(first)
        found = await world.retrieve(*asked)
        assert (found.status, found.errors) == ("Success", [])
        assert found.documents == {first.unique_id: TEXT, second.unique_id: b"two"}
        assert [note.reference for note in world.door.trail.notes] == [first.unique_id, second.unique_id]
        assert world.door.trail.notes[0].patients == ("Patient/mpi-7",)

        simple = await world.retrieve(world.request(first), simple=True)
        assert [b64decode(each.text) for each in simple.body.iter("{*}Document")] == [TEXT]
        assert (await world.blob_count(), world.door.trail.act) == (2, "ITI-43")

    archive.run(there_and_back())


def test_inline_documents_are_the_same_and_share_their_octets(archive: Archive, world: RepositoryWorld) -> None:
    async def twice() -> None:
        one = entry(world)
        assert (await world.provide(world.registry.submission(one), {"Document01": TEXT})).status == "Success"

        encoded = {"Document01": b64encode(TEXT)}
        again = await world.provide(world.registry.submission(one), encoded, inline=True)

        assert (again.status, again.errors) == ("Success", [])
        assert len(await world.registry.shelf.documents_named([one.unique_id])) == 2
        assert (await world.retrieve(world.request(one))).documents == {one.unique_id: TEXT}
        assert await world.blob_count() == 1
        assert len(await world.contents.named()) == 1

        other = await world.provide(world.registry.submission(one), {"Document01": b"others"})
        assert (other.status, other.errors) == ("Failure", ["XDSNonIdenticalHash"])
        assert await world.blob_count() == 1

    archive.run(twice())


def test_a_submission_that_fails_leaves_nothing(archive: Archive, world: RepositoryWorld) -> None:
    async def refused() -> None:
        one, two = entry(world), entry(world, "Document02")
        both = {"Document01": b"1", "Document02": b"2"}
        before = await world.registry.counts()
        cases: list[tuple[Sequence[DocumentEntry], dict[str, bytes], list[str]]] = [
            ([one, two], {"Document01": b"1"}, ["XDSMissingDocument"]),
            ([one], both, ["XDSMissingDocumentMetadata"]),
            ([one], {"Document01": b""}, ["XDSMissingDocument"]),
            ([replace(one, hash=sha1(b"x").hexdigest())], {"Document01": b"1"}, ["XDSRepositoryMetadataError"]),
            ([replace(one, size=7)], {"Document01": b"1"}, ["XDSRepositoryMetadataError"]),
            ([replace(one, object_type=ON_DEMAND)], {"Document01": b"1"}, ["XDSRepositoryMetadataError"]),
            ([one, replace(two, unique_id=one.unique_id)], both, ["XDSRepositoryDuplicateUniqueIdInMessage"]),
            ([replace(one, patient_id=cx("NOBODY"))], {"Document01": b"1"}, ["XDSPatientIdDoesNotMatch"]),
            ([replace(one, mime_type="")], {"Document01": b"1"}, ["XDSRegistryMetadataError"]),
            ([replace(one, unique_id="")], {"Document01": b"1"}, ["XDSRegistryMetadataError"]),
        ]
        for documents, contents, expected in cases:
            answer = await world.provide(world.registry.submission(*documents), contents)
            assert (answer.http, answer.status) == (200, "Failure")
            assert set(answer.errors) == set(expected), expected
        missing = await world.provide(world.registry.submission(one, associations=(
            association("Document01", "urn:uuid:00000000-0000-4000-8000-000000000000", RPLC),
        )), {"Document01": b"1"})  # fmt: skip
        assert missing.errors == ["UnresolvedReferenceException"]
        unknown = await world.provide(
            world.registry.submission(replace(one, patient_id=cx("NOBODY")), patient_id=cx("NOBODY")),
            {"Document01": b"1"},
        )
        assert unknown.errors == ["XDSUnknownPatientId"]
        assert await world.registry.counts() == before
        assert await world.registry.records.count(CONTENT, EVERYTHING, at_most=10) == 0
        assert await world.blob_count() == 0

    archive.run(refused())


def test_what_cannot_be_retrieved_is_told_one_by_one(archive: Archive, world: RepositoryWorld) -> None:
    async def some() -> None:
        one = entry(world)
        await world.provide(world.registry.submission(one), {"Document01": TEXT})

        found = await world.retrieve(
            world.request(one),
            world.request("1.2.3.4.99"),
            DocumentRequest("", "9.9.9", one.unique_id),
            world.request(one, "urn:oid:9.9"),
        )
        assert found.status == "PartialSuccess"
        assert found.errors == ["XDSUnknownRepositoryId", "XDSUnknownCommunity", "XDSDocumentUniqueIdError"]
        assert found.documents == {one.unique_id: TEXT}
        assert {each.code for each in world.door.trail.failures} == set(found.errors)

        assert (await world.retrieve(world.request("1.2.3.4.99"))).status == "Failure"
        empty = await world.retrieve()
        assert (empty.status, empty.errors) == ("Failure", ["XDSRepositoryError"])

        across = await world.retrieve(world.request(one), world.request(one, COMMUNITY.home), action=ACROSS)
        assert (across.status, across.errors) == ("PartialSuccess", ["XDSMissingHomeCommunityId"])
        assert [each.text for each in across.body.iter("{*}HomeCommunityId")] == [COMMUNITY.home]

    archive.run(some())


def test_what_may_not_be_seen_is_not_there(archive: Archive, world: RepositoryWorld) -> None:
    async def hidden() -> None:
        one, eight = entry(world), entry(world, patient_id=cx("MPI-8"))
        await world.provide(world.registry.submission(one), {"Document01": TEXT})
        await world.provide(world.registry.submission(eight, patient_id=cx("MPI-8")), {"Document01": b"eight"})
        world.door.context = Context(SEES_8, "test")

        found = await world.retrieve(world.request(one), world.request(eight))

        assert found.documents == {eight.unique_id: b"eight"}
        assert found.errors == ["XDSDocumentUniqueIdError"]
        absent = await world.retrieve(world.request("1.2.3.4.99"))
        hidden = await world.retrieve(world.request(one))
        assert told(hidden).replace(one.unique_id, "1.2.3.4.99") == told(absent)

        shared = entry(world, patient_id=cx("MPI-8"), unique_id=one.unique_id)
        world.door.context = CONTEXT
        await world.provide(world.registry.submission(shared, patient_id=cx("MPI-8")), {"Document01": TEXT})
        world.door.context = Context(SEES_8, "test")
        assert (await world.retrieve(world.request(one))).documents == {one.unique_id: TEXT}
        removed = await world.remove(world.request(one), world.request(eight))
        assert (removed.status, removed.errors) == ("PartialSuccess", ["XDSRemoveDocumentsError"])
        assert await world.blob_count() == 1

    archive.run(hidden())


def told(answer: Answered) -> str:
    return " ".join(str(each.get("codeContext")) for each in answer.body.iter("{*}RegistryError"))


def test_documents_are_removed_for_good(archive: Archive, world: RepositoryWorld) -> None:
    async def gone() -> None:
        one, two = entry(world), entry(world, "Document02")
        await world.provide(world.registry.submission(one, two), {"Document01": TEXT, "Document02": b"2"})

        removed = await world.remove(world.request(one), world.request("1.2.3.4.99"))

        assert (removed.status, removed.errors) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
        assert (await world.retrieve(world.request(one))).errors == ["XDSDocumentUniqueIdError"]
        assert (await world.retrieve(world.request(two))).documents == {two.unique_id: b"2"}
        assert await world.blob_count() == 1
        again = await world.provide(world.registry.submission(one), {"Document01": TEXT})
        assert again.status == "Success"
        assert (await world.retrieve(world.request(one))).documents == {one.unique_id: TEXT}

    archive.run(gone())


def test_many_senders_of_one_document_agree_on_its_octets(archive: Archive, world: RepositoryWorld) -> None:
    async def race() -> None:
        one = entry(world)
        senders = [world.provide(world.registry.submission(one), {"Document01": TEXT}) for _ in range(4)]
        others = [world.remove(world.request(one)) for _ in range(2)]

        answers = await asyncio.gather(*senders, *others)

        assert [each.status for each in answers[:4]] == ["Success"] * 4
        found = await world.retrieve(world.request(one))
        kept = await world.registry.records.count(CONTENT, EVERYTHING, at_most=10)
        assert await world.blob_count() == kept
        assert found.documents == ({one.unique_id: TEXT} if kept else {})

    archive.run(race())


def test_octets_outlive_a_commit_nobody_knows_the_end_of(archive: Archive, world: RepositoryWorld) -> None:
    class Lost:
        """A registry whose store answers no more, after the commit or before it."""

        async def register(
            self, context: Context, submission: object, *, act: str = "", beside: Sequence[Put | Delete] = ()
        ) -> tuple[RegistryError, ...]:
            raise StoreUnavailable("gone")

    async def lost() -> None:
        content = await world.contents.receive(_once(TEXT))
        repository = replace(world.repository, registry=Lost())
        with pytest.raises(StoreUnavailable):
            await repository.provide(
                world.door.context, world.registry.submission(entry(world)), {"Document01": content}
            )
        assert content.is_kept

    archive.run(lost())


def test_octets_outlive_a_commit_that_is_told_to_have_failed(archive: Archive, world: RepositoryWorld) -> None:
    """As of a store that tries again what it had written already, and then meets its own record."""

    class Doubting:
        async def register(
            self, context: Context, submission: Submission, *, act: str = "", beside: Sequence[Put | Delete] = ()
        ) -> tuple[RegistryError, ...]:
            await world.repository.registry.register(context, submission, act=act, beside=beside)
            raise VersionConflict(CONTENT, one.unique_id)

    one = entry(world)

    async def doubted() -> None:
        content = await world.contents.receive(_once(TEXT))
        with pytest.raises(Problem):
            await replace(world.repository, registry=Doubting()).provide(
                world.door.context, world.registry.submission(one), {"Document01": content}
            )
        await world.contents.discard([content])
        assert (await world.retrieve(world.request(one))).documents == {one.unique_id: TEXT}

    archive.run(doubted())


@pytest.mark.parametrize("is_registered", [True, False])
@pytest.mark.parametrize(
    "failure",
    [
        VersionConflict(CONTENT, "1"),
        Problem(Kind.CONFLICT, "somebody was first"),
        Problem(Kind.UNAVAILABLE, "no answer"),
        StoreUnavailable("gone"),
    ],
)
def test_octets_provided_together_go_only_where_nothing_was_registered(
    archive: Archive, world: RepositoryWorld, failure: Exception, is_registered: bool
) -> None:
    class Doubting:
        async def register_all(
            self, context: Context, submissions: Sequence[Submission], *, act: str, beside: Sequence[Put | Delete]
        ) -> None:
            if is_registered:
                await world.registry.registry.register_all(context, submissions, act=act, beside=beside)
            raise failure

    async def doubted() -> None:
        entries = [entry(world, name) for name in ("Document01", "Document02")]
        made = [Made(world.registry.submission(each), each.id.encode()) for each in entries]
        registry: Any = Doubting()
        with pytest.raises(type(failure)):
            await Providing(world.contents, registry, COMMUNITY).provide_all(CONTEXT, made, act="ITI-41", beside=())
        if is_registered:
            found = await world.retrieve(*map(world.request, entries))
            assert found.documents == {each.unique_id: each.id.encode() for each in entries}
        is_sure = not isinstance(failure, StoreUnavailable) and getattr(failure, "kind", None) != Kind.UNAVAILABLE
        assert await world.blob_count() == (0 if is_sure and not is_registered else 2)

    archive.run(doubted())


def test_a_format_somebody_knows_is_checked(archive: Archive, tmp_path: Path) -> None:
    async def check(entry: DocumentEntry, content: BlobRef) -> tuple[RegistryError, ...]:
        return (RegistryError(ErrorCode.INVALID_CONTENT, "odd", entry.id, is_warning=content.size > 1),)

    async def checked() -> None:
        world = await open_repository(archive.open(), archive.threads, tmp_path, {"urn:ihe:rad:TEXT": check})
        bad = await world.provide(world.registry.submission(entry(world)), {"Document01": b"1"})
        assert (bad.status, bad.errors) == ("Failure", ["InvalidDocumentContent"])
        odd = await world.provide(world.registry.submission(entry(world)), {"Document01": b"12"})
        assert (odd.status, odd.errors) == ("Success", ["InvalidDocumentContent"])
        assert await world.blob_count() == 1

    archive.run(checked())


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
