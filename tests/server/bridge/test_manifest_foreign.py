"""Manifests that others provide: taken as their makers write them, refused where they are none of their study."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from server.bridge.manifest_foreign import ForeignManifests
from server.dicom.key_objects import LONGEST, Manifest, Reference, ReferencedSeries, Title
from server.dicom.key_objects_writing import build
from server.kernel.offload import Offload
from server.xds.ebxml_reading import read_submission
from server.xds.errors import RegistryError
from server.xds.metadata import DocumentEntry
from storage.filesystem.blobs import FolderBlobs
from storage.ports import BlobRef
from tests.data.small_files import CT_IMAGE, instance_file

SERIES = ReferencedSeries("1.2.3", "1.2.3.1", (Reference(CT_IMAGE, "1.2.3.1.1"),), "1.9.2")
GOOD = Manifest("1.2.3", "2.25.1", "2.25.2", "20260102", "101112", (SERIES,))
ENTRY = DocumentEntry(
    id="Document01", unique_id="1.1", patient_id="P^^^&1.2&ISO", mime_type="application/dicom",
    reference_ids=("1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID",),
)  # fmt: skip


def checked(folder: Path, data: bytes, entry: DocumentEntry = ENTRY) -> tuple[RegistryError, ...]:
    offload = Offload()

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    async def body() -> tuple[RegistryError, ...]:
        blobs = FolderBlobs(folder, offload)
        return await ForeignManifests(blobs, offload)(entry, await blobs.put(chunks()))

    try:
        return asyncio.run(body())
    finally:
        offload.close()


def test_a_manifest_of_its_study_is_taken(tmp_path: Path) -> None:
    assert checked(tmp_path, build(GOOD)) == ()
    assert checked(tmp_path, build(replace(GOOD, title=Title("X1", "99IHE"))), replace(ENTRY, reference_ids=())) == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%PDF-1.4", "too few"),
        (b"%PDF-1.4" + bytes(200), "prefix DICM"),
        (instance_file(), "no Key Object Selection"),
        (build(replace(GOOD, title=Title("113001", "DCM"))), "rejected"),
        (build(replace(GOOD, series=())), "no Current Requested Procedure Evidence"),
        (build(replace(GOOD, study_instance_uid="1.2.4")), "another study"),
        (build(replace(GOOD, series=(replace(SERIES, location=""),))), "where it is to be had"),
        (build(GOOD)[:700], "ends"),
    ],
)
def test_what_is_no_manifest_of_its_study_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    found = checked(tmp_path, data)
    assert found
    assert {each.code for each in found} == {"InvalidDocumentContent"}
    assert {each.location for each in found} == {"Document01"}
    assert any(why in each.context for each in found), found
    assert not any(each.is_warning for each in found)


def test_what_is_too_long_to_be_one_is_not_even_read(tmp_path: Path) -> None:
    offload = Offload()
    check = ForeignManifests(FolderBlobs(tmp_path, offload), offload)
    (error,) = asyncio.run(check(ENTRY, BlobRef("absent", LONGEST + 1)))
    offload.close()
    assert error.code == "InvalidDocumentContent"


def test_those_of_other_makers_are_taken_with_their_own_metadata(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "xds" / "kos"
    count = 0
    for path in sorted(folder.glob("*/metadata.v3.xml")):
        (entry,) = read_submission(etree.fromstring(path.read_bytes())).documents
        for name in ("kos.dcm", "kos-selftest.dcm"):
            assert checked(tmp_path, (path.parent / name).read_bytes(), entry) == (), path
            count += 1
    assert count >= 20
