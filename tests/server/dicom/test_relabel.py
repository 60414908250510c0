from __future__ import annotations

import pytest

from server.commands.demo import sample_folders
from server.dicom import part10
from server.dicom.dicom_json import text_of
from server.dicom.frames import EncapsulatedFrames, NativeFrames
from server.dicom.instance import Instance
from server.dicom.relabel import relabelled
from server.kernel.problem import Kind, Problem

CHANGES = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^Jianguo", "Ideographic": "王^建国"}]},
    "00100020": {"vr": "LO", "Value": ["P1"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    "00101010": None,
}


def sample(name: str) -> bytes:
    return (sample_folders()[0] / name).read_bytes()


def pixels(content: bytes, instance: Instance) -> list[bytes]:
    match instance.frames:
        case EncapsulatedFrames(fragments):
            return [b"".join(content[start : start + length] for start, length in frame) for frame in fragments]
        case NativeFrames() as native:
            ranges = [native.byte_range(number) for number in range(1, native.count + 1)]
            return [content[start : start + length] for start, length in ranges]
        case None:
            return []


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm"])
def test_a_copy_has_other_attributes_and_the_same_pixels(name: str) -> None:
    content = sample(name)
    copy = relabelled(content, CHANGES)
    before, after = part10.scan(content), part10.scan(copy)
    assert after.study_instance_uid == "1.2.3"
    assert after.dataset["00100010"]["Value"] == [{"Alphabetic": "Wang^Jianguo", "Ideographic": "王^建国"}]
    assert "00101010" not in after.dataset
    assert text_of(after.dataset, "00080060") == text_of(before.dataset, "00080060")
    assert [each.rstrip(b"\0") for each in pixels(copy, after)] == [
        each.rstrip(b"\0") for each in pixels(content, before)
    ]


def test_what_is_not_little_endian_is_refused() -> None:
    with pytest.raises(Problem) as caught:
        relabelled(sample("MR_small_bigendian.dcm"), CHANGES)
    assert caught.value.kind is Kind.UNSUPPORTED
