"""Manifests others provide (RAD-68): what is registered as one has to be one, of the study its entry names.

The document says where its images are to be had, so that is not kept a second time. Makers differ in much that no
reader needs, and none of that is held against them; see `server.dicom.key_objects_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.dicom import key_objects as ko
from server.dicom.instance import DicomJson
from server.dicom.key_objects_checks import check_manifest
from server.dicom.pixels.attributes import text
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import studies_of
from server.xds.metadata import DocumentEntry
from storage.ports import BlobRef, Blobs

FORMATS = (ko.KEY_OBJECT_SELECTION,)
"""Codes of formatCode the check is for."""


@dataclass(frozen=True, slots=True)
class ForeignManifests:
    """A `ContentCheck`."""

    blobs: Blobs
    offload: Offload

    async def __call__(self, entry: DocumentEntry, content: BlobRef) -> tuple[RegistryError, ...]:
        if content.size > ko.LONGEST:
            return (_invalid(entry, "it is longer than a manifest may be"),)
        data = bytes(await self.blobs.fetch(content))
        try:
            dataset = await self.offload.cpu(ko.dataset_of, data)
        except Problem as problem:
            if problem.kind not in (Kind.INVALID, Kind.UNSUPPORTED, Kind.TOO_LARGE):
                raise
            return (_invalid(entry, problem.text),)
        return tuple(_invalid(entry, each) for each in _wrong(entry, dataset))


def _wrong(entry: DocumentEntry, dataset: DicomJson) -> list[str]:
    found = list(dict.fromkeys(each.text for each in check_manifest(dataset) if each.is_error))
    named = studies_of(entry.reference_ids)
    if named and text(dataset, ko.STUDY) not in named:
        found.append("it is of another study than its entry names")
    return found[:10]


def _invalid(entry: DocumentEntry, why: str) -> RegistryError:
    return RegistryError(ErrorCode.INVALID_CONTENT, f"The document is no manifest of its study: {why}", entry.id)
