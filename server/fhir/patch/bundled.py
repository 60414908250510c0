"""The patch an entry of a batch or transaction holds: Parameters, or another format within a Binary (R4, patch)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from server.fhir.json_form import Resource
from server.fhir.patch import fhirpath_patch, json_patch, xml_patch
from server.fhir.patch.change import Change, unreadable

_FORMATS: Mapping[str, Callable[[bytes], Change]] = {
    json_patch.MEDIA_TYPE: json_patch.parse,
    xml_patch.MEDIA_TYPE: xml_patch.parse,
}


def read_patch(resource: Resource) -> Change:
    """The change that a Parameters or Binary resource describes; a `Problem` (invalid) where it describes none."""
    if resource.get("resourceType") != "Binary":
        return fhirpath_patch.parse(resource)
    content_type, data = resource.get("contentType"), resource.get("data")
    parse = _FORMATS.get(content_type.partition(";")[0].strip().lower()) if isinstance(content_type, str) else None
    if parse is None or not isinstance(data, str):
        raise unreadable(f"A Binary that patches has data of the type {' or '.join(_FORMATS)}.")
    try:
        text = base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        raise unreadable("The data of the Binary is not in base64.") from None
    return parse(text)
