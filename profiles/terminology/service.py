"""Answers every question of terminology: membership, expansion, validation, look-up, subsumption, translation.

One instance per server. What users stored comes first, HL7's R4 tables after it. Everything worked out is kept until
`forget` is called, so that a binding that is tested again and again costs a dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiles.terminology.catalogue import Catalogue, safely, split, written
from profiles.terminology.code_system import CodeSystem, Concept, Resource, read_code_system
from profiles.terminology.compose import ANY_VERSION, Composer, SystemVersions
from profiles.terminology.errors import TerminologyError, invalid, not_found, not_supported
from profiles.terminology.expansion import EVERYTHING, ExpansionRequest, expand
from profiles.terminology.extent import NOTHING, Extent, Listed, codes_listed
from profiles.terminology.rules import RuledSystem
from profiles.terminology.source import TerminologySource, published
from profiles.terminology.translation import Match, TranslationRequest, translate
from profiles.terminology.validation import STRICT, Leniency, Validation, in_code_system, in_value_set
from profiles.terminology.wording import display

MOST_LISTED = 10_000
"""Most codes of one expansion, unless a page of it is asked for."""

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is known of one code."""

    system: str
    name: str
    version: str | None
    concept: Concept
    parents: tuple[str, ...]
    children: tuple[str, ...]

    def display(self, languages: str | None = None) -> str | None:
        return display(None, self.concept, languages)


@dataclass(frozen=True, slots=True)
class _Binding:
    """A value set made ready for tests of membership."""

    extent: Extent
    codes: frozenset[str] | None
    """All its codes whatever their system; `None` where it is no plain list."""


class _Memory:
    """What was worked out from the sources as they were: a change of a source makes a new one."""

    def __init__(self, sources: Sequence[TerminologySource]) -> None:
        self.catalogue = Catalogue(sources)
        self.extents: dict[str, Extent] = {}
        self.bindings: dict[str, _Binding] = {}
        self.pairs: dict[str, frozenset[tuple[str, str]] | None] = {}

    def binding(self, canonical: str) -> _Binding:
        if len(self.extents) >= _MOST_KEPT:
            self.extents.clear()
            self.bindings.clear()
            self.pairs.clear()
        extent = Composer(self.catalogue, ANY_VERSION, self.extents).named(canonical)
        parts = extent.parts.values()
        codes = frozenset(code for part in parts if isinstance(part, Listed) for code in part.codes)
        found = self.bindings[canonical] = _Binding(extent, codes if extent.is_known else None)
        return found


