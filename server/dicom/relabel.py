"""A copy of an instance with other attributes: for samples that shall belong to somebody else.

Pixels are copied as they lie, encapsulated or native; what is written is Explicit VR Little Endian otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.dicom import part10, transfer_syntax
from server.dicom.frames import EncapsulatedFrames
from server.dicom.instance import Instance
from server.dicom.stored_json import BULK_PLACE
from server.dicom.writer import to_part10
from server.kernel.problem import Kind, Problem

_PIXEL_DATA = "7FE00010"


def relabelled(content: bytes, changes: Mapping[str, Any]) -> bytes:
    """The file with attributes replaced or added, in DICOM JSON; one given as `None` is removed."""
    instance = part10.scan(content)
    if instance.inflated or any(not each.little_endian for each in instance.bulk):
        raise Problem(Kind.UNSUPPORTED, "Such a file cannot be relabelled.")
    dataset = {**instance.dataset, **{tag: value for tag, value in changes.items() if value is not None}}
    kept = {tag: dataset[tag] for tag in sorted(dataset) if changes.get(tag, dataset[tag]) is not None}
    syntax = transfer_syntax.get(instance.transfer_syntax_uid)
    is_encapsulated = syntax is not None and syntax.encapsulated
    uid = instance.transfer_syntax_uid if is_encapsulated else transfer_syntax.EXPLICIT_LITTLE
    return to_part10(kept, lambda uri: _bulk(content, instance, uri), uid)


def _bulk(content: bytes, instance: Instance, uri: str) -> bytes | Sequence[bytes]:
    path = uri.removeprefix(f"{BULK_PLACE}/")
    if path == _PIXEL_DATA and isinstance(instance.frames, EncapsulatedFrames):
        return [
            b"".join(content[start : start + length] for start, length in frame) for frame in instance.frames.fragments
        ]
    for each in instance.bulk:
        if each.path == path:
            return content[each.start : each.start + each.length]
    raise Problem(Kind.INVALID, "The file has no such value.")
