"""One version of a resource on its way into the records: id and meta set, checked, encoded, indexed, made into acts.

What is small stays on the event loop, where a hop to a thread and back would cost more than the work; the rest is done
in one hop for all resources of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

import msgspec

from server.access.facets import LEVEL, PATIENT
from server.fhir.collaborators import Indexer, Keys, Validation
from server.fhir.json_form import Resource, encode, malformed, reread
from server.fhir.references import REFERENCES, local_targets
from server.fhir.stored import DELETED, HISTORY, MOST_PATIENTS, Stored, collection, instant_text
from server.fhir.versions import Standing
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from storage.ports import Delete, Put

Act: TypeAlias = Put | Delete
Ruling: TypeAlias = Problem | tuple[Act, ...]
"""Why a change is refused, or what goes into its commit so that the reasons for letting it pass still hold then."""

AT = "at"
"""Key of every history record: `lastUpdated` in microseconds; a second key of that value has the type for its name."""
_ON_LOOP = 1 << 14
"""Weight of a resource that is worked on without leaving the event loop: about so many bytes of JSON."""

_in_order = msgspec.json.Encoder(decimal_format="number", order="deterministic")
_instant = lru_cache(maxsize=64)(instant_text)


@dataclass(frozen=True, slots=True)
class Change:
    """What shall become of a resource: its new content, `None` to delete it, and what was read of it before."""

    type: str
    id: str
    resource: Resource | None
    standing: Standing
    is_created: bool = False
    """By a create, where the server chose the id."""
    owner: str = ""
    """A part of the server that writes what it derives; whatever comes over REST has none."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A version with id and meta, not yet checked."""

    change: Change
    stored: Stored
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version ready to be committed; `keys` are empty for a deletion."""

    change: Change
    stored: Stored
    keys: Keys
    acts: tuple[Act, ...]


class Rules(Protocol):
    """What changes must fulfil besides being valid: something of what stood before them, or of what stands beside."""

    types: frozenset[str]
    """Types the rules are about; nothing else is shown to them."""

    async def check(self, changes: Sequence[Change]) -> Sequence[Ruling]:
        """Valid changes, all those of one commit together; deletions too."""
        ...


class NoRules:
    types: frozenset[str] = frozenset()

    async def check(self, changes: Sequence[Change]) -> Sequence[Ruling]:
        return [()] * len(changes)


def stamped(resource: Resource, resource_id: str, version: int, micros: int) -> Resource:
    """The resource with id, versionId and lastUpdated, in their place; where they had none, behind resourceType."""
    given = resource.get("meta", {})
    if not isinstance(given, dict):
        raise malformed("meta is not an object.", f"{resource['resourceType']}.meta")
    meta = {"versionId": str(version), "lastUpdated": _instant(micros)}
    if given:
        meta = {**given, **meta} if "versionId" in given else {**meta, **given, **meta}
    if "meta" in resource and "id" in resource:
        return {**resource, "id": resource_id, "meta": meta}
    made: Resource = {}
    for name, value in resource.items():
        made[name] = value
        if name == "id" or (name == "resourceType" and "id" not in resource):
            made["id"] = resource_id
            if "meta" not in resource:
                made["meta"] = meta
    if "meta" in resource:
        made["meta"] = meta
    return made


def draft(change: Change, micros: int) -> Draft:
    version, moment = change.standing.next_version(), change.standing.next_moment(micros)
    if change.resource is None:
        patients = change.standing.last.patients if change.standing.last else ()
        return Draft(change, Stored(change.type, change.id, version, moment, b"", False, patients), None)
    resource = stamped(change.resource, change.id, version, moment)
    stored = Stored(change.type, change.id, version, moment, encode(resource), change.is_created)
    return Draft(change, stored, resource)


class Writing:
    """Makes changes ready; commits nothing."""

    def __init__(
        self,
        offload: Offload,
        validation: Validation,
        indexer: Indexer,
        rules: Rules | None = None,
        *,
        keeps_references: bool = False,
    ) -> None:
        self._offload = offload
        self._validation = validation
        self._indexer = indexer
        self._rules = rules or NoRules()
        self._keeps_references = keeps_references

    async def prepare(self, changes: Sequence[Change], micros: int) -> list[Prepared | Problem]:
        """Each change ready to be committed, or why it is refused."""
        on_loop = len(changes) == 1 and is_light(changes[0].resource)
        if on_loop:
            drafts = [draft(changes[0], micros)]
        else:
            drafts = await self._offload.cpu(_drafts, changes, micros)
        judged = list(zip(drafts, await self._judged(drafts), strict=True))
        if on_loop:
            return self._indexed(judged)
        return await self._offload.cpu(self._indexed, judged)

    async def _judged(self, drafts: Sequence[Draft]) -> list[Ruling]:
        whole = [each.resource for each in drafts if each.resource is not None]
        problems = iter(await self._validation.check_all(whole) if whole else ())
        judged: list[Ruling] = [next(problems) or () if each.resource is not None else () for each in drafts]
        types = self._rules.types
        places = [n for n, each in enumerate(drafts) if each.change.type in types and judged[n] == ()]
        if places:
            rulings = await self._rules.check([drafts[n].change for n in places])
            for n, ruling in zip(places, rulings, strict=True):
                judged[n] = ruling
        return judged

    def _indexed(self, judged: Sequence[tuple[Draft, Ruling]]) -> list[Prepared | Problem]:
        return [ruling if isinstance(ruling, Problem) else self._ready(each, ruling) for each, ruling in judged]

    def _ready(self, each: Draft, others: tuple[Act, ...]) -> Prepared:
        if each.resource is None:
            return Prepared(each.change, each.stored, {}, (*_deletion(each.change, each.stored), *others))
        keys = self.keys(each.resource, each.stored.last_updated)
        stored = told(each.stored, keys)
        return Prepared(each.change, stored, keys, (*_version(each.change, stored, keys), *others))

    def keys(self, resource: Resource, micros: int) -> Keys:
        """What a current version is found by; those who index anew ask here too."""
        keys = self._indexer.keys(resource, micros)
        if self._keeps_references and (targets := local_targets(resource)):
            return {**keys, REFERENCES: frozenset(f"{kind}/{name}" for kind, name in targets)}
        return keys


def told(stored: Stored, keys: Keys) -> Stored:
    """With what its line tells of whose it is and how confidential."""
    patients = sorted(map(str, keys.get(PATIENT, ())))[:MOST_PATIENTS]
    level = next((int(each) for each in keys.get(LEVEL, ())), None)
    return stored._replace(patients=tuple(patients), level=level)


def is_light(resource: Resource | None) -> bool:
    """Whether encoding and indexing take less time than leaving the event loop does."""
    weight = 0
    pending: list[Any] = [resource or {}]
    while pending:
        each = pending.pop()
        for value in each.values() if type(each) is dict else each:
            weight += 16
            if type(value) is str:
                weight += len(value)
            elif type(value) in (dict, list):
                pending.append(value)
        if weight > _ON_LOOP:
            return False
    return True


def same_content(change: Change) -> bool:
    """Whether the change would write what is there already, meta.versionId and lastUpdated apart.

    Numbers are compared digit by digit, so 1.10 for 1.1 is a change; the order of members is not.
    """
    current = change.standing.current
    if current is None or change.resource is None:
        return False
    as_now = stamped(change.resource, change.id, current.version, current.last_updated)
    body = encode(as_now)
    if len(body) != len(current.body):
        return False
    return body == current.body or _in_order.encode(as_now) == _in_order.encode(reread(current.body))


def _drafts(changes: Sequence[Change], micros: int) -> list[Draft]:
    return [draft(each, micros) for each in changes]


def _version(change: Change, stored: Stored, keys: Keys) -> tuple[Act, ...]:
    body = stored.record_body()
    standing = change.standing
    current = Put(collection(stored.type), stored.id, body, keys, standing.lock)
    if standing.deletion_lock:
        return current, _history(stored, body), Delete(DELETED, stored.reference, standing.deletion_lock)
    return current, _history(stored, body)


def _deletion(change: Change, stored: Stored) -> tuple[Act, ...]:
    body = stored.record_body()
    return (
        Delete(collection(stored.type), stored.id, change.standing.lock),
        _history(stored, body),
        Put(DELETED, stored.reference, body, expected=0),
    )


def _history(stored: Stored, body: bytes) -> Put:
    moment = frozenset((stored.last_updated,))
    return Put(HISTORY, stored.versioned.replace("/_history/", "/"), body, {AT: moment, stored.type: moment}, 0)
