"""Real files: outcomes, identifiers and frames as their index says, values as pydicom reads them."""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from server.dicom import dictionary, part10
from server.dicom.dicom_json import first_value
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.instance import Instance
from server.dicom.values import little_endian
from server.kernel.problem import Problem

READ_AFTER_ALL = {
    "hard/undefined_length_unreadable.dcm": "its private sequence is UN of undefined length, which is Implicit VR "
    "Little Endian whatever the file is (PS3.5 6.2.2); read so, it equals its little endian twin in every value",
}
"""Files the index wants refused because pydicom cannot read them."""

OTHER_FRAMES = {
    "derived/video_mpeg2_mp_ml_100.dcm": 1,  # a video is one object
    "hard/oob_65535x65535_no_data.dcm": 0,  # none of it is there
}
OTHER_NAMES = {"charset/chrGB2312.dcm": "Zhang^XiaoDong=张^小东"}  # pydicom leaves escapes of IR 58 in the text
NO_NUMBER = {"hard/bad_vr_rtdose.dcm"}


@pytest.fixture(scope="session")
def folder(shared: Path) -> Path:
    return shared / "data/dicom"


@pytest.fixture(scope="session")
def scanned(corpus: list[dict[str, Any]], folder: Path) -> list[tuple[dict[str, Any], bytes, Instance | Problem]]:
    return [(entry, data := (folder / entry["path"]).read_bytes(), _outcome(data)) for entry in corpus]


def _outcome(data: bytes) -> Instance | Problem:
    try:
        return part10.scan(data)
    except Problem as problem:
        return problem


Scanned = list[tuple[dict[str, Any], bytes, Instance | Problem]]


def accepted(scanned: Scanned) -> Iterator[tuple[dict[str, Any], bytes, Instance]]:
    return ((entry, data, found) for entry, data, found in scanned if isinstance(found, Instance))


def test_every_outcome_is_as_expected(scanned: Scanned) -> None:
    wrong = {}
    for entry, _, found in scanned:
        outcome = "reject" if isinstance(found, Problem) else "warn" if found.irregularities else "store"
        if outcome not in (entry["expected"], *entry["also_acceptable"]) and entry["path"] not in READ_AFTER_ALL:
            wrong[entry["path"]] = (outcome, found)

    assert wrong == {}
    assert len(scanned) > 300


def test_the_file_that_pydicom_cannot_read_equals_its_twin(folder: Path) -> None:
    little, big = (
        part10.scan((folder / f"hard/undefined_length_{name}.dcm").read_bytes()) for name in ("ele", "unreadable")
    )

    assert big.dataset == little.dataset
    assert [each.path for each in big.bulk] == [each.path for each in little.bulk]


