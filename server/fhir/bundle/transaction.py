"""A transaction: what all its entries write goes in one commit, so all of it is kept or nothing (R4 3.1.0.11.2).

The order of the standard (delete, create, update, read) is kept by what each step may see: criteria do not see what the
bundle deletes, references see what it writes, and reads come after the commit. When another writer comes between,
everything is worked out anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Protocol

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry, located
from server.fhir.bundle.identifying import Identified, identify
from server.fhir.collaborators import Keys
from server.fhir.identity import check_conditions
from server.fhir.json_form import Resource
from server.fhir.links import Links, Relinked, conditional_parts, finished, relink
from server.fhir.reading import Right, absent
from server.fhir.references import Named, check_unreferenced
from server.fhir.repository import Repository, changed
from server.fhir.resolving import Surroundings, resolve
from server.fhir.versions import ABSENT, Standing, standing_of
from server.fhir.writing import Act, Change, Prepared, same_content
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.ports import Delete, Put

_MOST_ISSUES = 100
_FEW = 20
"""Resources whose records are put together without leaving the event loop."""
INTERACTIONS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}

Perform = Callable[[Context, Entry], Awaitable[EntryAnswer]]
"""Carries out an entry that only reads, or an operation: the surface's own dispatch."""


Beside = Callable[[Sequence[Prepared]], Sequence[Put | Delete]]
"""Of many it is called in another thread."""


