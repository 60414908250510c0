"""A posted body and the form in it: bounded, decoded strictly, each name once unless it may come several times."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from server.http.media_type import parse_media_type
from server.http.surface import Call
from server.kernel.problem import Issue, Kind, Problem

_FORM = "application/x-www-form-urlencoded"
_LONGEST = 64 << 10
_SECONDS = 30.0
_MOST = 400


@dataclass(frozen=True, slots=True)
class Form:
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The value of a field; empty where there is none. Twice is a `Problem`."""
        values = self.fields.get(name, ("",))
        if len(values) > 1:
            raise _bad("The form has a field twice.")
        return values[0]

    def all(self, name: str) -> tuple[str, ...]:
        return self.fields.get(name, ())


async def read_body(call: Call) -> bytes:
    """The body of a request, from whoever sends one: neither long nor slow, or it holds a connection for nothing."""
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in call.stream():
                body += chunk
                if len(body) > _LONGEST:
                    raise Problem(Kind.TOO_LARGE, f"The body is longer than {_LONGEST} bytes.")
    except TimeoutError:
        problem = _bad("The body came too slowly.")
        problem.headers["Connection"] = "close"
        raise problem from None
    return bytes(body)


async def read_form(call: Call) -> Form:
    """The form of a POST; `INVALID`, `TOO_LARGE` or `UNSUPPORTED_MEDIA` where it is none of ours."""
    if parse_media_type(call.header("content-type") or "-/-")[0] != _FORM:
        raise Problem(Kind.UNSUPPORTED_MEDIA, f"A form is posted as {_FORM}.")
    body = await read_body(call)
    try:
        text = body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        raise _bad(f"The form is not percent-encoded UTF-8 of at most {_MOST} fields.") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return Form(fields)


def _bad(text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, None, "invalid_request"),))
