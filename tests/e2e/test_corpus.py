"""Every real file, each stored alone into an empty archive: its outcome, its bytes, its frames.

The index names the outcome expected of each file, other acceptable ones, and digests of the first frame as several
decoders see it. Where this server ends otherwise, `EXCEPTIONS` says so and why.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.kit.session import OCTETS, related, value
from tests.e2e.clients import client, failures, fetch, store, stored
from tests.e2e.running import ROOT, Place, Server, running

CORPUS = ROOT.parent / "shared/data/dicom"
FILES: list[dict[str, Any]] = (
    json.loads((CORPUS / "index.json").read_text())["files"] if (CORPUS / "index.json").is_file() else []
)

OUTCOMES = {
    "hard/undefined_length_unreadable.dcm": (
        "store",
        "expected to be refused because pydicom cannot read it; our scan reads it to its end, frame included",
    ),
}
"""Path → outcome and reason, where a file ends neither as expected nor as is acceptable."""

_ROUNDING = "lossy, one reference decoder only: libjpeg-turbo's inverse transform rounds otherwise than libjpeg's"
FRAMES = {
    "transfer-syntax/ct_jpeg_extended12_51.dcm": _ROUNDING,
    "transfer-syntax/ct_2frame_fragmented_no_bot_jpeg_51.dcm": _ROUNDING,
}
"""Path → reason, where the first frame differs from every digest of the index; its extremes still agree within 2."""

INEXACT = {("modality/op_8bit.dcm", "pylibjpeg")}
"""Decoders known to be wrong about a file: lossless, and off by one against the uncompressed original."""

EXPLICIT = "1.2.840.10008.1.2.1"

pytestmark = [
    pytest.mark.skipif(not FILES, reason="no sample data beside this checkout"),
]

each_file = pytest.mark.parametrize("entry", FILES, ids=[entry["path"] for entry in FILES])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server; a file is removed again before the next is stored, so each meets an empty archive."""
    with running(Place("sqlite+folder", tmp_path_factory.mktemp("corpus"))) as each:
        yield each


@pytest.fixture
def outcome(server: Server, entry: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """What became of the file: `store`, `warn` or `reject`, and the UID acknowledged."""
    answer = store(server, (CORPUS / entry["path"]).read_bytes())
    assert answer.status in (200, 202, 400, 409), (answer.status, answer.body[:500])
    done = stored(answer)
    warned = b'"00081196"' in answer.body
    if not done:
        assert answer.status in (400, 409)
        assert answer.status == 400 or failures(answer)
    yield ("reject" if not done else "warn" if warned else "store"), done
    if done:
        study = answer.json()["00081190"]["Value"][0]
        assert client(server).request("DELETE", study).status == 204


@each_file
def test_a_real_file_ends_as_expected(outcome: tuple[str, set[str]], entry: dict[str, Any]) -> None:
    kind, _ = outcome
    if entry["path"] in OUTCOMES:
        assert kind == OUTCOMES[entry["path"]][0]
    else:
        assert kind in (entry["expected"], *entry["also_acceptable"]), entry["expected_why"]


@each_file
def test_a_stored_file_comes_back_as_it_was(
    server: Server, outcome: tuple[str, set[str]], entry: dict[str, Any]
) -> None:
    if outcome[0] == "reject":
        return
    (uid,) = outcome[1]
    path = value(client(server).get(f"/instances?SOPInstanceUID={uid}", None).json()[0], "00081190")
    path = client(server).path_of(path)
    assert fetch(server, path) == [(CORPUS / entry["path"]).read_bytes()]
    metadata = client(server).get(f"{path}/metadata", "application/dicom+json")
    assert metadata.status == 200
    (dataset,) = metadata.json()
    assert dataset["00080018"]["Value"] == [uid]


@each_file
def test_decoded_frames_equal_the_digests(server: Server, outcome: tuple[str, set[str]], entry: dict[str, Any]) -> None:
    known = digests(entry)
    if outcome[0] == "reject" or not known:
        return
    answer = client(server).get(f"{instance_path(entry)}/frames/1", related(OCTETS, EXPLICIT))
    assert answer.status == 200, answer.body[:300]
    (part,) = answer.parts()
    found = {hashlib.sha256(form).hexdigest() for form in forms(part.body, entry)}
    if entry["path"] in FRAMES:
        assert not found & known, "no exception any more: take it out of FRAMES"
        (decoder,) = (each for each in entry["decoders"].values() if each["ok"])
        samples = struct.unpack(f"<{len(part.body) // 2}H", part.body)
        assert abs(min(samples) - decoder["min"]) <= 2
        assert abs(max(samples) - decoder["max"]) <= 2
    else:
        assert found & known


def test_exceptions_are_of_files_that_there_are() -> None:
    assert (OUTCOMES.keys() | FRAMES.keys()) <= {entry["path"] for entry in FILES}


def instance_path(entry: dict[str, Any]) -> str:
    return f"/studies/{entry['study_uid']}/series/{entry['series_uid']}/instances/{entry['instance_uid']}"


def digests(entry: dict[str, Any]) -> set[str]:
    return {
        decoder["sha256_frame0_raw"]
        for name, decoder in (entry.get("decoders") or {}).items()
        if isinstance(decoder, dict) and decoder.get("sha256_frame0_raw") and (entry["path"], name) not in INEXACT
    }


def forms(frame: bytes, entry: dict[str, Any]) -> Iterator[bytes]:
    """The frame, and the same samples as the index's decoders give them.

    They give 1-bit pixels as bytes, leave padding out, keep big endian as it is, and clear or sign-extend the bits
    above High Bit, which the standard leaves undefined (PS3.5 8.1.1) and which are sent here as they were stored.
    """
    yield frame
    length = (entry["rows"] or 0) * (entry["columns"] or 0) * (entry["samples_per_pixel"] or 1)
    if entry["bits_allocated"] == 1:
        yield bytes(frame[place // 8] >> (place % 8) & 1 for place in range(min(length, len(frame) * 8)))
    if entry["bits_allocated"] == 8:
        yield frame[:length]
        yield from planes(frame[:length])
    if entry["bits_allocated"] == 16:
        samples = struct.unpack(f"<{len(frame) // 2}H", frame)
        yield struct.pack(f">{len(samples)}H", *samples)
        mask, sign = (1 << entry["bits_stored"]) - 1, 1 << (entry["bits_stored"] - 1)
        yield struct.pack(f"<{len(samples)}H", *(sample & mask for sample in samples))
        yield struct.pack(f"<{len(samples)}h", *(((sample & mask) ^ sign) - sign for sample in samples))


def planes(frame: bytes) -> Iterator[bytes]:
    """Colour by plane where the decoder gives it by pixel, and the other way round."""
    if len(frame) % 3:
        return
    third = len(frame) // 3
    yield b"".join(
        bytes(each) for each in zip(frame[:third], frame[third : 2 * third], frame[2 * third :], strict=True)
    )
    yield frame[0::3] + frame[1::3] + frame[2::3]