class PatchReader(Protocol):
    def __call__(self, resource: Resource) -> Callable[[Resource], Resource]:
        """The patch that a Parameters or Binary resource holds."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """An entry that writes, what stands of its resource, and its content with references replaced."""

    identified: Identified
    standing: Standing
    relinked: Relinked | None = None
    """`None` for a delete."""

    @property
    def change(self) -> Change:
        resource = self.relinked.resource if self.relinked else None
        return Change(*self.identified.named, resource, self.standing, self.identified.is_created)


def _is_read(entry: Entry) -> bool:
    return entry.method in ("GET", "HEAD")


class Transactions:
    def __init__(self, repository: Repository, patches: PatchReader) -> None:
        self._repository = repository
        self._patches = patches

    async def run(
        self,
        context: Context,
        entries: Sequence[Entry],
        perform: Perform,
        *,
        is_safe: Callable[[Entry], bool] = _is_read,
        beside: Beside | None = None,
        owner: str = "",
    ) -> list[EntryAnswer]:
        """An answer for each entry. A `Problem` that names the entry when a write fails; then nothing was written.

        `is_safe`: whether an entry that is no interaction with a resource leaves all as it is. Such entries come after
        the commit; those that no write concerns are tried before it too, so that a failure still undoes all. `beside`:
        given the versions about to be written, what goes into the same commit. `owner`: as of a `Change`.
        """
        writes = [each for each in entries if each.is_write]
        for each in entries:
            if not each.is_write and not is_safe(each):
                raise located(Problem(Kind.UNSUPPORTED, "A transaction carries out no such operation."), each)
        permitted: dict[tuple[str, str], Right] = {}
        for each in writes:
            asked = each.method, each.type
            if asked not in permitted:
                interaction = INTERACTIONS[each.method]
                permitted[asked] = await self._repository.reading.permitted(context, interaction, each.type)
        answers: dict[int, EntryAnswer] = {}
        if writes:
            await _rehearse(context, [each for each in entries if not each.is_write], _addresses(writes), perform)
            attempt = _Attempt(self._repository, self._patches, context, permitted, beside, owner)
            answers = await self._repository.retried(lambda: attempt.run(writes))
        for each in entries:
            if not each.is_write:
                answers[each.number] = await _performed(context, each, perform, raises=not writes)
        return [answers[each.number] for each in entries]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A transaction tried; each try reads everything anew."""

    repository: Repository
    patches: PatchReader
    context: Context
    permitted: Mapping[tuple[str, str], Right]
    beside: Beside | None
    owner: str

    async def run(self, entries: Sequence[Entry]) -> dict[int, EntryAnswer]:
        micros = self.repository.now()
        identities = await identify(self.context, self.repository, entries, micros)
        standings = await self._standings(identities.entries)
        read = await self.repository.offload.cpu(self._read_all, identities.entries, standings)
        steps = await self._resolved(read, micros)
        changing = await self.repository.offload.cpu(_changing, steps)
        prepared = await self._prepared(changing, micros)
        await self._check_references(changing, prepared)
        if prepared:
            is_short = len(prepared) <= _FEW
            acts = self._acts(prepared) if is_short else await self.repository.offload.cpu(self._acts, prepared)
            await self.repository.commit([*identities.guards, *acts])
        return await self.repository.offload.cpu(_answers, entries, identities.entries, standings, prepared)

    def _acts(self, prepared: Sequence[Prepared]) -> list[Act]:
        others = self.beside(prepared) if self.beside else ()
        told = self.repository.told(self.context, prepared)
        return [*(act for each in prepared for act in each.acts), *others, *told]

    async def _standings(self, found: Sequence[Identified]) -> dict[Named, Standing]:
        """What stands of everything written, under the conditions of the entries and what the actor may touch."""
        read = [each for each in found if each.writes and not each.is_created]
        standings = await standing_of(self.repository.records, [each.named for each in read])
        for each in read:
            right = self.permitted[each.entry.method, each.entry.type]
            standing = standings[each.named]
            try:
                if not right.is_whole:
                    await self.repository.reading.standing(
                        right, each.id, is_put=each.entry.method == "PUT", if_match=each.entry.if_match
                    )
                if standing.current is not None and each.entry.method != "DELETE":
                    await self.repository.reading.redaction.guard(self.context, standing.current)
                check_conditions(standing.version, each.entry.if_match, each.entry.if_none_match)
                if each.entry.method == "PATCH" and standing.current is None:
                    raise absent(standing, *each.named)
            except Problem as problem:
                raise located(problem, each.entry) from None
        return standings

    def _read_all(self, found: Sequence[Identified], standings: Mapping[Named, Standing]) -> list[_Step]:
        links = _links(found, standings)
        return [self._read(each, standings.get(each.named, ABSENT), links) for each in found if each.writes]

    def _read(self, each: Identified, standing: Standing, links: Links) -> _Step:
        resource = each.entry.resource
        if resource is None:
            return _Step(each, standing)
        try:
            if each.entry.method == "PATCH" and standing.current is not None:
                resource = changed(standing.current, self.patches(resource))
            return _Step(each, standing, relink(resource, links, _base(each.entry)))
        except Problem as problem:
            raise located(problem, each.entry) from None

    async def _resolved(self, steps: Sequence[_Step], micros: int) -> Sequence[_Step]:
        """The steps with their conditional references replaced as well."""
        asked = {text: step for step in steps if step.relinked for text in step.relinked.conditional}
        if not asked:
            return steps
        types = {conditional_parts(text)[0] for text in asked}
        around = await self.repository.offload.cpu(self._surroundings, steps, types, micros)
        found: dict[str, str] = {}
        for text, target in (await resolve(self.context, self.repository.searcher, asked, around)).items():
            if isinstance(target, Problem):
                raise located(target, asked[text].identified.entry)
            found[text] = target
        return await self.repository.offload.cpu(_finished, steps, found)

    def _surroundings(self, steps: Sequence[_Step], types: set[str], micros: int) -> Surroundings:
        written: dict[str, list[tuple[str, Keys]]] = {}
        for step in steps:
            resource_type, resource_id = step.identified.named
            if resource_type in types and step.relinked is not None:
                keys = self._keys_of({**step.relinked.resource, "id": resource_id}, micros)
                written.setdefault(resource_type, []).append((resource_id, keys))
        return Surroundings(written, frozenset(each.identified.named for each in steps))

    def _keys_of(self, resource: Resource, micros: int) -> Keys:
        """Nothing is checked yet: what cannot be indexed is matched by no criteria, and refused a little later."""
        try:
            return self.repository.writing.keys(resource, micros)
        except (AttributeError, KeyError, TypeError, ValueError):
            return {}

    async def _prepared(self, steps: Sequence[_Step], micros: int) -> list[Prepared]:
        made: list[Prepared] = []
        refused: list[Problem] = []
        outcomes = (
            await self.repository.writing.prepare([replace(each.change, owner=self.owner) for each in steps], micros)
            if steps
            else []
        )
        for step, outcome in zip(steps, outcomes, strict=True):
            entry = step.identified.entry
            if isinstance(outcome, Problem):
                refused.append(located(outcome, entry))
            else:
                await self.repository.check_outcome(self.permitted[entry.method, entry.type], outcome)
                made.append(outcome)
        if refused:
            raise _together(refused)
        return made

    async def _check_references(self, steps: Sequence[_Step], prepared: Sequence[Prepared]) -> None:
        if not self.repository.enforces_references:
            return
        gone = [step.identified.named for step in steps if step.relinked is None]
        written = {step.identified.named: each.keys for step, each in zip(steps, prepared, strict=True)}
        for step in steps:
            if step.relinked is not None:
                try:
                    others = set(written) - set(gone)
                    await self.repository.check_targets(self.context, [step.relinked.resource], others, set(gone))
                except Problem as problem:
                    raise located(problem, step.identified.entry) from None
        await check_unreferenced(self.repository.records, gone, dict(written))


