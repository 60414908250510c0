"""What every change of the registry comes to: records, the resources derived from them and events, in one commit.

The FHIR transaction is the outer frame, because the records carry the access keys that it works out. It tries again by
itself when another writer comes between; but then what was planned from the registry's records may be wrong, so the
second try ends with `Overtaken`, and whoever planned plans anew.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from server.audit.writes import Deed, Writes
from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry
from server.fhir.bundle.transaction import Transactions
from server.fhir.json_form import Resource
from server.fhir.repository import Repository
from server.fhir.writing import Prepared
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.xds import derived
from server.xds.bppc import Acknowledgements, consent_id, is_acknowledgement
from server.xds.derived import Kept
from server.xds.ebxml_writing import write_object
from server.xds.errors import ErrorCode, refused
from server.xds.keys import bare, collection_of, keys_of
from server.xds.metadata import DocumentEntry, RegistryObject
from server.xds.stored import Shelf
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records
from storage.query import EVERYTHING, NOTHING, Keys, Predicate, matches

OWNER = "registry"
"""Who writes the derived resources."""
ATTEMPTS = 12
_FEW = 4
ACTOR = Actor("registry", "document registry", (Grant(INTERACTIONS),), frozenset({SERVER}))

T = TypeVar("T")


class Overtaken(Exception):
    """Another writer came between; nothing was written."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An object to be removed, and the version of its record."""

    object: RegistryObject
    lock: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """All that one act does to the registry."""

    kept: tuple[Kept, ...] = ()
    gone: tuple[Gone, ...] = ()
    acts: tuple[Put | Delete, ...] = ()
    """Guards, and what else goes into the commit; of several on one record the first counts."""
    deeds: tuple[Deed, ...] = ()
    allowed: Predicate = EVERYTHING
    """What new objects must fulfil, by the keys of their resources."""


