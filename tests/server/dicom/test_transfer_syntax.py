"""The table of transfer syntaxes and their media types."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary

from server.dicom import transfer_syntax
from server.dicom.transfer_syntax import Loss

# Pydicom's table ends before the newest, and the referenced ones have no pixels of their own.
KNOWN_TO_PYDICOM = [each for each in transfer_syntax.known() if each.uid in UID_dictionary and not each.referenced]


@pytest.mark.parametrize("syntax", KNOWN_TO_PYDICOM, ids=lambda each: each.uid)
def test_flags_agree_with_pydicom_where_it_knows_the_syntax(syntax: transfer_syntax.TransferSyntax) -> None:
    known = UID(syntax.uid)
    assert known.is_transfer_syntax
    assert syntax.encapsulated == known.is_encapsulated
    assert syntax.deflated == known.is_deflated
    assert syntax.explicit == (not known.is_implicit_VR)
    assert syntax.little_endian == known.is_little_endian


@pytest.mark.parametrize(
    ("media_type", "uid"),
    [
        ("application/dicom", transfer_syntax.EXPLICIT_LITTLE),
        ("application/octet-stream", transfer_syntax.EXPLICIT_LITTLE),
        ("image/jpeg", transfer_syntax.JPEG_LOSSLESS_SV1),
        ("IMAGE/JLS", transfer_syntax.JPEG_LS_LOSSLESS),
        ("image/x-jls", transfer_syntax.JPEG_LS_LOSSLESS),
        ("image/x-dicom-rle", transfer_syntax.RLE),
        ("image/jp2", transfer_syntax.JPEG_2000_LOSSLESS),
        ("image/jphc", transfer_syntax.HTJ2K_LOSSLESS),
        ("video/mp4", "1.2.840.10008.1.2.4.102"),
        ("image/bmp", None),
    ],
)
def test_each_media_type_has_its_default(media_type: str, uid: str | None) -> None:
    assert transfer_syntax.default_for(media_type) == uid


def test_every_default_is_carried_by_its_media_type() -> None:
    for syntax in transfer_syntax.known():
        default = transfer_syntax.default_for(syntax.media_type)
        assert default is not None, syntax
        known = transfer_syntax.get(default)
        assert known is not None
        assert known.media_type.lower() == syntax.media_type.lower()


def test_video_is_lossy_and_unknown_is_unknown() -> None:
    assert all(each.loss is Loss.LOSSY for each in transfer_syntax.known() if each.video)
    assert transfer_syntax.get("1.2.840.10008.1.2.4.9999") is None
