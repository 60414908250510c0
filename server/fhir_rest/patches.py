"""Patches as they come over HTTP: the Content-Type says which kind (R4 http.html#patch)."""

from __future__ import annotations

from collections.abc import Callable

from server.fhir.patch import fhirpath_patch, json_patch, merge_patch, xml_patch
from server.fhir.patch.change import Change
from server.fhir_rest.bodies import Bodies, format_of, media_type, unsupported
from server.fhir_rest.formats import NAMED, Format
from server.http.surface import Call
from server.kernel.problem import Issue, Kind, Problem

_PARSERS: dict[str, Callable[[bytes], Change]] = {
    json_patch.MEDIA_TYPE: json_patch.parse,
    xml_patch.MEDIA_TYPE: xml_patch.parse,
    merge_patch.MEDIA_TYPE: merge_patch.parse,
}
MEDIA_TYPES = (*_PARSERS, *(str(each) for each in Format))

_PLAIN_JSON = "application/json"
"""Clients that say no more than this send a Merge Patch, or a FHIRPath Patch, which is known by its type."""


async def change_of(call: Call, bodies: Bodies) -> Change:
    """What the body asks to be changed; a `Problem` (unsupported media) for a kind of patch that is not known."""
    kind, _ = media_type(call)
    if kind not in _PARSERS and kind not in NAMED:
        raise unsupported(f"A patch is one of {', '.join(MEDIA_TYPES)}.")
    text = await bodies.raw(call)
    if not text:
        raise Problem(Kind.INVALID, "The patch is empty.", (Issue("The body is empty.", None, "required"),))
    if kind in _PARSERS:
        return await bodies.offload.cpu(_PARSERS[kind], text)
    resource = await bodies.decoded(text, format_of(call))
    if kind == _PLAIN_JSON and resource.get("resourceType") != "Parameters":
        return merge_patch.change_to(resource)
    return fhirpath_patch.parse(resource)
