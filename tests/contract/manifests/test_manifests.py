"""Manifests over both kinds of records: published, found, fetched whole; replaced, withdrawn, and hidden with their
study."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from server.bridge.announced import WAITING
from server.bridge.imaging_study import resource_id
from server.bridge.manifest_announcing import OUTBOX, announce_all, forget_announcing
from server.bridge.manifests import CONTEXT
from server.dicom.key_objects import KEY_OBJECT_SELECTION, Manifest, Reference, ReferencedSeries, dataset_of, read
from server.dicom.key_objects_checks import check_manifest
from server.dicom.key_objects_writing import build
from server.kernel.context import Grant
from server.kernel.problem import Problem
from server.xds.ebxml_reading import read_object
from server.xds.metadata import DocumentEntry
from server.xds.repository import DocumentRequest
from server.xds.vocabulary import RPLC
from storage.errors import StoreUnavailable
from storage.ports import Delete, Put
from tests.contract.imaging_samples import ALL, clinician, label, person
from tests.contract.imaging_world import BASE, SERVER_CONTEXT
from tests.contract.manifest_world import ITI_18, ITI_43, ManifestWorld, asked_of, by_reference, of_document
from tests.contract.manifests.interruptions import Interrupted, Together
from tests.contract.manifests.opened import Opened
from tests.data.small_files import CT_IMAGE, instance_file
from tests.data.soap_messages import post
from tests.data.xds_objects import document, submission


def test_a_stored_study_is_found_by_its_accession_number_and_fetched_byte_for_byte(opened: Opened) -> None:
    world = opened.world
    files = {f"{opened.series}.{number}": opened.sent(number) for number in (1, 2, 3)}

    async def body() -> None:
        await world.store(*files.values())
        assert await world.publish() == 1
        patient = (await world.index.enroll(CONTEXT, f"Patient/{await _subject(world, opened.study)}")).number.value
        asked = by_reference(
            f"{patient}^^^&1.2.156.1.4&ISO", f"{opened.accession}^^^&1.2.156.1.5&ISO^urn:ihe:iti:xds:2013:accession"
        )
        found = await post(world.soap, "/xds/registry", ITI_18, asked)
        (entry,) = (read_object(etree.tostring(each)) for each in found.body.iter("{*}ExtrinsicObject"))
        assert isinstance(entry, DocumentEntry)
        wanted = of_document(entry.repository_unique_id, entry.unique_id)
        retrieved = await post(world.soap, "/xds/repository", ITI_43, wanted)
        manifest = read(retrieved.documents[entry.unique_id])
        images = asked_of(manifest)
        assert [each.sop_instance_uid for each in images] == list(files)
        for each in images:
            path = f"/studies/{each.study_instance_uid}/series/{each.series_instance_uid}"
            url = f"{manifest.series[0].url}{path}/instances/{each.sop_instance_uid}"
            got = await world.get(SERVER_CONTEXT, url.removeprefix(BASE), accept="application/dicom")
            assert (got.status, got.body) == (200, files[each.sop_instance_uid])
        answer = await world.fetch(SERVER_CONTEXT, images)
        assert (answer.http, answer.status, answer.errors) == (200, "Success", [])
        assert answer.documents == files

    opened.run(body())


def test_what_a_manifest_says_of_itself(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1))
        await world.publish()
        (entry,) = await world.entries(opened.study)
        assert entry.mime_type == "application/dicom"
        assert entry.format_code is not None
        assert entry.format_code.key == "1.2.840.10008.5.1.4.1.1.88.59^^1.2.840.10008.2.6.1"
        assert [each.code for each in entry.event_codes] == ["CT", "816094009"]
        assert entry.service_start_time == "20260102101112"
        assert entry.source_patient_id == f"P{opened.number}^^^&1.2.156.1.7&ISO"
        assert entry.source_patient_info == (f"PID-3|P{opened.number}^^^&1.2.156.1.7&ISO", "PID-5|王^建国")
        assert entry.title[0].text == "胸部CT"
        assert [each.code for each in entry.confidentiality_codes] == ["N"]
        assert entry.reference_ids == (
            f"{opened.study}^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
            f"{opened.accession}^^^&1.2.156.1.5&ISO^urn:ihe:iti:xds:2013:accession",
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
        await world.store(opened.sent(1))
        await world.publish()
        (first,) = await world.entries(opened.study)
        await world.store(opened.sent(2))
        await world.publish()
        (second,) = await world.entries(opened.study)
        assert second.unique_id != first.unique_id
        assert [each.id for each in await world.entries(opened.study, "Deprecated")] == [first.id]
        (link,) = await world.shelf.associations_to([first.id], [RPLC])
        assert link.object.source == second.id
        assert (await world.manifest(second)).count == 2
        assert (await world.manifest(first)).count == 1
        await world.ask(SERVER_CONTEXT, "DELETE", f"/studies/{opened.study}")
        await world.publish()
        assert await world.entries(opened.study) == []
        assert len(await world.entries(opened.study, "Deprecated")) == 2
        gone = await world.fetch(SERVER_CONTEXT, asked_of(await world.manifest(second)))
        assert (gone.status, gone.errors) == ("Failure", ["XDSDocumentUniqueIdError"] * 2)
        await world.store(opened.sent(1))
        await world.publish()
        (again,) = await world.entries(opened.study)
        assert again.unique_id not in (first.unique_id, second.unique_id)

    opened.run(body())


def test_looking_again_changes_nothing_and_labels_replace(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1))
        await world.publish()
        (entry,) = await world.entries(opened.study)
        await world.records.commit([Put(OUTBOX, opened.study, WAITING)])
        assert await world.publish() == 1
        assert [each.id for each in await world.entries(opened.study)] == [entry.id]
        await world.label(opened.study, "R", "PSY")
        assert await world.publish() == 1
        (labelled,) = await world.entries(opened.study)
        assert labelled.id != entry.id
        assert [each.code for each in labelled.confidentiality_codes] == ["R", "PSY"]
        await world.label(opened.study)
        await world.publish()
        (plain,) = await world.entries(opened.study)
        assert [each.code for each in plain.confidentiality_codes] == ["N"]
        assert plain.id not in (entry.id, labelled.id)

    opened.run(body())


def test_labels_count_whoever_gives_them_and_however_many_resources_claim_a_study(opened: Opened) -> None:
    world, studies = opened.world, (opened.study, opened.other)

    async def claim(study: str, **more: Any) -> None:
        identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}]
        made = {"resourceType": "ImagingStudy", "status": "available", "identifier": identifier, **more}
        await world.repository.create(SERVER_CONTEXT, "ImagingStudy", made | {"subject": {"display": "somebody"}})

    async def body() -> None:
        await world.publish()
        await world.store(*(opened.sent(1, study=each, patient=f"{each}P") for each in studies))
        await world.bridge.drain()
        for _ in range(201):
            await claim(opened.other)
        await claim(opened.study, meta={"security": [label("R")]})
        await claim(opened.other, meta={"security": [label("V")]})
        counting = Together(world.documents, world.together)
        await counting.worker(world).drain()
        assert (counting.together, counting.alone) == ([2], [])
        for study, code in zip(studies, "RV", strict=True):
            (entry,) = await world.entries(study)
            assert [each.code for each in entry.confidentiality_codes] == [code]
            await world.records.commit([Put(OUTBOX, study, WAITING)])
            await world.publish()
            assert [each.id for each in await world.entries(study)] == [entry.id]

    opened.run(body())


def test_a_study_nobody_can_tell_whose_it_is_is_published_no_longer(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1))
        await world.publish()
        [before] = await world.entries(opened.study)
        doubt = {"subject": {"display": "one of two"}}
        await world.repository.patch(
            SERVER_CONTEXT, "ImagingStudy", resource_id(opened.study), lambda each: each | doubt
        )
        await world.publish()
        assert await world.entries(opened.study) == []
        assert [each.id for each in await world.entries(opened.study, "Deprecated")] == [before.id]

    opened.run(body())


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("grows", [True, False])
def test_an_interruption_leaves_one_manifest(opened: Opened, is_done: bool, grows: bool) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1))
        failing = replace(world.manifests, repository=Interrupted(world.documents, is_done))
        with pytest.raises(StoreUnavailable):
            await failing.reconcile(opened.study)
        if grows:
            await world.store(opened.sent(2))
        await world.publish()
        (entry,) = await world.entries(opened.study)
        assert (await world.manifest(entry)).count == (2 if grows else 1)
        assert len(await world.entries(opened.study, "Deprecated")) == (is_done and grows)
        assert await world.records.get(OUTBOX, [opened.study]) == []

    opened.run(body())


def test_two_processes_publish_a_study_once(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1), opened.sent(2))
        other = ManifestWorld(opened.archive.open(), opened.folder, world.offload)
        await asyncio.gather(world.publisher.drain(), other.publisher.drain())
        await asyncio.gather(
            *(each.manifests.reconcile(opened.study) for each in (world, other)), return_exceptions=True
        )
        assert len(await world.entries(opened.study, "Approved", "Deprecated")) == 1

    opened.run(body())


def test_an_archive_that_was_there_before_is_published_once(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1), opened.sent(1, study=opened.other, accession=f"B{opened.number}"))
        await world.records.commit([Delete(OUTBOX, each) for each in (opened.study, opened.other)])
        assert await announce_all(world.records, "here")
        assert await world.publish() >= 2
        assert not await announce_all(world.records, "here")
        assert len(await world.of_accession(f"B{opened.number}")) == 1
        await forget_announcing(world.records)
        assert await announce_all(world.records, "here")
        await world.publish()

    opened.run(body())


def test_who_may_not_see_a_study_finds_neither_manifest_nor_images(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1), opened.sent(1, study=opened.other, patient=f"Q{opened.number}"))
        await world.publish()
        (entry,), (foreign,) = await world.entries(opened.study), await world.entries(opened.other)
        own = person(await _subject(world, opened.study), Grant(ALL))
        assert [each.id for each in await world.entries(opened.study, who=own)] == [entry.id]
        assert await world.entries(opened.other, who=own) == []
        asked = [*asked_of(await world.manifest(foreign)), *asked_of(await world.manifest(entry))]
        answer = await world.fetch(own, asked)
        assert (answer.status, list(answer.documents)) == ("PartialSuccess", [f"{opened.series}.1"])
        everyone = clinician()
        assert (await world.fetch(everyone, asked)).status == "Success"
        await world.label(opened.study, "V", series=opened.series)
        await world.publish()
        assert await world.entries(opened.study, who=everyone) == []
        assert (await world.fetch(everyone, asked[1:])).errors == ["XDSDocumentUniqueIdError"]

    opened.run(body())


def test_a_study_of_key_objects_alone_is_not_published(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(
            instance_file(
                opened.study, opened.series, f"{opened.series}.1", sop_class=KEY_OBJECT_SELECTION, modality="KO"
            )
        )
        await world.publish()
        assert await world.entries(opened.study) == []
        await world.store(opened.sent(2))
        await world.publish()
        (entry,) = await world.entries(opened.study)
        assert (await world.manifest(entry)).count == 2

    opened.run(body())


def test_a_foreign_manifest_is_registered_and_a_false_one_leaves_nothing(opened: Opened) -> None:
    world = opened.world

    async def body() -> None:
        await world.store(opened.sent(1))
        await world.publish()
        (own,) = await world.entries(opened.study)
        elsewhere = f"1.9.{opened.number}"
        series = ReferencedSeries(elsewhere, f"{elsewhere}.1", (Reference(CT_IMAGE, f"{elsewhere}.1.1"),), "1.7.7")
        manifest = Manifest(elsewhere, "2.25.1", f"2.25.{opened.number}9", "20260102", "101112", (series,))
        reference = f"{elsewhere}^^^^urn:ihe:iti:xds:2016:studyInstanceUID"
        entry = document(
            unique_id=manifest.sop_instance_uid, patient_id=own.patient_id, mime_type="application/dicom",
            format_code=own.format_code, reference_ids=(reference,), hash="", size=None, repository_unique_id="",
        )  # fmt: skip
        sent = submission(entry, patient_id=own.patient_id, unique_id=f"1.9.{opened.number}.5")
        false = build(replace(manifest, study_instance_uid="1.8.8"))
        before = {each async for each in world.blobs.list()}
        with pytest.raises(Problem) as refused:
            await world.documents.provide_bytes(SERVER_CONTEXT, sent, {entry.id: false})
        assert {each.code for each in refused.value.issues} == {"InvalidDocumentContent"}
        assert {each async for each in world.blobs.list()} == before
        await world.documents.provide_bytes(SERVER_CONTEXT, sent, {entry.id: build(manifest)})
        (found,) = await world.entries(elsewhere)
        assert (await world.manifest(found)).locations == {"1.7.7"}

    opened.run(body())


async def _subject(world: ManifestWorld, study: str) -> str:
    """Logical id of its patient."""
    resource = await world.reads(SERVER_CONTEXT, study)
    assert resource is not None
    return str(resource["subject"]["reference"]).removeprefix("Patient/")
