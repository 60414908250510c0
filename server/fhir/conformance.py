"""The conformance resources that users stored, by canonical URL: for the validator and for terminology.

They are held as bytes, in whatever number there are, and read when first asked for. What was ever asked for is
remembered, so that a change nobody has asked about costs no one what was worked out before. Changes come from the event
loop, questions from any thread: nothing that a question reads is changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from profiles.definitions import FHIR_VERSION
from profiles.terminology.source import published, version_order
from server.fhir.json_form import Resource, reread
from server.fhir.stored import Stored

STRUCTURES, SYSTEMS, VALUE_SETS, MAPS = TYPES = ("StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap")

_R4 = "http://hl7.org/fhir/"
_MOST_ASKED = 100_000


class _Facts(msgspec.Struct, frozen=True):
    """What a resource is found by."""

    url: str | None = None
    version: str | None = None
    value_set: str | None = msgspec.field(name="valueSet", default=None)


class _Entry:
    """One resource; the JSON is decoded once, by whoever asks first."""

    __slots__ = ("_resource", "facts", "stored")

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._resource: Resource | None = None
        try:
            self.facts = msgspec.json.decode(stored.body, type=_Facts)
        except msgspec.DecodeError:
            self.facts = _Facts()

    @property
    def resource(self) -> Resource:
        found = self._resource
        if found is None:
            found = self._resource = reread(self.stored.body)
        return found

    def names(self) -> list[tuple[str, str]]:
        """Under which it is found: a search names a value set by its place here as well as by its URL.

        A code system may name the value set of all its codes.
        """
        named = [(VALUE_SETS, self.stored.reference)] if self.stored.type == VALUE_SETS else []
        if self.facts.url is None:
            return named
        named.append((self.stored.type, self.facts.url))
        if self.stored.type == SYSTEMS and self.facts.value_set is not None:
            named.append((VALUE_SETS, self.facts.value_set))
        return named

    def age(self) -> tuple[object, int]:
        return version_order(self.facts.version), self.stored.last_updated


class StoredConformance:
    """A source of structures and of terminology. R4's own value sets and code systems are never replaced by it."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._entries: dict[str, _Entry] = {}
        self._named: dict[tuple[str, str], tuple[_Entry, ...]] = {}
        self._maps: tuple[_Entry, ...] = ()
        self._asked: set[tuple[str, str]] = set()

    def take(self, stored: Stored) -> bool:
        """Hold this version, unless a later one is held; gives whether something that was asked for has changed."""
        reference = stored.reference
        if stored.version <= self._versions.get(reference, 0):
            return False
        self._versions[reference] = stored.version
        before = self._entries.pop(reference, None)
        now = None if stored.is_deleted else _Entry(stored)
        if now is not None:
            self._entries[reference] = now
        touched = {name for each in (before, now) if each for name in each.names()}
        for name in touched:
            others = [each for each in self._named.get(name, ()) if each is not before]
            self._named[name] = (*others, now) if now is not None and name in now.names() else tuple(others)
        if stored.type == MAPS:
            self._maps = tuple(each for each in self._entries.values() if each.stored.type == MAPS)
        return len(self._asked) >= _MOST_ASKED or not touched.isdisjoint(self._asked)

    def find(self, url: str) -> Resource | None:
        """A StructureDefinition; the URL may carry `|version`."""
        plain, _, version = url.partition("|")
        return self._one(STRUCTURES, plain, version or None)

    def code_system(self, url: str, version: str | None = None) -> Resource | None:
        found = self._one(SYSTEMS, url, version)
        return None if found is None or (_is_r4(url, version) and published().code_system(url)) else found

    def value_set(self, url: str, version: str | None = None) -> Resource | None:
        """Also the set of all codes that a code system names in `valueSet`."""
        found = self._one(VALUE_SETS, url, version)
        if found is not None and found["resourceType"] == SYSTEMS:
            include = [{"system": found["url"]}]
            found = {"resourceType": VALUE_SETS, "url": url, "status": "active", "compose": {"include": include}}
        return None if found is None or (_is_r4(url, version) and published().value_set(url)) else found

    def concept_map(self, url: str, version: str | None = None) -> Resource | None:
        return self._one(MAPS, url, version)

    def concept_maps(self) -> Iterator[Resource]:
        return (each.resource for each in self._maps)

    def _one(self, kind: str, url: str, version: str | None) -> Resource | None:
        """The newest of them; one without a version answers for every version."""
        if len(self._asked) < _MOST_ASKED:
            self._asked.add((kind, url))
        held = self._named.get((kind, url), ())
        fitting = [each for each in held if version in (None, each.facts.version) or each.facts.version is None]
        own = [each for each in fitting if each.stored.type == kind] or fitting
        return max(own, key=_Entry.age).resource if own else None


def _is_r4(url: str, version: str | None) -> bool:
    return url.startswith(_R4) and version in (None, FHIR_VERSION)
