"""Translates codes by concept maps (FHIR R4 ConceptMap/$translate)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from profiles.terminology.catalogue import Catalogue
from profiles.terminology.code_system import Resource
from profiles.terminology.errors import invalid

_NO_MATCH = frozenset(("unmatched", "disjoint"))
_TURNED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@dataclass(frozen=True, slots=True)
class Match:
    """One translation found."""

    equivalence: str
    concept: Resource | None
    """A Coding; `None` where the map says that there is none."""
    products: tuple[Resource, ...]
    source: str | None
    """URL of the map that says so."""

    @property
    def is_match(self) -> bool:
        return self.equivalence not in _NO_MATCH


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """What to translate, and by which maps."""

    codings: tuple[Resource, ...]
    source: str | None = None
    """Value set that the code comes from."""
    target: str | None = None
    target_system: str | None = None
    is_reverse: bool = False
    dependencies: frozenset[tuple[str, str]] = frozenset()
    """What further elements hold: pairs of element and code."""


def translate(catalogue: Catalogue, request: TranslationRequest, maps: Sequence[Resource] | None) -> list[Match]:
    """All matches, by these maps or by every map that fits."""
    if not request.codings:
        raise invalid("There is no code to translate.")
    chosen = maps if maps is not None else [each for each in catalogue.concept_maps() if _fits(each, request)]
    found = [
        match
        for each in chosen
        for coding in request.codings
        for match in _by_map(catalogue, each, coding, request, set())
    ]
    return list({repr(each): each for each in found}.values())


def _fits(concept_map: Resource, request: TranslationRequest) -> bool:
    """Whether a map goes between the value sets that the request names; an unnamed one may be any."""
    source, target = (_scope(concept_map, side) for side in ("source", "target"))
    if request.is_reverse:
        source, target = target, source
    return request.source in (None, source) and request.target in (None, target)


def _scope(concept_map: Resource, side: str) -> str | None:
    found: str | None = concept_map.get(f"{side}Canonical") or concept_map.get(f"{side}Uri")
    return found


def _by_map(
    catalogue: Catalogue, concept_map: Resource, coding: Resource, request: TranslationRequest, seen: set[str]
) -> Iterator[Match]:
    url = concept_map.get("url")
    for group in concept_map.get("group", ()):
        if request.is_reverse:
            yield from _backward(group, coding, request, url)
        elif _is_side(group.get("source"), coding.get("system")) and _wants(group.get("target"), request):
            found = list(_forward(group, coding, request, url))
            yield from found or _unmapped(catalogue, group, coding, request, url, seen)


def _is_side(stated: str | None, system: str | None) -> bool:
    """A coding without a system may be of any; so may a group."""
    return stated is None or system is None or stated == system


def _wants(target: str | None, request: TranslationRequest) -> bool:
    return request.target_system in (None, target)


def _forward(group: Resource, coding: Resource, request: TranslationRequest, url: str | None) -> Iterator[Match]:
    for element in group.get("element", ()):
        if element.get("code") == coding.get("code"):
            for target in filter(partial(_applies, request), element.get("target", ())):
                yield _match(group.get("target"), target, target.get("equivalence", "equivalent"), url)


def _applies(request: TranslationRequest, target: Resource) -> bool:
    """Whether all that a target depends on is given."""
    return request.dependencies.issuperset((each["property"], each["value"]) for each in target.get("dependsOn", ()))


def _backward(group: Resource, coding: Resource, request: TranslationRequest, url: str | None) -> Iterator[Match]:
    if not (_is_side(group.get("target"), coding.get("system")) and _wants(group.get("source"), request)):
        return
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") == coding.get("code"):
                stated = target.get("equivalence", "equivalent")
                yield _match(group.get("source"), element, _TURNED.get(stated, stated), url)


def _match(system: str | None, described: Resource, equivalence: str, url: str | None) -> Match:
    products = tuple(
        {"element": each["property"], "concept": _coding(each.get("system"), each["value"], each.get("display"))}
        for each in described.get("product", ())
    )
    code = described.get("code")
    if not isinstance(equivalence, str):
        raise TypeError("an equivalence is a code")
    concept = _coding(system, code, described.get("display")) if code is not None else None
    return Match(equivalence, concept, products, url)


def _coding(system: str | None, code: str, display: str | None) -> Resource:
    stated = {"system": system, "code": code, "display": display}
    return {key: value for key, value in stated.items() if value is not None}


def _unmapped(
    catalogue: Catalogue,
    group: Resource,
    coding: Resource,
    request: TranslationRequest,
    url: str | None,
    seen: set[str],
) -> Iterator[Match]:
    """What a group says of codes it does not list; each further map is asked once."""
    stated = group.get("unmapped", {})
    match stated.get("mode"):
        case "provided":
            yield Match("equal", _coding(group.get("target"), coding["code"], None), (), url)
        case "fixed":
            yield Match("equivalent", _coding(group.get("target"), stated["code"], stated.get("display")), (), url)
        case "other-map":
            other = None if stated["url"] in seen else catalogue.concept_map(stated["url"])
            if other is not None:
                seen.add(stated["url"])
                yield from _by_map(catalogue, other, coding, request, seen)