def test_identifiers_and_names_are_those_of_the_index(scanned: Scanned) -> None:
    for entry, _, found in accepted(scanned):
        if entry["path"] in READ_AFTER_ALL:
            continue
        assert (
            found.study_instance_uid,
            found.series_instance_uid,
            found.sop_instance_uid,
            found.sop_class_uid,
            found.transfer_syntax_uid,
        ) == tuple(entry[key] for key in ("study_uid", "series_uid", "instance_uid", "sop_class", "transfer_syntax")), (
            entry["path"]
        )
        assert first_value(found.dataset, "00280010") == entry["rows"]
        assert first_value(found.dataset, "00280011") == entry["columns"]
        name = first_value(found.dataset, "00100010") or {}
        groups = [name.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
        expected = OTHER_NAMES.get(entry["path"], entry["patient_name"] or "")
        assert "=".join(groups).rstrip("=") == expected, entry["path"]


def test_frames_are_those_of_the_index(scanned: Scanned) -> None:
    for entry, _, found in accepted(scanned):
        if entry["path"] in READ_AFTER_ALL | dict.fromkeys(NO_NUMBER):
            continue
        count = found.frames.count if found.frames else 0
        stated = OTHER_FRAMES.get(entry["path"], entry["frames"] or int(found.pixel_data_start is not None))
        if found.pixel_data_start is None and found.frames is None:
            continue
        assert count == stated, entry["path"]


def test_the_first_native_frame_is_where_the_index_says(scanned: Scanned) -> None:
    compared = 0
    for entry, data, found in accepted(scanned):
        digest = entry.get("decoders", {}).get("native", {}).get("sha256_frame0_raw")
        if digest is None:
            continue
        assert isinstance(found.frames, NativeFrames)
        source = part10.inflate(data) if found.inflated else data
        start, length = found.frames.byte_range(1)
        pixels = next(each for each in found.bulk if each.path.startswith("7FE0"))
        value = source[pixels.start : pixels.start + pixels.length]
        raw = little_endian(pixels.vr, value, pixels.little_endian)[start - pixels.start :][:length]
        digests = {hashlib.sha256(form).hexdigest() for form in (source[start : start + length], *_forms(raw, entry))}
        assert digest in digests, entry["path"]
        compared += 1

    assert compared > 100


def _forms(raw: bytes, entry: dict[str, Any]) -> Iterator[bytes]:
    """The frame as a decoder may hand it on: in little endian, with unused bits cleared, with bits unpacked."""
    yield raw
    if entry["bits_allocated"] == 1:
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
        yield bits[: entry["rows"] * entry["columns"]].tobytes()
    if entry["bits_allocated"] == 16:
        shift = 16 - entry["bits_stored"]
        samples = np.frombuffer(raw, "<i2" if entry["pixel_representation"] else "<u2")
        yield ((samples << shift) >> shift).tobytes()


def test_chunks_make_no_difference(scanned: Scanned) -> None:
    cut = random.Random(4711)
    for entry, data, found in scanned:
        in_chunks = _in_chunks(data, cut)
        if isinstance(found, Instance):
            assert in_chunks == found, entry["path"]
        else:
            assert isinstance(in_chunks, Problem), entry["path"]
            assert in_chunks.kind == found.kind


def _in_chunks(data: bytes, cut: random.Random) -> Instance | Problem:
    scanner, start = part10.Scanner(), 0
    try:
        while start < len(data):
            size = cut.choice([97, 1000, 65536, 1 << 20])
            scanner.feed(data[start : start + size])
            start += size
        return scanner.finish()
    except Problem as problem:
        return problem


def test_values_are_those_pydicom_reads(scanned: Scanned, folder: Path) -> None:
    compared = 0
    for entry, _, found in accepted(scanned):
        if entry["path"] in OTHER_NAMES or found.irregularities:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = pydicom.dcmread(folder / entry["path"]).to_json_dict(
                    bulk_data_threshold=1368, bulk_data_element_handler=lambda _: "", suppress_invalid_tags=True
                )
        except Exception:
            continue  # what pydicom cannot put into JSON it cannot be compared on
        differing = list(_differences("", found.dataset, theirs))
        assert differing == [], (entry["path"], differing[:3])
        compared += 1

    assert compared > 220


def _differences(prefix: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Paths where the two differ in what the standard leaves no choice about."""
    for tag in sorted({*ours, *theirs}):
        one, other = ours.get(tag), theirs.get(tag)
        if tag.endswith("0000") or other is None or tag in ("7FE00010", "7FE00008", "7FE00009"):
            continue  # group lengths; what pydicom failed to convert; pixels, which are never inline here
        if one is None:
            yield prefix + tag, one, other
        elif one["vr"] == "UN" and dictionary.is_private(tag):
            continue  # pydicom guesses at private attributes, in big endian files wrongly
        elif one["vr"] == other["vr"] == "SQ":
            pairs = zip(one.get("Value", []), other.get("Value", []), strict=True)
            for number, (item, their_item) in enumerate(pairs):
                yield from _differences(f"{prefix}{tag}/{number}/", item, their_item)
        elif _comparable(one) != _comparable(other):
            yield prefix + tag, one, other


def _comparable(attribute: dict[str, Any]) -> Any:
    """Numbers as numbers, empty as empty: pydicom writes `""` for an empty value and keeps padding in some."""
    if "BulkDataURI" in attribute:
        return str(attribute["vr"]), "bulk"
    if "InlineBinary" in attribute:
        return str(attribute["vr"]), attribute["InlineBinary"]
    values = [_plain(value, str(attribute["vr"])) for value in attribute.get("Value", [])]
    return str(attribute["vr"]), [] if values == [None] else values


def _plain(value: Any, vr: str) -> Any:
    if isinstance(value, dict):
        return {group: text for group, text in value.items() if text} or None
    if vr in ("DS", "IS") and value not in ("", None):
        return float(value)
    return value.strip(" \0") or None if isinstance(value, str) else value


def test_instances_are_equal_where_read_from_encapsulated_fragments(scanned: Scanned) -> None:
    for entry, data, found in accepted(scanned):
        if isinstance(found.frames, EncapsulatedFrames):
            for fragments in found.frames.fragments:
                assert all(0 < start <= start + length <= len(data) for start, length in fragments), entry["path"]
