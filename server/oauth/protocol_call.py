"""What the protocol's endpoints share: the parameters of a call, who sent it, and answers nobody may keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from server.http.surface import Answer, Call
from server.oauth.form import read_body, read_form
from server.smart.recording import Caller
from server.smart.refusals import refusal
from server.smart.site import Site

JSON = "application/json"
NOT_KEPT = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
"""RFC 6749 5.1."""


async def pairs_of(call: Call) -> Sequence[tuple[str, str]]:
    """The form's pairs in order; no other content type is taken."""
    form = await read_form(call)
    return [(name, value) for name, values in form.fields.items() for value in values]


async def body_of(call: Call) -> bytes:
    """A JSON body."""
    if (call.header("content-type") or "").partition(";")[0].strip().lower() != JSON:
        raise refusal("invalid_request", f"The body is sent as {JSON}.")
    return await read_body(call)


def bearer_of(call: Call) -> str:
    """The token in the Authorization header; empty where there is none."""
    scheme, _, token = (call.header("authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def site_of(call: Call) -> Site:
    return Site.of_surface(call.base)


def caller_of(call: Call) -> Caller:
    client = call.scope.get("client")
    return Caller(call.context.peer or (str(client[0]) if client else ""), call.context.request_id)


def told(value: Any, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    return Answer(status, msgspec.json.encode(value), JSON, [*NOT_KEPT, *headers])


def sent_to(location: str, status: int = 302) -> Answer:
    """To another page, without telling it where from."""
    return Answer(status, headers=[("Location", location), *NOT_KEPT, ("Referrer-Policy", "no-referrer")])