class Terminology:
    """All operations on terminology. A `TerminologyError` says why there is no answer."""

    def __init__(self, sources: Sequence[TerminologySource] = (), most_listed: int = MOST_LISTED) -> None:
        self._sources = (*sources, published())
        self._most_listed = most_listed
        self._memory = _Memory(self._sources)

    def forget(self) -> None:
        """To be called when a source has changed."""
        self._memory = _Memory(self._sources)

    def is_member(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether a value set, by canonical URL, holds a code; `None` where that cannot be known here.

        Without a system any system's code will do, as for an element of type `code`.
        """
        memory = self._memory
        binding = memory.bindings.get(value_set) or memory.binding(value_set)
        if system is not None:
            extent = binding.extent
            return extent.parts.get(system, extent.rest).holds(code)
        if binding.codes is not None:
            return code in binding.codes
        return binding.extent.holds(None, code)

    def is_code(self, system: str, code: str) -> bool | None:
        """Whether a system has a code; `None` where the system is not held, or not whole."""
        match self._memory.catalogue.code_system(system):
            case None:
                return None
            case RuledSystem() as ruled:
                return ruled.accepts(code)
            case CodeSystem() as held:
                return held.find(code) is not None or (False if held.is_whole else None)

    def display(self, system: str, code: str) -> str | None:
        """What a system calls a code, where it is held."""
        held = self._memory.catalogue.code_system(system)
        concept = held.find(code) if isinstance(held, CodeSystem) else None
        return concept.display if concept else None

    def is_case_sensitive(self, system: str) -> bool:
        """Whether codes of a system are known to differ by case."""
        held = self._memory.catalogue.code_system(system)
        return held is not None and held.is_case_sensitive

    def system_of(self, value_set: str, code: str) -> str | None:
        """The code system from which a value set has a code, where it is one."""
        found = [url for url, part in self._extent(value_set).parts.items() if part.holds(code)]
        return found[0] if len(found) == 1 else None

    def codes_of(self, value_set: str) -> frozenset[tuple[str, str]] | None:
        """All codes of a value set by canonical URL, with their systems; `None` where they cannot be listed here."""
        memory = self._memory
        if value_set not in memory.pairs:
            memory.pairs[value_set] = _pairs(self._extent(value_set))
        return memory.pairs[value_set]

    def descendants(self, system: str, code: str) -> frozenset[str] | None:
        """The code and all below it; `None` where the code is not known here."""
        held = self._memory.catalogue.code_system(system)
        concept = held.find(code) if isinstance(held, CodeSystem) else None
        if concept is None or not isinstance(held, CodeSystem):
            return None
        return frozenset((concept.code, *held.descendants(concept.code)))

    def ancestors(self, system: str, code: str) -> frozenset[str] | None:
        """The code and all above it; `None` where the code is not known here."""
        held = self._memory.catalogue.code_system(system)
        concept = held.find(code) if isinstance(held, CodeSystem) else None
        if concept is None or not isinstance(held, CodeSystem):
            return None
        return frozenset((concept.code, *held.ancestors(concept.code)))

    def value_set(self, canonical: str) -> Resource:
        found = self._memory.catalogue.value_set(canonical)
        if found is None:
            raise not_found(f"The value set {canonical} is not held here.")
        return found

    def concept_map(self, canonical: str) -> Resource:
        found = self._memory.catalogue.concept_map(canonical)
        if found is None:
            raise not_found(f"The concept map {canonical} is not held here.")
        return found

    def expand(
        self, value_set: str | Resource, request: ExpansionRequest = EVERYTHING, *, identifier: str, timestamp: str
    ) -> Resource:
        """The value set with its expansion, which bears this identifier and time."""
        resource = self.value_set(value_set) if isinstance(value_set, str) else value_set
        extent = self._extent(value_set, request.versions)

        def expanded(of: Resource) -> Resource:
            return expand(of, extent, request, identifier, timestamp, self._most_listed)

        return safely(expanded, resource)

    def validate_code(
        self,
        value_set: str | Resource,
        codings: Sequence[Resource],
        leniency: Leniency = STRICT,
        versions: SystemVersions = ANY_VERSION,
    ) -> Validation:
        """Whether one of the codings is in a value set."""
        resource = self.value_set(value_set) if isinstance(value_set, str) else value_set
        extent = self._extent(value_set, versions)
        return safely(lambda _: in_value_set(extent, codings, leniency), resource)

    def validate_in_system(
        self, system: str | Resource, codings: Sequence[Resource], leniency: Leniency = STRICT
    ) -> Validation:
        """Whether one of the codings is a code of a system."""
        held = self._system(system)
        return safely(lambda _: in_code_system(held, codings, leniency), {"resourceType": "coding"})

    def lookup(self, system: str, code: str, version: str | None = None) -> Lookup:
        held = self._memory.catalogue.required_system(system, version)
        if isinstance(held, RuledSystem):
            if not held.accepts(code):
                raise not_found(f"The code {code} is not known in {system}.")
            return Lookup(held.url, held.name, None, Concept(code, code, (), (), False, False), (), ())
        concept = held.find(code)
        if concept is None:
            raise not_found(f"The code {code} is not known in {written(system, version)}.")
        above, below = held.parents.get(concept.code, ()), held.children.get(concept.code, ())
        return Lookup(held.url, held.title or held.name or held.url, held.version, concept, above, below)

    def subsumes(self, system: str | Resource, one: str, other: str, version: str | None = None) -> str:
        """How the first code stands to the second: a code of concept-subsumption-outcome."""
        url = written(system, version) if isinstance(system, str) else system
        held = self._system(url)
        if isinstance(held, RuledSystem):
            return _equal_by_rule(held, one, other)
        first, second = _known(held, one).code, _known(held, other).code
        if first == second:
            return "equivalent"
        if first in held.ancestors(second):
            return "subsumes"
        return "subsumed-by" if second in held.ancestors(first) else "not-subsumed"

    def translate(self, request: TranslationRequest, maps: Sequence[Resource] | None = None) -> list[Match]:
        """Every match, by these concept maps or by all that are held."""
        try:
            return translate(self._memory.catalogue, request, maps)
        except (KeyError, TypeError, AttributeError):
            raise invalid("A concept map is not well formed.") from None

    def _extent(self, value_set: str | Resource, versions: SystemVersions = ANY_VERSION) -> Extent:
        memory = self._memory
        if isinstance(value_set, str) and versions == ANY_VERSION:
            return (memory.bindings.get(value_set) or memory.binding(value_set)).extent
        known = memory.extents if versions == ANY_VERSION else None
        composer = Composer(memory.catalogue, versions, known)
        return composer.named(value_set) if isinstance(value_set, str) else safely(composer.of, value_set)

    def _system(self, system: str | Resource) -> CodeSystem | RuledSystem:
        if isinstance(system, str):
            return self._memory.catalogue.required_system(*split(system))
        found = safely(read_code_system, system)
        if found is None:
            raise not_supported("The code system lists no codes of its own.")
        return found


def _pairs(extent: Extent) -> frozenset[tuple[str, str]] | None:
    if extent.rest != NOTHING:
        return None
    try:
        return frozenset((url, code) for url, part in extent.parts.items() for code in codes_listed(part))
    except TerminologyError:
        return None


def _known(system: CodeSystem, code: str) -> Concept:
    found = system.find(code)
    if found is None:
        raise not_found(f"The code {code} is not known in {system.url}.")
    return found


def _equal_by_rule(system: RuledSystem, one: str, other: str) -> str:
    if not (system.accepts(one) and system.accepts(other)):
        raise not_found(f"A code is not known in {system.url}.")
    return "equivalent" if one == other else "not-subsumed"
