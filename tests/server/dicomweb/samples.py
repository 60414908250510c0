"""Small instances built with pydicom, so that what is served is compared with what another library reads."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
MPEG4 = "1.2.840.10008.1.2.4.102"

STUDY, SERIES = "1.2.3", "1.2.3.1"
INSTANCE_PATH = f"/studies/{STUDY}/series/{SERIES}/instances/"


def pixels(frames: int = 1, rows: int = 8, columns: int = 6, seed: int = 0) -> np.ndarray[Any, Any]:
    """12-bit noise, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 4096, (frames, rows, columns), dtype="<u2")


def base(uid: str = "1.2.3.1.1", sop_class: str = CT_IMAGE, *, number: int = 1, **more: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.StudyDate, ds.StudyTime, ds.Modality = "20260102", "101112", "CT"
    ds.PatientName, ds.PatientID = "Wang^Wei=王^伟", "P1"
    ds.InstanceNumber = number
    for name, value in more.items():
        setattr(ds, name, value)
    return ds


def image(uid: str = "1.2.3.1.1", array: np.ndarray[Any, Any] | None = None, **more: Any) -> Dataset:
    """A monochrome image of the frames given."""
    array = pixels() if array is None else array
    ds = base(uid, **more)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = array.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = array.tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def with_bulk(uid: str = "1.2.3.1.1") -> Dataset:
    """An image with long values: private, and private inside a sequence."""
    ds = image(uid)
    block = ds.private_block(0x0019, "WEFT TEST", create=True)
    block.add_new(0x30, "OB", bytes(range(256)) * 16)
    item = Dataset()
    item.private_block(0x0021, "WEFT TEST", create=True).add_new(0x31, "OW", b"\1\2\3\4" * 1000)
    ds.ReferencedImageSequence = Sequence([Dataset(), item])
    return ds


def bits(uid: str = "1.2.3.1.1", frames: int = 3) -> tuple[Dataset, np.ndarray[Any, Any]]:
    """1-bit frames of 5 x 3 pixels, which do not begin at bytes; and their pixels."""
    array = np.random.default_rng(1).integers(0, 2, (frames, 5, 3), dtype="u1")
    ds = image(uid, np.zeros((frames, 5, 3), "<u2"))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    packed = np.packbits(array, bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB"
    return ds, array


def video(uid: str, stream: bytes) -> Dataset:
    ds = image(uid, np.zeros((1, 4, 4), "<u2"), sop_class=VIDEO)
    ds.NumberOfFrames = 25
    ds.PixelData = encapsulate([stream], has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def document(uid: str, content: bytes) -> Dataset:
    return base(uid, PDF, MIMETypeOfEncapsulatedDocument="application/pdf", EncapsulatedDocument=content)


def written(ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a PS3.10 file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = "1.2.3.99"
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def compressed(ds: Dataset, transfer_syntax: str) -> bytes:
    """The image in a transfer syntax pydicom can encode here (RLE)."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(UID(transfer_syntax), encoding_plugin="pydicom", generate_instance_uid=False)
    return written(ds, transfer_syntax)


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))
