"""Manifests over both kinds of records: published, found, fetched whole; replaced, withdrawn, and hidden with their
study."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from server.bridge.manifest_announcing import OUTBOX, WAITING, announce_all, forget_announcing
from server.dicom.key_objects import KEY_OBJECT_SELECTION, dataset_of
from server.dicom.key_objects_checks import check_manifest
from server.kernel.context import Context, Grant
from server.kernel.offload import Offload
from server.xds.errors import RegistryError
from server.xds.metadata import Submission
from server.xds.repository import DocumentRequest, Repository
from server.xds.vocabulary import RPLC
from storage.errors import StoreUnavailable
from storage.ports import Bytes, Delete, Put
from storage.query import EVERYTHING
from tests.contract.conftest import Archive
from tests.contract.imaging_samples import ALL, clinician, person
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import ManifestWorld, asked_of
from tests.data.small_files import instance_file

T = TypeVar("T")
STUDY, OTHER = "1.2.840.1", "1.2.840.2"
SERIES = f"{STUDY}.1"


@dataclass
class Opened:
    archive: Archive
    world: ManifestWorld

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.archive.run(work)


@pytest.fixture
def opened(archive: Archive, tmp_path: Path) -> Iterator[Opened]:
    offload = Offload()
    world = ManifestWorld(archive.open(), tmp_path, offload)
    archive.run(world.prepare())
    yield Opened(archive, world)
    offload.close()


def sent(number: int = 1, *, study: str = STUDY, patient: str = "P1", accession: str = "A100") -> bytes:
    return instance_file(
        study, f"{study}.1", f"{study}.1.{number}",
        more={
            0x00080050: ("SH", accession), 0x00081030: ("LO", "胸部CT"), 0x00100010: ("PN", "Wang^Jianguo=王^建国="),
            0x00100020: ("LO", patient), 0x00180015: ("CS", "CHEST"), 0x00200013: ("IS", str(number)),
        },
    )  # fmt: skip


def test_a_stored_study_is_found_by_its_accession_number_and_fetched_byte_for_byte(opened: Opened) -> None:
    world = opened.world
    files = {f"{SERIES}.{number}": sent(number) for number in (1, 2, 3)}

    async def body() -> None:
        await world.store(*files.values())
        assert await world.publish() == 1
        (entry,) = await world.of_accession("A100")
        manifest = await world.manifest(entry)
        assert manifest.sop_instance_uid == entry.unique_id
        asked = asked_of(manifest)
        assert [each.sop_instance_uid for each in asked] == list(files)
        for each in asked:
            base = manifest.series[0].url
            path = f"/studies/{each.study_instance_uid}/series/{each.series_instance_uid}"
            got = await world.get(
                SERVER_CONTEXT, f"{path}/instances/{each.sop_instance_uid}", accept="application/dicom"
            )
            assert got.status == 200
            assert base == "http://pacs.example/dicomweb"
            assert got.body == files[each.sop_instance_uid]
        answer = await world.fetch(SERVER_CONTEXT, asked)
        assert (answer.http, answer.status, answer.errors) == (200, "Success", [])
        assert answer.documents == files

    opened.run(body())


def test_what_a_manifest_says_of_itself(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1))
        await world.publish()
        (entry,) = await world.entries(STUDY)
        assert entry.mime_type == "application/dicom"
        assert entry.format_code is not None
        assert entry.format_code.key == "1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1"
        assert [each.code for each in entry.event_codes] == ["CT", "816094009"]
        assert entry.service_start_time == "20260102101112"
        assert entry.source_patient_id == "P1^^^&1.2.156.1.7&ISO"
        assert entry.source_patient_info == ("PID-3|P1^^^&1.2.156.1.7&ISO", "PID-5|王^建国")
        assert entry.title[0].text == "胸部CT"
        assert [each.code for each in entry.confidentiality_codes] == ["N"]
        assert entry.reference_ids == (
            f"{STUDY}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            "A100^^^&1.2.156.1.5&ISO^urn:ihe:iti:xds:2013:accession",
        )
        (retrieved,) = (
            await world.documents.retrieve(
                SERVER_CONTEXT, [DocumentRequest("", entry.repository_unique_id, entry.unique_id)]
            )
        ).documents
        content = b"".join([bytes(piece) async for piece in retrieved.open()])
        assert len(content) == entry.size
        assert check_manifest(dataset_of(content)) == []

    opened.run(body())


def test_a_study_that_grows_replaces_its_manifest_and_one_that_goes_withdraws_it(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1))
        await world.publish()
        (first,) = await world.entries(STUDY)
        await world.store(sent(2))
        await world.publish()
        (second,) = await world.entries(STUDY)
        assert second.unique_id != first.unique_id
        assert [each.id for each in await world.entries(STUDY, "Deprecated")] == [first.id]
        (link,) = await world.shelf.associations_to([first.id], [RPLC])
        assert link.object.source == second.id
        assert (await world.manifest(second)).count == 2
        assert (await world.manifest(first)).count == 1
        await world.ask(SERVER_CONTEXT, "DELETE", f"/studies/{STUDY}")
        await world.publish()
        assert await world.entries(STUDY) == []
        assert len(await world.entries(STUDY, "Deprecated")) == 2
        gone = await world.fetch(SERVER_CONTEXT, asked_of(await world.manifest(second)))
        assert (gone.status, gone.errors) == ("Failure", ["XDSDocumentUniqueIdError"] * 2)
        await world.store(sent(1))
        await world.publish()
        (again,) = await world.entries(STUDY)
        assert again.unique_id not in (first.unique_id, second.unique_id)

    opened.run(body())


def test_looking_again_changes_nothing_and_labels_replace(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1))
        await world.publish()
        (entry,) = await world.entries(STUDY)
        await world.records.commit([Put(OUTBOX, STUDY, WAITING)])
        assert await world.publish() == 1
        assert [each.id for each in await world.entries(STUDY)] == [entry.id]
        await world.label(STUDY, "R", "PSY")
        assert await world.publish() == 1
        (labelled,) = await world.entries(STUDY)
        assert labelled.id != entry.id
        assert [each.code for each in labelled.confidentiality_codes] == ["R", "PSY"]
        await world.label(STUDY)
        await world.publish()
        (plain,) = await world.entries(STUDY)
        assert [each.code for each in plain.confidentiality_codes] == ["N"]
        assert plain.id not in (entry.id, labelled.id)

    opened.run(body())


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("grows", [True, False])
def test_an_interruption_leaves_one_manifest(opened: Opened, is_done: bool, grows: bool) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1))
        failing = replace(world.manifests, repository=_Interrupted(world.documents, is_done))
        with pytest.raises(StoreUnavailable):
            await failing.reconcile(STUDY)
        if grows:
            await world.store(sent(2))
        await world.publish()
        (entry,) = await world.entries(STUDY)
        assert (await world.manifest(entry)).count == (2 if grows else 1)
        assert len(await world.entries(STUDY, "Deprecated")) == (is_done and grows)
        assert (await world.records.find(OUTBOX, EVERYTHING, limit=10)).records == []

    opened.run(body())


def test_two_processes_publish_a_study_once(opened: Opened, tmp_path: Path) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1), sent(2))
        other = ManifestWorld(opened.archive.open(), tmp_path, world.offload)
        await asyncio.gather(world.publisher.drain(), other.publisher.drain())
        await asyncio.gather(*(each.manifests.reconcile(STUDY) for each in (world, other)), return_exceptions=True)
        assert len(await world.entries(STUDY, "Approved", "Deprecated")) == 1

    opened.run(body())


def test_an_archive_that_was_there_before_is_published_once(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1), sent(1, study=OTHER, accession="A200"))
        await world.records.commit([Delete(OUTBOX, each) for each in (STUDY, OTHER)])
        assert await announce_all(world.records, "here")
        assert await world.publish() == 2
        assert not await announce_all(world.records, "here")
        assert len(await world.of_accession("A200")) == 1
        await forget_announcing(world.records)
        assert await announce_all(world.records, "here")

    opened.run(body())


def test_who_may_not_see_a_study_finds_neither_manifest_nor_images(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(sent(1), sent(1, study=OTHER, patient="P2", accession="A200"))
        await world.publish()
        (entry,), (foreign,) = await world.entries(STUDY), await world.entries(OTHER)
        own = person(await _subject(world, STUDY), Grant(ALL))
        assert [each.id for each in await world.entries(STUDY, who=own)] == [entry.id]
        assert await world.entries(OTHER, who=own) == []
        asked = [*asked_of(await world.manifest(foreign)), *asked_of(await world.manifest(entry))]
        answer = await world.fetch(own, asked)
        assert (answer.status, list(answer.documents)) == ("PartialSuccess", [f"{SERIES}.1"])
        everyone = clinician()
        assert (await world.fetch(everyone, asked)).status == "Success"
        await world.label(STUDY, "V", series=SERIES)
        await world.publish()
        assert await world.entries(STUDY, who=everyone) == []
        assert (await world.fetch(everyone, asked[1:])).errors == ["XDSDocumentUniqueIdError"]

    opened.run(body())


def test_a_study_of_key_objects_alone_is_not_published(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(instance_file(STUDY, SERIES, f"{SERIES}.1", sop_class=KEY_OBJECT_SELECTION, modality="KO"))
        await world.publish()
        assert await world.entries(STUDY) == []
        await world.store(sent(2))
        await world.publish()
        (entry,) = await world.entries(STUDY)
        assert (await world.manifest(entry)).count == 2

    opened.run(body())


async def _subject(world: ManifestWorld, study: str) -> str:
    """Logical id of its patient."""
    resource = await world.reads(SERVER_CONTEXT, study)
    assert resource is not None
    return str(resource["subject"]["reference"]).removeprefix("Patient/")


@dataclass
class _Interrupted:
    """A repository whose answer is lost, or which is lost before it has done anything."""

    repository: Repository
    is_done: bool

    async def provide_bytes(
        self, context: Context, submission: Submission, documents: Mapping[str, Bytes], *, act: str = "ITI-41"
    ) -> tuple[RegistryError, ...]:
        if self.is_done:
            await self.repository.provide_bytes(context, submission, documents, act=act)
        raise StoreUnavailable("lost")
