"""Binary resources as what they hold: raw bytes in and out (FHIR R4 Binary, "Binary and the REST API")."""

from __future__ import annotations

import base64
import binascii
import re

from server.fhir import json_form
from server.fhir.json_form import Resource
from server.fhir.stored import Stored
from server.fhir_rest.bodies import unsupported
from server.fhir_rest.formats import NAMED
from server.fhir_rest.rendering import validators
from server.http.negotiate import parse_accept
from server.http.surface import Answer, Call
from server.kernel.problem import Kind, Problem

_HEADER_SAFE = re.compile(r"[\x20-\x7e]{1,255}")
_OCTETS = "application/octet-stream"


def is_wanted_raw(call: Call) -> bool:
    """Whether the client asks for the bytes: it names no form of FHIR."""
    if b"_format" in call.scope["query_string"]:
        return False
    return not any(each.media_type in NAMED for each in parse_accept(call.header("accept") or ""))


def is_sent_raw(call: Call) -> bool:
    return media_type_named(call) not in NAMED


def media_type_named(call: Call) -> str:
    text = call.header("content-type")
    return text.partition(";")[0].strip().lower() if text else ""


def raw_answer(stored: Stored) -> Answer:
    """The content under its own type; shown by no browser as a page of ours."""
    resource = json_form.reread(stored.body)
    kind = resource.get("contentType", _OCTETS)
    try:
        content = base64.b64decode(resource.get("data", ""), validate=False)
    except (binascii.Error, ValueError):
        raise Problem(Kind.UNSUPPORTED, "The data of the Binary are not base64.") from None
    headers = [*validators(stored), ("Content-Security-Policy", "sandbox")]
    if (context := _security_context(resource)) is not None:
        headers.append(("X-Security-Context", context))
    return Answer(200, content, kind if _HEADER_SAFE.fullmatch(kind) else _OCTETS, headers)


def wrapped(call: Call, content: bytes, resource_id: str | None) -> Resource:
    """The Binary that posted bytes become."""
    if call.header("content-type") is None:
        raise unsupported("The body has no Content-Type.")
    if not content:
        raise Problem(Kind.INVALID, "The body is empty.")
    kind = (call.header("content-type") or "").strip()
    resource: Resource = {"resourceType": "Binary"}
    if resource_id is not None:
        resource["id"] = resource_id
    resource["contentType"] = re.sub(r"\s+", "", kind) if media_type_named(call) else _OCTETS
    if (context := call.header("x-security-context")) is not None:
        resource["securityContext"] = {"reference": context}
    return resource | {"data": base64.b64encode(content).decode("ascii")}


def _security_context(resource: Resource) -> str | None:
    reference = resource.get("securityContext", {}).get("reference")
    return reference if isinstance(reference, str) and _HEADER_SAFE.fullmatch(reference) else None
