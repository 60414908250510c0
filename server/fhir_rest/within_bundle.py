"""Requests within a bundle that read or call an operation: answered by the same endpoints as requests of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.json_form import encode
from server.fhir.stored import Stored, micros_of
from server.fhir_rest.formats import Format
from server.fhir_rest.routing import FhirRouter
from server.http.surface import Answer, Call
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem

_HEADERS = {"if_none_match": b"if-none-match", "if_match": b"if-match"}


@dataclass(frozen=True, slots=True)
class WithinBundle:
    """Carries out entries against the surface at `base`; as JSON, whatever form the bundle is answered in."""

    router: FhirRouter
    base: str

    async def perform(self, context: Context, entry: Entry) -> EntryAnswer:
        path, _, query = entry.url.partition("?")
        match = self.router.find("/" + unquote(path))
        endpoint = match.methods.get("GET" if entry.method == "HEAD" else entry.method) if match else None
        if match is None:
            raise Problem(Kind.NOT_FOUND, "No resource has this path.")
        if endpoint is None:
            raise Problem(Kind.METHOD_NOT_ALLOWED, f"{entry.method} is not served here.")
        scope = self._scope(entry, unquote(path), query)
        call = Call(scope, _receiver(entry), match.path, self.base, context)
        return _entry_answer(await endpoint.handler(call), entry)

    def is_safe(self, entry: Entry) -> bool:
        """Whether an entry changes nothing: then it could be a GET as well. What is not there changes nothing."""
        try:
            match = self.router.find("/" + unquote(entry.url.partition("?")[0]))
        except Problem:
            return True
        return match is not None and "GET" in match.methods

    def _scope(self, entry: Entry, path: str, query: str) -> Mapping[str, Any]:
        headers = [(b"accept", Format.JSON.encode()), (b"content-type", Format.JSON.encode())]
        for attribute, name in _HEADERS.items():
            if (value := getattr(entry, attribute)) is not None:
                headers.append((name, value.encode("latin-1", "replace")))
        if entry.if_modified_since is not None:
            headers.append((b"if-modified-since", _http_date(entry.if_modified_since)))
        return {
            "method": entry.method,
            "path": "/" + path,
            "query_string": query.encode("ascii", "replace") if query.isascii() else query.encode(),
            "headers": headers,
        }


def _http_date(instant: str) -> bytes:
    """Bundle.entry.request.ifModifiedSince is an instant, the header it stands for is not (RFC 9110 5.6.7)."""
    try:
        moment = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError):
        return instant.encode("latin-1", "replace")
    return format_datetime(moment, usegmt=True).encode("ascii")


def _receiver(entry: Entry) -> Any:
    body = encode(entry.resource) if entry.resource is not None else b""

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _entry_answer(answer: Answer, entry: Entry) -> EntryAnswer:
    body = b"" if entry.method == "HEAD" or answer.status == HTTPStatus.NOT_MODIFIED else _bytes(answer)
    is_version = any(name == "ETag" for name, _ in answer.headers)
    return EntryAnswer(answer.status, _version(body) if is_version and body else None, body)


class _Meta(msgspec.Struct):
    versionId: str
    lastUpdated: datetime


class _Head(msgspec.Struct):
    """What an answered version says of itself."""

    resourceType: str
    id: str
    meta: _Meta


def _version(body: bytes) -> Stored | None:
    try:
        head = msgspec.json.decode(body, type=_Head)
        version, moment = int(head.meta.versionId), micros_of(head.meta.lastUpdated)
    except (msgspec.DecodeError, ValueError):
        return None
    return Stored(head.resourceType, head.id, version, moment, body)


def _bytes(answer: Answer) -> bytes:
    if not isinstance(answer.body, bytes) or not (answer.media_type or "").startswith(Format.JSON):
        raise Problem(Kind.UNSUPPORTED, "The answer to this entry has no place in a bundle.")
    return answer.body
