"""A resource without what is hidden within, and marked as such (REDACT of our consent table)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from server.fhir.json_form import Resource

_VALUES = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_REDACTED = {"system": _VALUES, "code": "REDACTED", "display": "redacted"}
_SUBSETTED = {"system": _VALUES, "code": "SUBSETTED", "display": "subsetted"}
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_MASKED = {"extension": [{"url": _ABSENT, "valueCode": "masked"}]}

Hides = Callable[[Mapping[str, Any]], bool]


def elements(resource: Resource) -> Iterator[Mapping[str, Any]]:
    pending: list[Any] = [resource]
    while pending:
        each = pending.pop()
        if type(each) is dict:
            yield each
        pending += [one for one in (each.values() if type(each) is dict else each) if type(one) in (dict, list)]


def left_of(element: dict[str, Any], hides: Hides) -> dict[str, Any]:
    """The element without what is hidden within: gone from lists, masked where it stands alone."""
    made: dict[str, Any] | None = None
    for name, value in element.items():
        new = _kept(value, hides)
        if new is not value:
            made = dict(element) if made is None else made
            if new is None:
                del made[name]
                made.pop(name.removeprefix("_"), None)
            else:
                made[name] = new
    return element if made is None else made


def _kept(value: Any, hides: Hides) -> Any:
    """`None` for a list of which nothing is left."""
    if type(value) is dict:
        return dict(_MASKED) if hides(value) else left_of(value, hides)
    if type(value) is not list:
        return value
    left = [left_of(each, hides) if type(each) is dict else each for each in value if not _is_hidden(each, hides)]
    if len(left) == len(value) and all(new is old for new, old in zip(left, value, strict=True)):
        return value
    return left or None


def _is_hidden(value: Any, hides: Hides) -> bool:
    return type(value) is dict and hides(value)


def recounted(made: Resource, before: Resource) -> Resource:
    """An ImagingStudy tells only of the series that are left."""
    if made["resourceType"] != "ImagingStudy" or made.get("series") is before.get("series"):
        return made
    series = made.get("series", ())
    counted = {**made, "numberOfSeries": len(series)}
    counted["numberOfInstances"] = sum(each.get("numberOfInstances", 0) for each in series)
    modalities = _different(each["modality"] for each in series if "modality" in each)
    if "modality" in counted:
        counted = {**counted, "modality": modalities} if modalities else _but(counted, "modality")
    return counted


def _different(codings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({(each.get("system"), each.get("code")): each for each in codings}.values())


def _but(resource: Resource, name: str) -> Resource:
    return {each: value for each, value in resource.items() if each != name}


def marked(resource: Resource) -> Resource:
    meta = resource.get("meta", {})
    security, tags = meta.get("security", ()), meta.get("tag", ())
    meta = {**meta, "security": [*security, _REDACTED], "tag": [*tags, _SUBSETTED]}
    return {**_but(resource, "text"), "meta": meta}
