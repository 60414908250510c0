"""What a page carries beside its matches: resources they refer to, and resources that refer to them (FHIR R4 3.1.1.5).

References are read from the index, never from bodies: the values that a set of resources carries under a parameter. A
set grows round by round; those parameters that iterate act on what the last round found. A reference that names a
version brings that version; a canonical brings the newest resource of its URL, or the version it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from server.fhir.index.parameters import Parameter, Source
from server.fhir.search.clauses import Include
from server.fhir.search.request import Limits
from server.fhir.search.scope import Scope
from server.fhir.search.targets import all_types, targets
from server.fhir.stored import HISTORY, Stored, collection, from_history
from server.kernel.problem import Issue
from storage.query import All, Any, Equals, Not, OneOf, Order, Predicate

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([0-9]{1,18}))?")

ByType = dict[str, list[str]]
"""Ids by resource type."""


@dataclass(slots=True)
class Inclusion:
    """Gathers what one page includes."""

    scope: Scope
    limits: Limits
    matches: Mapping[str, Stored]
    """By reference."""
    found: dict[str, Stored] = field(default_factory=dict)
    """By reference; by versioned reference where a version was named that is not the current one."""
    is_cut: bool = False

    async def gather(self, includes: Sequence[Include]) -> None:
        fresh: Sequence[Stored] = list(self.matches.values())
        for turn in range(self.limits.rounds + 1):
            active = [each for each in includes if turn == 0 or each.iterate]
            if not fresh or not active:
                return
            if turn == self.limits.rounds:
                self.is_cut = True
                return
            known = set(self.found)
            for each in active:
                await self._follow(each, fresh)
            fresh = [stored for key, stored in self.found.items() if key not in known]

    def warnings(self) -> tuple[Issue, ...]:
        if not self.is_cut:
            return ()
        return (Issue("More resources would have been included; the answer was cut.", None, "incomplete"),)

    @property
    def _room(self) -> int:
        return self.limits.included - len(self.found)

    async def _follow(self, include: Include, resources: Sequence[Stored]) -> None:
        ids = _by_type(resources)
        if include.reverse:
            await self._reverse(include, ids)
        else:
            await self._forward(include, ids)

    def _parameters(self, include: Include, source: str) -> list[Parameter]:
        """The reference parameters of a type that the include names, those answered by another left out."""
        if include.parameter is not None:
            found = self.scope.registry.find(source, include.parameter)
            return [found] if found is not None else []
        return [each for each in self.scope.registry.of(source) if each.type == "reference" and each.is_indexed]

    # Forward: values that the resources carry

    async def _forward(self, include: Include, ids: ByType) -> None:
        for source, listed in ids.items():
            if include.source in (None, source):
                for parameter in self._parameters(include, source):
                    for place in parameter.sources:
                        await self._referred(parameter, place, source, listed, include.target)

    async def _referred(
        self, parameter: Parameter, place: Source, source: str, ids: list[str], target: str | None
    ) -> None:
        these = OneOf("_id", tuple(ids))
        texts = await self._carried(source, place.name, these)
        wanted = {target or place.target} - {None}
        local = [match for text in texts if (match := _LOCAL.fullmatch(text)) and (not wanted or match[1] in wanted)]
        versions = {match[0]: (match[1], match[2], match[3]) for match in local if match[3]}
        bare = {(match[1], match[2]) for match in local if not match[3]}
        for text, (type_, id_, _) in versions.items():
            if not await self._is_referred_bare(source, place, these, f"{type_}/{id_}", text):
                bare.discard((type_, id_))
        await self._add_current(bare)
        await self._add_versions(versions)
        await self._add_canonical(parameter, texts - {match[0] for match in local}, wanted)

    async def _carried(self, source: str, name: str, these: Predicate) -> set[str]:
        found = await self.scope.records.values(collection(source), name, these, at_most=self.limits.inner + 1)
        self.is_cut = self.is_cut or len(found) > self.limits.inner
        return {str(each) for each in found}

    async def _is_referred_bare(self, source: str, place: Source, these: Predicate, bare: str, version: str) -> bool:
        """Some of the resources name it without the version; one that names both is not told apart."""
        without = All((these, Equals(place.name, bare), Not(Equals(place.name, version))))
        return await self.scope.records.count(collection(source), without, at_most=1) > 0

    async def _add_current(self, references: Iterable[tuple[str, str]]) -> None:
        ids: ByType = {}
        for type_, id_ in sorted(references):
            if not self._has(f"{type_}/{id_}"):
                ids.setdefault(type_, []).append(id_)
        for type_, listed in ids.items():
            if type_ in all_types():
                self._add(await self.scope.get(type_, listed[: self._room + 1]))

    async def _add_versions(self, versions: Iterable[str]) -> None:
        wanted = [text.replace("/_history/", "/") for text in sorted(versions) if not self._has(text)]
        records = await self.scope.records.get(HISTORY, wanted[: self._room + 1])
        found = [stored for each in records if not (stored := from_history(each)).is_deleted]
        for type_, ids in _by_type(found).items():
            visible = await self.scope.visible(type_, ids)
            for each in found:
                if each.type == type_ and each.id in visible and await self.scope.said(each):
                    current = self._held(each.reference)
                    if current is None or current.version != each.version:
                        self._add([each], key=each.versioned)

    async def _add_canonical(self, parameter: Parameter, texts: set[str], wanted: set[str | None]) -> None:
        urls = {text for text in texts if ":" in text}
        versioned = {tuple(text.rsplit("|", 1)) for text in urls if "|" in text}
        bare = {text for text in urls if "|" not in text} - {url for url, _ in versioned}
        pairs = sorted(versioned) + [(url, "") for url in sorted(bare)]
        for type_ in targets(parameter) if pairs else ():
            if (not wanted or type_ in wanted) and self.scope.registry.find(type_, "url") is not None:
                for url, version in pairs:
                    await self._add_newest(type_, url, version)

    async def _add_newest(self, type_: str, url: str, version: str) -> None:
        terms: list[Predicate] = [Equals("url", url)]
        if version:
            terms.append(self.scope.term(type_, "version", version))
        self._add(await self.scope.find(type_, All(tuple(terms)), 1, (Order("_lastUpdated", True),)))

    # Reverse: resources that carry these values

    async def _reverse(self, include: Include, ids: ByType) -> None:
        if include.target is not None:
            ids = {type_: listed for type_, listed in ids.items() if type_ == include.target}
        sources = (include.source,) if include.source is not None else all_types()
        for source in sources if ids else ():
            terms = [await self._pointing(parameter, ids) for parameter in self._parameters(include, source)]
            predicate = Any(tuple(term for each in terms for term in each))
            if predicate.terms:
                self._add(await self.scope.find(source, predicate, self.limits.included + len(self.matches) + 1))

    async def _pointing(self, parameter: Parameter, ids: ByType) -> list[Predicate]:
        """Terms for the values that name one of the resources."""
        possible = targets(parameter)
        terms: list[Predicate] = []
        for type_, listed in ids.items():
            if type_ in possible:
                names = tuple(f"{type_}/{each}" for each in listed)
                if self.scope.registry.find(type_, "url") is not None:
                    names += tuple(await self._carried(type_, "url", OneOf("_id", tuple(listed))))
                terms += [OneOf(each.name, names) for each in parameter.sources if each.target in (None, type_)]
        return terms

    # The set

    def _held(self, key: str) -> Stored | None:
        return self.matches.get(key) or self.found.get(key)

    def _has(self, key: str) -> bool:
        return self._held(key) is not None

    def _add(self, resources: Sequence[Stored], key: str | None = None) -> None:
        for each in resources:
            name = key or each.reference
            if self._has(name):
                continue
            if self._room <= 0:
                self.is_cut = True
                return
            self.found[name] = each


def _by_type(resources: Iterable[Stored]) -> ByType:
    ids: ByType = {}
    for each in resources:
        ids.setdefault(each.type, []).append(each.id)
    return ids
