"""Works out what a value set holds from its definition (FHIR R4 4.9, ValueSet.compose).

Within one include the system's codes, the listed concepts or filters and every named value set must all agree; the
includes are united and the excludes taken away. A value set that is met again while it is worked out adds nothing, so
cycles end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from profiles.terminology.catalogue import Catalogue, safely, written
from profiles.terminology.code_system import CodeSystem, Resource
from profiles.terminology.errors import TerminologyError, invalid, not_supported
from profiles.terminology.extent import (
    EMPTY,
    NOTHING,
    Both,
    Codes,
    Everything,
    Extent,
    Fragment,
    Listed,
    Part,
    Ruled,
    Unknown,
    Wording,
    combined,
    met,
    united,
    without,
)  # fmt: skip
from profiles.terminology.filters import filtered, ruled, unheld
from profiles.terminology.rules import RULED, RuledSystem

_MOST_NESTED = 32
_ALL_OF_SNOMED = "http://snomed.info/sct?fhir_vs"
_ALL_OF_LOINC = "http://loinc.org/vs"


@dataclass(frozen=True, slots=True)
class SystemVersions:
    """Which version of a code system to use: by system URL."""

    default: Mapping[str, str] = field(default_factory=dict)
    """Where the value set names none."""
    check: Mapping[str, str] = field(default_factory=dict)
    """Where the value set names another, that is an error."""
    force: Mapping[str, str] = field(default_factory=dict)
    """Whatever the value set names."""

    def choose(self, system: str, stated: str | None) -> str | None:
        if system in self.force:
            return self.force[system]
        chosen = stated or self.default.get(system)
        wanted = self.check.get(system)
        if wanted and chosen and chosen != wanted:
            raise invalid(f"The value set uses version {chosen} of {system}, not {wanted}.")
        return chosen or wanted


ANY_VERSION = SystemVersions()


class Composer:
    """One piece of work: the extent of one value set and of those it names."""

    def __init__(
        self, catalogue: Catalogue, versions: SystemVersions = ANY_VERSION, known: dict[str, Extent] | None = None
    ) -> None:
        self._catalogue = catalogue
        self._versions = versions
        self._known = {} if known is None else known
        self._path: list[str] = []
        self._cut: set[str] = set()

    def named(self, canonical: str) -> Extent:
        """What a value set holds, by canonical URL; of one that is not held nothing is known."""
        if canonical in self._known:
            return self._known[canonical]
        if canonical in self._path or len(self._path) >= _MOST_NESTED:
            self._cut.add(canonical)
            return EMPTY
        self._path.append(canonical)
        found = self._named(canonical)
        self._path.pop()
        self._cut.discard(canonical)
        if not self._cut:  # a set worked out inside a cycle lacks what the cycle would add
            self._known[canonical] = found
        return found

    def _named(self, canonical: str) -> Extent:
        resource = self._catalogue.value_set(canonical)
        return self.of(resource) if resource else _implicit(canonical)

    def of(self, value_set: Resource) -> Extent:
        """What a value set holds; where its definition leaves that open, an expansion it carries is believed."""
        found = self._composed(value_set.get("compose"))
        if found.is_known or "expansion" not in value_set:
            return found
        try:
            return safely(_expanded, value_set) or found
        except TerminologyError:
            return found

    def _composed(self, compose: Resource | None) -> Extent:
        if compose is None:
            return _nothing_known(not_supported("The value set has neither a definition nor an expansion."))
        try:
            included = reduce(_unite, map(self._part, compose.get("include", ())), EMPTY)
            excluded = reduce(_unite, map(self._part, compose.get("exclude", ())), EMPTY)
        except (KeyError, TypeError, AttributeError, ValueError):
            return _nothing_known(invalid("The definition of the value set is not well formed."))
        found = combined(included, excluded, without)
        return _active(found) if compose.get("inactive") is False else found

    def _part(self, part: Resource) -> Extent:
        sets = [self.named(each) for each in part.get("valueSet", ())]
        if "system" not in part:
            if not sets or "concept" in part or "filter" in part:
                raise ValueError("an include names a system or value sets")
            return reduce(_meet, sets)
        return reduce(_meet, sets, self._of_system(part))

    def _of_system(self, part: Resource) -> Extent:
        url: str = part["system"]
        version = self._versions.choose(url, part.get("version"))
        system = self._catalogue.code_system(url, version)
        try:
            codes = self._codes(part, url, version, system)
        except TerminologyError as error:
            codes = Unknown(error)
        return Extent({url: codes}, NOTHING, {url: system} if isinstance(system, CodeSystem) else {})

    def _codes(self, part: Resource, url: str, version: str | None, system: CodeSystem | RuledSystem | None) -> Part:
        if "concept" in part:
            return Listed({each["code"]: _wording(each) for each in part["concept"]})
        filters: list[Resource] = part.get("filter", [])
        match system:
            case None if filters:
                return unheld(written(url, version))
            case None:
                return Everything(written(url, version))
            case RuledSystem():
                everything: Part = Ruled(url, system.accepts)
                return reduce(met, (ruled(system, each) for each in filters), everything)
            case CodeSystem():
                kept = [filtered(system, each) for each in filters]
                codes: Codes = {code: None for code in system.concepts if all(code in each for each in kept)}
                return Listed(codes) if system.is_whole else _fragment(codes, url)


def _fragment(codes: Codes, url: str) -> Part:
    """A code that is not listed may be of a later edition, unless it does not even look like one."""
    rule = RULED.get(url)
    return Both((Fragment(codes), Ruled(url, rule.accepts))) if rule else Fragment(codes)


def _unite(one: Extent, other: Extent) -> Extent:
    return combined(one, other, united)


def _meet(one: Extent, other: Extent) -> Extent:
    return combined(one, other, met)


def _wording(concept: Resource) -> Wording | None:
    if "display" not in concept and "designation" not in concept:
        return None
    return Wording(concept.get("display"), tuple(concept.get("designation", ())))


def _active(extent: Extent) -> Extent:
    """Without the codes that their system has retired."""
    dead = {
        url: Listed({code: None for code, each in system.concepts.items() if each.is_inactive})
        for url, system in extent.systems.items()
    }
    return combined(extent, Extent(dead), without)


def _implicit(canonical: str) -> Extent:
    """Sets that exist without a resource: all of SNOMED CT, all of LOINC."""
    if canonical == _ALL_OF_SNOMED:
        return Extent({"http://snomed.info/sct": Everything("http://snomed.info/sct")})
    if canonical == _ALL_OF_LOINC:
        return Extent({"http://loinc.org": Everything("http://loinc.org")})
    return _nothing_known(not_supported(f"The value set {canonical} is not held here."))


def _nothing_known(reason: TerminologyError) -> Extent:
    return Extent({}, Unknown(reason))


def _expanded(value_set: Resource) -> Extent | None:
    """What an expansion lists, when it lists all."""
    expansion = value_set["expansion"]
    listed: dict[str, dict[str, Wording | None]] = {}
    pending = list(reversed(expansion.get("contains", [])))
    count = 0
    while pending:
        each = pending.pop()
        count += 1
        pending.extend(reversed(each.get("contains", [])))
        if "code" in each and not each.get("abstract"):
            listed.setdefault(each["system"], {})[each["code"]] = _wording(each)
    is_part = any(each["name"] in ("limitedExpansion", "offset", "count") for each in expansion.get("parameter", ()))
    if is_part or expansion.get("total", count) > count:
        return None
    return Extent({system: Listed(codes) for system, codes in listed.items()})
