"""What a DICOMDIR refers to: the File IDs of its directory records (PS3.3 F.3, PS3.10 8.5)."""

from __future__ import annotations

import io
import struct
import warnings

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from server.kernel.problem import Kind, Problem

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_COMPONENTS = 8
"""Most components of a File ID (PS3.10 8.2)."""


def referenced_files(data: bytes) -> list[tuple[str, ...]]:
    """The File IDs, each as its components, in the order of the records and each once. They are not yet trusted."""
    dataset = _read(data)
    if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) != _MEDIA_STORAGE_DIRECTORY:
        raise Problem(Kind.INVALID, "not a media storage directory")
    found: dict[tuple[str, ...], None] = {}
    for record in dataset.get("DirectoryRecordSequence") or ():
        file_id = record.get("ReferencedFileID")
        if not file_id:
            continue
        components = (file_id,) if isinstance(file_id, str) else tuple(str(each) for each in file_id)
        if len(components) > _COMPONENTS:
            raise Problem(Kind.INVALID, "a File ID of the DICOMDIR has more than 8 components")
        found[components] = None
    return list(found)


def _read(data: bytes) -> Dataset:
    """Whatever is wrong inside becomes one problem: the reader raises many kinds of error on damaged input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=["DirectoryRecordSequence"])
            for record in dataset.get("DirectoryRecordSequence") or ():
                record.get("ReferencedFileID")
            return dataset
    except InvalidDicomError:
        raise Problem(Kind.INVALID, "not a DICOM file") from None
    except (ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, struct.error, RuntimeError) as error:
        raise Problem(Kind.INVALID, "a DICOMDIR that cannot be read") from error
