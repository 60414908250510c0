"""What a patch may leave behind: the same resource, and no narrative that tells the old content (R4 3.1.0.8)."""

from __future__ import annotations

from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

UNPATCHED = "Binary"
"""The type whose content is opaque, so that a patch has nothing to hold on to."""

_FIXED = ("versionId", "lastUpdated")


def check_patched(before: Resource, after: Resource) -> Resource:
    """The patched resource, ready to be stored; a `Problem` (invalid) where the patch changed what it must not."""
    resource_type = before["resourceType"]
    if resource_type == UNPATCHED:
        allow = {"Allow": "GET, HEAD, PUT, DELETE"}
        raise Problem(Kind.METHOD_NOT_ALLOWED, "A Binary is replaced whole, never patched.", headers=allow)
    if after.get("resourceType") != resource_type:
        raise _fixed("resourceType")
    if after.get("id") != before["id"]:
        raise _fixed(f"{resource_type}.id")
    meta = after.get("meta", before["meta"])
    for name in _FIXED:
        if not isinstance(meta, dict) or meta.get(name, before["meta"][name]) != before["meta"][name]:
            raise _fixed(f"{resource_type}.meta.{name}")
    return _without_stale_narrative(before, after)


def _without_stale_narrative(before: Resource, after: Resource) -> Resource:
    """A generated narrative that the patch left alone no longer tells what the resource says, so it goes."""
    text = after.get("text")
    if text is None or text != before.get("text") or after == before or text.get("status") != "generated":
        return after
    return {name: value for name, value in after.items() if name != "text"}


def _fixed(location: str) -> Problem:
    text = "A patch may not change id, resourceType, versionId and lastUpdated."
    return Problem(Kind.INVALID, text, (Issue(text, location, "business-rule"),))
