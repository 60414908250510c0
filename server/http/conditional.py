"""Validators and ranges: ETag with If-None-Match, Range with If-Range (RFC 9110 8.8, 13.1, 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.http.surface import Answer, Bytes, Call

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def etag(*parts: str) -> str:
    """A strong entity tag; the parts together name these very bytes."""
    return f'"{"-".join(filter(None, parts))}"'


def weak_etag(*parts: str) -> str:
    """A tag for text that may yet be sent compressed or not, under the same tag."""
    return f"W/{etag(*parts)}"


def not_modified(call: Call, tag: str) -> Answer | None:
    """The answer 304 when the client already holds what `tag` names."""
    asked = call.header("if-none-match")
    if asked is None or call.method not in ("GET", "HEAD"):
        return None
    known = _TAG.fullmatch(tag)
    if asked.strip() == "*" or (known is not None and known.group(1) in _TAG.findall(asked)):
        return Answer(304, headers=[("ETag", tag), ("Vary", "Accept")])
    return None


@dataclass(frozen=True, slots=True)
class ByteRange:
    start: int
    length: int
    size: int
    """Of the whole."""

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"

    def cut(self, whole: Bytes) -> memoryview:
        return memoryview(whole)[self.start : self.start + self.length]


def byte_range(call: Call, size: int, tag: str) -> ByteRange | Answer | None:
    """The one range asked of `size` bytes; an `Answer` (416) when it lies outside; `None` when the whole is to be sent.

    Several ranges, other units and what cannot be read are passed over, as RFC 9110 14.2 allows.
    """
    asked = call.header("range")
    found = _RANGE.fullmatch(asked) if asked is not None and call.method == "GET" else None
    if found is None or not any(found.groups()) or call.header("if-range") not in (None, tag):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        return Answer(416, headers=[("Content-Range", f"bytes */{size}")])
    return ByteRange(start, end - start, size)
