"""Who owns which element of a derived resource: the bridge what only the archive knows, people whatever they edit.

Counts, series and access follow the archive always. What describes the study follows it until somebody changes it: the
bridge remembers a digest of each such element as it wrote it last, and an element that reads otherwise now, or is not
there any more, is somebody else's from then on. Everything the bridge has no word for is theirs in any case, also
within a series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from server.fhir.json_form import Resource, encode

ALWAYS = ("status", "modality", "endpoint", "numberOfSeries", "numberOfInstances")
UNLESS_EDITED = (
    ("subject",), ("started", "_started"), ("referrer",), ("procedureCode",), ("description",),
)  # fmt: skip
"""Elements that are one thing together belong to one party together."""
_OF_SERIES = frozenset((
    "uid", "number", "modality", "description", "numberOfInstances", "endpoint", "bodySite", "laterality", "started",
    "_started", "instance",
))  # fmt: skip

Digests = Mapping[str, Sequence[str]]
"""By the first element of each of `UNLESS_EDITED`: what the bridge has written, or was about to write, lately."""


def remembered(made: Resource, before: Digests) -> dict[str, list[str]]:
    """The digests to keep once `made` is written. Kept before it is, so the ones before it stay good for one round.

    Before the first round there was nothing: where somebody else made the resource, what it lacks is filled in.
    """
    last = {names[0]: list(before.get(names[0], (_digest({}, names),)))[-1:] for names in UNLESS_EDITED}
    return {names[0]: [*last[names[0]], _digest(made, names)] for names in UNLESS_EDITED}


def merged(current: Resource, made: Resource, written: Digests) -> Resource:
    """The current resource with what the bridge owns brought up to date; `current` itself where nothing changes."""
    result = dict(current)
    for name in ALWAYS:
        _set(result, name, made.get(name))
    for names in UNLESS_EDITED:
        if _digest(current, names) in written.get(names[0], ()):
            for name in names:
                _set(result, name, made.get(name))
    result["identifier"] = _identifiers(current.get("identifier", []), made.get("identifier", []))
    _set(result, "series", _series(current.get("series", []), made.get("series", [])))
    return current if result == current else result


def _set(resource: Resource, name: str, value: Any) -> None:
    if value is None:
        resource.pop(name, None)
    else:
        resource[name] = value


def _identifiers(current: list[Any], made: list[Any]) -> list[Any]:
    """Those there are, and ours where one of the same system and value is missing."""
    known = {(each.get("system"), each.get("value")) for each in current}
    return [*current, *(each for each in made if (each.get("system"), each.get("value")) not in known)]


def _series(current: list[Any], made: list[Any]) -> list[Any] | None:
    theirs = {each.get("uid"): {k: v for k, v in each.items() if k not in _OF_SERIES} for each in current}
    return [{**each, **theirs.get(each["uid"], {})} for each in made] or None


def _digest(resource: Resource, names: Sequence[str]) -> str:
    values = [resource.get(name) for name in names]
    return hashlib.sha256(encode({"": values})).hexdigest()[:16]