def united(changes: Sequence[Change], acts: Sequence[Put | Delete]) -> Change:
    """Changes of different objects as one, with more for the commit; what is allowed is the same for all."""
    return Change(
        kept=tuple(kept for each in changes for kept in each.kept),
        gone=tuple(gone for each in changes for gone in each.gone),
        acts=(*(act for each in changes for act in each.acts), *acts),
        deeds=tuple(deed for each in changes for deed in each.deeds),
        allowed=changes[0].allowed,
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """The record of an object but for the access keys."""

    kept: Kept
    body: bytes
    keys: Keys
    resource: Resource | None

    def put(self, access: Keys) -> Put:
        collection, name = collection_of(self.kept.object), next(iter(self.keys["_id"]))
        return Put(collection, str(name), self.body, {**self.keys, **access}, self.kept.lock)


@dataclass(frozen=True, slots=True)
class Committer:
    """`base`: URL of the FHIR service."""

    repository: Repository
    transactions: Transactions
    writes: Writes
    base: str
    acknowledgements: Acknowledgements = field(default_factory=Acknowledgements)

    @property
    def records(self) -> Records:
        return self.repository.records

    async def commit(self, context: Context, change: Change) -> None:
        """`Overtaken` when an expectation of its records failed."""
        offload = self.repository.offload
        held, weight = await self._held(change.kept), len(change.kept) + len(change.gone)
        drafts = (
            _drafted(change, self.base, held)
            if weight <= _FEW
            else await offload.cpu(_drafted, change, self.base, held)
        )
        once = _Once(self, context, change, drafts)
        own = Context(ACTOR, context.request_id, peer=context.peer)
        try:
            entries = _entries(change, drafts)
            entries += await self._consents(context, change, len(entries))
            await self.transactions.run(own, entries, _never, beside=once.acts, owner=OWNER)
        except Problem as problem:
            raise _told(problem) from problem
        # What long changes leave behind is freed in pieces, with a turn for others between them.
        await asyncio.sleep(0)

    async def _held(self, kept: Sequence[Kept]) -> dict[str, DocumentEntry]:
        """What submission sets and folders hold, by reference."""
        changed = [each.object for each in kept if isinstance(each.object, DocumentEntry)]
        found = {derived.reference(each): each for each in changed}
        wanted = {name for each in kept for name in each.members} - found.keys()
        others = [name.partition("/")[2] for name in wanted if name.startswith("DocumentReference/")]
        stored = await Shelf(self.records, self.repository.offload).documents(others)
        return found | {derived.reference(each.object): each.object for each in stored.values()}

    async def _consents(self, context: Context, change: Change, first: int) -> list[Entry]:
        """What documents of this change say as consents, as far as its sender may speak of these; numbered on."""
        made = self.acknowledgements.consents(change.kept)
        gone = [each.object for each in change.gone if isinstance(each.object, DocumentEntry)]
        ended = [each for each in gone if is_acknowledgement(each)]
        if not made and not ended:
            return []
        access = self.repository.reading.access
        right = await access.constrain(context, "create", "Consent")
        kept = [each for each in made if matches(right, self.repository.writing.keys(each, 0))]
        entries = [derived.put(number, each) for number, each in enumerate(kept, first)]
        if ended and await access.constrain(context, "delete", "Consent") != NOTHING:
            first += len(entries)
            entries += [derived.deletion(n, "Consent", consent_id(each)) for n, each in enumerate(ended, first)]
        return entries


@dataclass(slots=True)
class _Once:
    """Gives the acts of a change to the first try at committing it."""

    committer: Committer
    context: Context
    change: Change
    drafts: Sequence[_Draft]
    is_given: bool = field(default=False)

    def acts(self, prepared: Sequence[Prepared]) -> list[Put | Delete]:
        if self.is_given:
            raise Overtaken
        self.is_given = True
        known = {each.stored.reference: each.keys for each in prepared}
        change = self.change
        acts: dict[tuple[str, str], Put | Delete] = {(each.collection, each.id): each for each in reversed(change.acts)}
        for draft in self.drafts:
            put = draft.put(self._access(draft, known))
            acts[put.collection, put.id] = put
        for each in change.gone:
            name = bare(each.object.id)
            acts[collection_of(each.object), name] = Delete(collection_of(each.object), name, each.lock)
        return [*acts.values(), *self.committer.writes.acts(self.context, change.deeds)]

    def _access(self, draft: _Draft, known: Mapping[str, Keys]) -> Keys:
        """The access keys; a resource that stays as it is was not prepared, so its keys are worked out here."""
        if draft.resource is None:
            return {}
        keys = known.get(derived.reference(draft.kept.object))
        if keys is None:
            keys = self.committer.repository.writing.keys(draft.resource, 0)
        self._judge(draft, keys)
        return {name: values for name, values in keys.items() if name.startswith("@")}

    def _judge(self, draft: _Draft, keys: Keys) -> None:
        """Documents as such; a submission without any by its set and folders."""
        allowed, made = self.change.allowed, draft.kept.object
        if not draft.kept.is_new or allowed == EVERYTHING or matches(allowed, keys):
            return
        if isinstance(made, DocumentEntry) or not any(
            isinstance(each.kept.object, DocumentEntry) for each in self.drafts
        ):
            self.context.trail.refuse("the document is not among what this actor may register")
            raise Problem(Kind.FORBIDDEN, "This may not be registered by who sent it.")


def _drafted(change: Change, base: str, held: Mapping[str, DocumentEntry]) -> list[_Draft]:
    return [
        _Draft(each, write_object(each.object), keys_of(each.object, each.patient), derived.resource(each, base, held))
        for each in change.kept
    ]


def _entries(change: Change, drafts: Sequence[_Draft]) -> list[Entry]:
    entries: list[Entry] = []
    for draft in drafts:
        if draft.resource is not None:
            entries.append(derived.put(len(entries), draft.resource))
    for each in change.gone:
        if kind := derived.resource_type(each.object):
            entries.append(derived.deletion(len(entries), kind, bare(each.object.id)))
    return entries


def _told(problem: Problem) -> Problem:
    """A problem of the FHIR side, whose issue codes are not the registry's."""
    known = {str(each) for each in ErrorCode}
    if all(each.code in known for each in problem.issues):
        return problem
    return Problem(problem.kind, problem.text, retry_after=problem.retry_after)


async def replanned(records: Records, beside: Sequence[Put | Delete], attempt: Callable[[], Awaitable[T]]) -> T:
    """`attempt` again as long as another writer comes between, a bounded number of times.

    `beside`: records of the caller's, which no new plan can mend: `VersionConflict` when one is not as expected.
    """
    for number in range(ATTEMPTS):
        try:
            return await attempt()
        except Overtaken:
            await _check(records, beside)
            await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(number, 6)))  # noqa: S311
    raise refused(ErrorCode.REGISTRY_BUSY, "Too many senders are changing the same objects at once.", kind=Kind.BUSY)


async def _check(records: Records, beside: Sequence[Put | Delete]) -> None:
    for collection in {each.collection for each in beside}:
        expected = {each.id: each.expected for each in beside if each.collection == collection}
        found = {each.id: each.version for each in await records.get(collection, list(expected))}
        for name, version in expected.items():
            if version is not None and found.get(name, 0) != version:
                raise VersionConflict(collection, name)


async def _never(_: Context, entry: Entry) -> EntryAnswer:
    raise Problem(Kind.FAULT, f"The registry reads nothing within a transaction: {entry.location}.")