async def _rehearse(context: Context, entries: Sequence[Entry], written: set[str], perform: Perform) -> None:
    """What asks for nothing that is written succeeds or fails now as it will after the commit."""
    for each in entries:
        if "/".join(each.url.partition("?")[0].split("/")[:2]) not in written:
            await _performed(context, each, perform, raises=True)


def _addresses(writes: Sequence[Entry]) -> set[str]:
    """`Type/id` wherever a write names one, in its URL or in what it carries."""
    named = ((each.type, each.id or (each.resource or {}).get("id")) for each in writes)
    return {f"{resource_type}/{resource_id}" for resource_type, resource_id in named if resource_id}


async def _performed(context: Context, entry: Entry, perform: Perform, *, raises: bool) -> EntryAnswer:
    try:
        return await perform(context, entry)
    except Problem as problem:
        if raises:
            raise located(problem, entry) from None
        return EntryAnswer(HTTPStatus.BAD_REQUEST, problem=located(problem, entry))


def _links(found: Sequence[Identified], standings: Mapping[Named, Standing]) -> Links:
    """What the names that entries give stand for; those of deletes name nothing."""
    targets: dict[str, str] = {}
    versions: dict[str, int] = {}
    for each in found:
        entry = each.entry
        if entry.method == "DELETE":
            continue
        sent = (entry.resource or {}).get("id") if entry.method != "PATCH" else None
        if isinstance(sent, str):
            targets[f"{entry.type}/{sent}"] = each.reference
        versions[each.reference] = (
            each.matched.version if each.matched else standings.get(each.named, ABSENT).next_version()
        )
    for each in found:
        if each.entry.method != "DELETE":
            targets[each.reference] = each.reference
            if each.entry.full_url is not None:
                targets[each.entry.full_url] = each.reference
    return Links(targets, versions, is_closed=True)


def _base(entry: Entry) -> str:
    """The service an entry was copied from, by which its relative references are meant."""
    if entry.full_url is None or not entry.full_url.startswith(("http://", "https://")):
        return ""
    return entry.full_url.rsplit("/", 2)[0]


def _finished(steps: Sequence[_Step], conditional: Mapping[str, str]) -> list[_Step]:
    return [
        replace(step, relinked=finished(step.relinked, conditional))
        if step.relinked and step.relinked.conditional
        else step
        for step in steps
    ]


def _changing(steps: Sequence[_Step]) -> list[_Step]:
    """Those that change something. A version that another entry refers to is made in any case."""
    versioned = {target for step in steps if step.relinked for target in step.relinked.versioned}
    return [
        step
        for step in steps
        if (step.standing.current if step.relinked is None else True)
        and (step.identified.reference in versioned or not same_content(step.change))
    ]


def _answers(
    entries: Sequence[Entry],
    found: Sequence[Identified],
    standings: Mapping[Named, Standing],
    prepared: Sequence[Prepared],
) -> dict[int, EntryAnswer]:
    versions = {(each.change.type, each.change.id): each.stored for each in prepared}
    answers = {each.number: EntryAnswer(HTTPStatus.NO_CONTENT) for each in entries}
    for each in found:
        standing = standings.get(each.named, ABSENT)
        stored = versions.get(each.named) or each.matched or standing.last
        if each.entry.method == "DELETE":
            status = HTTPStatus.NO_CONTENT
        else:
            status = HTTPStatus.CREATED if each.writes and standing.current is None else HTTPStatus.OK
        answers[each.entry.number] = EntryAnswer(status, stored)
    return answers


def _together(refused: Sequence[Problem]) -> Problem:
    first = refused[0]
    return Problem(first.kind, first.text, tuple(issue for each in refused for issue in each.issues)[:_MOST_ISSUES])
