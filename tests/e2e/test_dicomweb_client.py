"""A client made by others, unchanged, drives every service: PyPI `dicomweb-client`, as Slicer and highdicom use it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.e2e.running import Server

NAMES = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_rle_2frame.dcm", "examples_jpeg2k.dcm", "waveform_ecg.dcm")
DOSE = "rtdose.dcm"
"""Fifteen frames, Implicit VR, and a UID that pydicom warns about: stored, but not read back through pydicom."""


def read(name: str) -> pydicom.Dataset:
    return pydicom.dcmread(Path(get_testdata_file(name)))


@pytest.fixture(scope="module")
def client(server: Server) -> DICOMwebClient:
    client = DICOMwebClient(server.dicomweb)
    answer = client.store_instances([read(name) for name in (*NAMES, DOSE)])
    assert len(answer.ReferencedSOPSequence) == len(NAMES) + 1
    assert "FailedSOPSequence" not in answer
    return client


@pytest.fixture(scope="module")
def ct() -> pydicom.Dataset:
    return read("CT_small.dcm")


@pytest.fixture(scope="module")
def dose() -> pydicom.Dataset:
    return read(DOSE)


def uids(dataset: pydicom.Dataset) -> tuple[str, str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_it_stores_into_a_study(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    answer = client.store_instances([ct], study_instance_uid=ct.StudyInstanceUID)
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [ct.SOPInstanceUID]


def test_it_searches_studies(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    (found,) = client.search_for_studies(search_filters={"PatientID": ct.PatientID}, fields=["StudyDescription"])
    study = pydicom.Dataset.from_json(found)
    assert study.StudyInstanceUID == ct.StudyInstanceUID
    assert study.StudyDescription == ct.StudyDescription
    assert study.NumberOfStudyRelatedInstances == 1


def test_it_pages_through_everything(client: DICOMwebClient) -> None:
    everything = client.search_for_studies(limit=2, get_remaining=True)
    assert len({study["0020000D"]["Value"][0] for study in everything}) == len(everything) == len(NAMES) + 1


def test_it_searches_series_and_instances(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    study, series, instance = uids(ct)
    (found,) = client.search_for_series(study, search_filters={"Modality": "CT"})
    assert found["0020000E"]["Value"] == [series]
    for place in ((study, series), (study, None), (None, None)):
        filters = {"SOPInstanceUID": instance}
        (row,) = client.search_for_instances(*place, search_filters=filters)
        assert row["00080018"]["Value"] == [instance]


def test_it_searches_fuzzily(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    found = client.search_for_studies(fuzzymatching=True, search_filters={"PatientName": "compressedsamples"})
    assert ct.StudyInstanceUID in {study["0020000D"]["Value"][0] for study in found}


@pytest.mark.parametrize("name", NAMES)
def test_it_retrieves_what_it_stored(client: DICOMwebClient, name: str) -> None:
    stored = read(name)
    study, series, instance = uids(stored)
    syntax = str(stored.file_meta.TransferSyntaxUID)
    for found in (
        client.retrieve_instance(study, series, instance, media_types=(("application/dicom", "*"),)),
        client.retrieve_instance(study, series, instance, media_types=(("application/dicom", syntax),)),
        *client.retrieve_series(study, series, media_types=(("application/dicom", "*"),)),
        *client.retrieve_study(study, media_types=(("application/dicom", "*"),)),
    ):
        assert found == stored
        assert found.file_meta.TransferSyntaxUID == syntax


def test_it_iterates_over_a_study_and_a_series(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    study, series, _ = uids(ct)
    assert [each.SOPInstanceUID for each in client.iter_study(study)] == [ct.SOPInstanceUID]
    assert [each.SOPInstanceUID for each in client.iter_series(study, series)] == [ct.SOPInstanceUID]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_it_retrieves_in_other_transfer_syntaxes(client: DICOMwebClient, ct: pydicom.Dataset, syntax: str) -> None:
    found = client.retrieve_instance(*uids(ct), media_types=(("application/dicom", syntax),))
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.PatientName == ct.PatientName
    if syntax in (ExplicitVRLittleEndian, RLELossless):
        assert np.array_equal(found.pixel_array, ct.pixel_array)


@pytest.mark.parametrize("name", NAMES)
def test_it_retrieves_metadata(client: DICOMwebClient, name: str) -> None:
    stored = read(name)
    study, series, instance = uids(stored)
    one = client.retrieve_instance_metadata(study, series, instance)
    assert client.retrieve_series_metadata(study, series) == [one]
    assert client.retrieve_study_metadata(study) == [one]
    parsed = pydicom.Dataset.from_json(one, bulk_data_uri_handler=lambda *_: None)
    assert parsed.SOPInstanceUID == instance
    assert parsed.PatientName == stored.PatientName
    # What pydicom gives for every standard attribute is what metadata holds.
    bulky = {tag for tag, attribute in one.items() if "BulkDataURI" in attribute}
    for element in stored:
        tag = f"{element.tag:08X}"
        if tag not in bulky and not element.tag.is_private and element.VR not in ("SQ", "OB", "OW", "UN"):
            assert parsed[element.tag].value == element.value, element


def test_it_retrieves_frames(client: DICOMwebClient, dose: pydicom.Dataset) -> None:
    whole = dose.pixel_array
    frames = client.retrieve_instance_frames(*uids(dose), frame_numbers=[1, 15, 7])
    expected = [whole[0], whole[14], whole[6]]
    assert [np.frombuffer(frame, "<u4").reshape(10, 10).tolist() for frame in frames] == [
        each.tolist() for each in expected
    ]
    iterated = list(client.iter_instance_frames(*uids(dose), frame_numbers=[2, 3]))
    assert iterated == [whole[1].tobytes(), whole[2].tobytes()]


def test_it_retrieves_compressed_frames(client: DICOMwebClient) -> None:
    stored = read("examples_jpeg2k.dcm")
    accept = (("image/jp2", str(stored.file_meta.TransferSyntaxUID)),)
    (frame,) = client.retrieve_instance_frames(*uids(stored), frame_numbers=[1], media_types=accept)
    assert frame.startswith(b"\xff\x4f\xff\x51")


def test_it_retrieves_bulk_data(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    url = client.retrieve_instance_metadata(*uids(ct))["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(url) == [ct.PixelData]
    assert b"".join(client.iter_bulkdata(url)) == ct.PixelData
    octets = (("application/octet-stream", "*"),)
    assert client.retrieve_bulkdata(url, media_types=octets) == [ct.PixelData]
    assert client.retrieve_bulkdata(url, byte_range=(100, 199)) == [ct.PixelData[100:200]]


def test_it_retrieves_bulk_data_from_inside_sequences(client: DICOMwebClient) -> None:
    ecg = read("waveform_ecg.dcm")
    metadata = client.retrieve_instance_metadata(*uids(ecg))
    items = metadata["54000100"]["Value"]
    for item, stored in zip(items, ecg.WaveformSequence, strict=True):
        assert client.retrieve_bulkdata(item["54001010"]["BulkDataURI"]) == [stored.WaveformData]


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
def test_it_retrieves_rendered_images(client: DICOMwebClient, ct: pydicom.Dataset, media_type: str) -> None:
    data = client.retrieve_instance_rendered(*uids(ct), media_types=(media_type,), params={"viewport": "64,64"})
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (64, 64)


def test_it_retrieves_rendered_frames(client: DICOMwebClient, dose: pydicom.Dataset) -> None:
    data = client.retrieve_instance_frames_rendered(*uids(dose), frame_numbers=[3], media_types=("image/png",))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (10, 10)


def test_it_retrieves_a_rendered_series(client: DICOMwebClient, ct: pydicom.Dataset) -> None:
    study, series, _ = uids(ct)
    assert client.retrieve_series_rendered(study, series, media_types=("image/jpeg",))


def test_it_deletes(client: DICOMwebClient) -> None:
    copy = read("MR_small.dcm")
    copy.StudyInstanceUID, copy.SeriesInstanceUID, copy.SOPInstanceUID = "2.25.1", "2.25.1.1", "2.25.1.1.1"
    copy.file_meta.MediaStorageSOPInstanceUID = "2.25.1.1.1"
    for remove in (
        lambda: client.delete_instance("2.25.1", "2.25.1.1", "2.25.1.1.1"),
        lambda: client.delete_series("2.25.1", "2.25.1.1"),
        lambda: client.delete_study("2.25.1"),
    ):
        client.store_instances([copy])
        assert client.search_for_studies(search_filters={"StudyInstanceUID": "2.25.1"})
        remove()
        assert not client.search_for_studies(search_filters={"StudyInstanceUID": "2.25.1"})
