"""Long values a rendering needs - look-up tables, overlays, profiles - wherever the data set keeps them.

In stored metadata a short one is inline and a long one is bulk data elsewhere. Rendering does no I/O, so it first runs
without the bulk and says what it missed; the caller reads that and runs it again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from server.dicom.instance import DicomJson
from server.dicom.pixels.attributes import numbers


@dataclass(slots=True)
class Binary:
    """`bulk` maps an attribute path, as in `BulkValue.path`, to its little endian value."""

    bulk: Mapping[str, bytes]
    missing: list[str] = field(default_factory=list)

    def read(self, dataset: DicomJson, tag: str, path: str = "") -> bytes:
        """The value as bytes; empty where it is absent or, as `missing` then says, still to be read."""
        element = dataset.get(tag)
        if not isinstance(element, Mapping):
            return b""
        if "BulkDataURI" in element:
            where = path + tag
            if where not in self.bulk:
                self.missing.append(where)
            return self.bulk.get(where, b"")
        if isinstance(inline := element.get("InlineBinary"), str):
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError):
                return b""
        return _packed(dataset, tag)


def _packed(dataset: DicomJson, tag: str) -> bytes:
    """Values given as numbers (US, SS) as 16-bit words."""
    values = np.array([int(each) & 0xFFFF for each in numbers(dataset, tag)], "<u2")
    return values.tobytes()
