"""Retrieve Capabilities (PS3.18 8.9): OPTIONS on the service root describes it, as WADL or as the same facts in JSON.

Everything is read from the endpoint rows, so the description cannot promise what is not served.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

import orjson

from server.dicom.transfer_syntax import OCTET_STREAM
from server.dicomweb.media import CAPABILITIES, DICOM, DICOM_JSON, DICOM_XML, JSON, ZIP
from server.http.negotiate import accepted, require
from server.http.surface import Answer, Call, Endpoint

_WADL = "http://wadl.dev.java.net/2009/02"
_MULTIPART = "multipart/related"
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/jp2")
_PIXELS = (f'{_MULTIPART}; type="{OCTET_STREAM}"', f'{_MULTIPART}; type="image/*"', OCTET_STREAM)
_ATTRIBUTES = (DICOM_JSON, f'{_MULTIPART}; type="{DICOM_XML}"', JSON)

_GIVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"qido\..*", _ATTRIBUTES),
    (r"wado\..*metadata", (*_ATTRIBUTES, ZIP)),
    (r"wado\..*(rendered|thumbnail)", (*_IMAGES, "video/mp4", "video/mpeg", "application/pdf", "text/html")),
    (r"wado\.(.*\.)?(frames|bulkdata|pixeldata)", _PIXELS),
    (r"wado\.(study|series)", (f'{_MULTIPART}; type="{DICOM}"', ZIP)),
    (r"wado\.instance", (f'{_MULTIPART}; type="{DICOM}"', DICOM, ZIP)),
    (r"wado\.uri", (*_IMAGES, DICOM)),
    (r"stow\..*", (DICOM_JSON, DICOM_XML)),
    (r"capabilities", ("application/vnd.sun.wadl+xml", JSON)),
)
_TAKES = (
    f'{_MULTIPART}; type="{DICOM}"',
    f'{_MULTIPART}; type="{DICOM_JSON}"',
    f'{_MULTIPART}; type="{DICOM_XML}"',
    DICOM,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Describes the rows it is given, and itself."""

    rows: tuple[Endpoint, ...]

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("capabilities", "OPTIONS", "/", "capabilities", self.retrieve, "PS3.18 8.9"),)

    async def retrieve(self, call: Call) -> Answer:
        media_type = require(accepted(call), CAPABILITIES).media_type
        rows = (*self.rows, *self.endpoints())
        body = as_json(call.base, rows) if media_type == JSON else as_wadl(call.base, rows)
        return Answer(200, body, media_type, [("Vary", "Accept")])


def as_wadl(base: str, rows: Sequence[Endpoint]) -> bytes:
    resources = "".join(_resource(path, list(methods)) for path, methods in _by_path(rows))
    text = f'<application xmlns="{_WADL}"><resources base="{escape(base)}">{resources}</resources></application>'
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()


def as_json(base: str, rows: Sequence[Endpoint]) -> bytes:
    resources = [
        {
            "path": path,
            "methods": [
                {"name": row.method, "id": row.name, "clause": row.clause, "mediaTypes": gives(row)} for row in methods
            ],
        }
        for path, methods in _by_path(rows)
    ]
    return orjson.dumps({"base": base, "resources": resources})


def gives(row: Endpoint) -> tuple[str, ...]:
    """The media types the endpoint answers with."""
    return next((types for name, types in _GIVES if re.fullmatch(name, row.name)), ())


def _by_path(rows: Sequence[Endpoint]) -> list[tuple[str, list[Endpoint]]]:
    ordered = sorted(rows, key=lambda row: (row.path, row.method))
    return [(path, list(methods)) for path, methods in groupby(ordered, key=lambda row: row.path)]


def _resource(path: str, methods: Sequence[Endpoint]) -> str:
    names = "".join(f'<param name="{name}" style="template" required="true"/>' for name in re.findall(r"{(\w+)", path))
    plain = re.sub(r":path}", "}", path.lstrip("/"))
    return f'<resource path="{escape(plain)}">{names}{"".join(map(_method, methods))}</resource>'


def _method(row: Endpoint) -> str:
    request = f"<request>{_representations(_TAKES)}</request>" if row.method == "POST" else ""
    response = f"<response>{_representations(gives(row))}</response>"
    return f'<method name="{row.method}" id="{escape(row.name)}">{request}{response}</method>'


def _representations(media_types: Sequence[str]) -> str:
    return "".join(f'<representation mediaType="{escape(each)}"/>' for each in media_types)
