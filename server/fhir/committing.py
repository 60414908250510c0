"""What every write comes to: a change checked, prepared and committed, tried again when another came between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from server.access.decision import AccessPoint
from server.access.facets import NUMBER
from server.audit.acts import FEEDS
from server.audit.writes import UNRECORDED, Deed, Writes
from server.fhir.collaborators import Keys, Redaction, Searcher
from server.fhir.conditional import Criteria, Matched, match
from server.fhir.json_form import Resource, reread
from server.fhir.links import NO_LINKS, Links, relink
from server.fhir.reading import Reading, Right, not_storable
from server.fhir.references import Named, check_targets, check_unreferenced
from server.fhir.resolving import resolve
from server.fhir.stored import Stored, collection, micros_of
from server.fhir.subscriptions.owner import owned
from server.fhir.writing import Act, Change, Prepared, Writing, is_light, same_content
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.errors import VersionConflict
from storage.ports import Records
from storage.query import EVERYTHING, All, OneOf, Predicate, matches

ATTEMPTS = 12
"""How often a write that met another one is tried before the client is told to come again."""

T = TypeVar("T")


class Status(StrEnum):
    """What became of a write."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    MATCHED = "matched"
    """A conditional create found what it would have made."""


@dataclass(frozen=True, slots=True)
class Written:
    stored: Stored
    status: Status


class Committing:
    """The part of the repository that transactions share."""

    def __init__(
        self,
        records: Records,
        access: AccessPoint,
        clock: Clock,
        offload: Offload,
        writing: Writing,
        searcher: Searcher,
        *,
        enforces_references: bool = False,
        most_deleted: int = 0,
        committed: Callable[[Sequence[Act]], None] | None = None,
        writes: Writes = UNRECORDED,
        redaction: Redaction | None = None,
    ) -> None:
        """`most_deleted`: how many resources one conditional delete may remove; 0 allows one match only.

        `committed` is told of every commit before the writer is answered. `writes` gives the events that go into it.
        """
        self._writes = writes
        self._committed = committed
        self.records = records
        self.reading = Reading(records, access, offload, writing.keys, redaction)
        self.searcher = searcher
        self.writing = writing
        self.offload = offload
        self.enforces_references = enforces_references
        self.most_deleted = most_deleted
        self._clock = clock

    def now(self) -> int:
        return micros_of(self._clock.now())

    async def match(self, context: Context, criteria: Criteria, at_most: int = 2) -> Matched:
        return await match(context, self.records, self.searcher, criteria, at_most)

    async def commit(self, acts: Sequence[Act]) -> None:
        try:
            await self.records.commit(acts)
        except ValueError as error:
            raise Problem(Kind.TOO_LARGE, "The resource is larger than the store can hold.") from error
        if self._committed is not None:
            self._committed(acts)

    def told(self, context: Context, prepared: Sequence[Prepared], interaction: str = "") -> tuple[Act, ...]:
        """What goes into the commit of these changes beside them: their events, and whose a Subscription is."""
        events = self._writes.acts(context, [_deed(each, interaction, context.trail.act) for each in prepared])
        return (*events, *owned(context, [each.stored for each in prepared]))

    async def retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Again, as long as another writer comes between."""
        for number in range(ATTEMPTS):
            try:
                return await attempt()
            except VersionConflict:
                await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(number, 6)))  # noqa: S311
        raise Problem(Kind.BUSY, "Too many senders are changing the same resource at once.", retry_after=1)

    async def linked(self, context: Context, resource: Resource) -> Resource:
        """The resource with its conditional references resolved."""
        relinked = await self.at_length(resource, relink, resource, NO_LINKS)
        if not relinked.conditional:
            return resource
        found: dict[str, str] = {}
        for text, target in (await resolve(context, self.searcher, relinked.conditional)).items():
            if isinstance(target, Problem):
                raise target
            found[text] = target
        return (await self.at_length(resource, relink, resource, Links(conditional=found))).resource

    async def at_length(self, resource: Resource | None, work: Callable[..., T], *args: Any) -> T:
        """Work on a resource, here where it is short."""
        return work(*args) if is_light(resource) else await self.offload.cpu(work, *args)

    async def write(
        self, right: Right, change: Change, micros: int, acts: tuple[Act, ...] = (), interaction: str = ""
    ) -> Written:
        if change.standing.current is not None:
            await self.reading.redaction.guard(right.context, change.standing.current)
        if change.resource is not None:
            change = replace(change, resource=await self.linked(right.context, change.resource))
        is_same = await self.at_length(change.resource, same_content, change)
        if is_same and change.standing.current is not None:
            return Written(change.standing.current, Status.UNCHANGED)
        [prepared] = await self.writing.prepare([change], micros)
        if isinstance(prepared, Problem):
            raise prepared
        await self.check_outcome(right, prepared)
        if self.enforces_references and change.resource is not None:
            await self.check_targets(right.context, [change.resource], {(change.type, change.id)}, set())
        await self.commit((*acts, *prepared.acts, *self.told(right.context, [prepared], interaction)))
        return Written(prepared.stored, Status.UPDATED if change.standing.current else Status.CREATED)

    async def delete_all(self, context: Context, changes: Sequence[Change], acts: tuple[Act, ...] = ()) -> list[Stored]:
        """The deletions, committed; none of them where a rule refuses one."""
        made: list[Prepared] = []
        for each in await self.writing.prepare(changes, self.now()):
            if isinstance(each, Problem):
                raise each
            made.append(each)
        if self.enforces_references:
            named = [(each.type, each.id) for each in changes]
            await check_unreferenced(self.records, named, dict.fromkeys(named))
        await self.commit((*acts, *(act for each in made for act in each.acts), *self.told(context, made)))
        return [each.stored for each in made]

    async def check_targets(
        self, context: Context, resources: Sequence[Resource], written: set[Named], gone: set[Named]
    ) -> None:
        """Every target is there, as far as the actor may see: a reference is no way to find out what is hidden."""

        async def visible(resource_type: str, ids: Collection[str]) -> frozenset[str]:
            return await self.reading.visible(context, resource_type, ids)

        await check_targets(visible, resources, written, gone)

    async def check_outcome(self, right: Right, prepared: Prepared) -> None:
        """What may be changed by rule must still fall under the rule afterwards."""
        outcome = await self.reading.access.outcome(right.context, right.interaction, right.type)
        if outcome == EVERYTHING or not prepared.keys:
            return
        if not matches(outcome, prepared.keys):
            right.context.trail.refuse("the result is not among what this actor may write")
            raise not_storable()
        if right.type == "Patient":
            await self._check_links(right, outcome, prepared)
        if await self.reading.access.limits(right.context, right.interaction, right.type) is not None:
            self._check_identity(prepared)

    async def _check_links(self, right: Right, outcome: Predicate, prepared: Prepared) -> None:
        """Consents of one Patient speak for those it links to, so only who may change these too says they are one."""
        current = prepared.change.standing.current
        added = _linked(prepared.keys)
        if added and current is not None:
            added -= _linked(self.writing.keys(reread(current.body), 0))
        if not added:
            return
        theirs = All((OneOf("_id", tuple(sorted(added))), outcome))
        if added - set(await self.records.values(collection("Patient"), "_id", theirs, at_most=len(added))):
            right.context.trail.refuse("a link to a Patient that is not among what this actor may write")
            raise Problem(Kind.FORBIDDEN, "A link to a Patient that may not be changed by who sent it.")

    def _check_identity(self, prepared: Prepared) -> None:
        """Who may act for some patients only does not say which images are theirs."""
        current = prepared.change.standing.current
        before = self.writing.keys(reread(current.body), 0).get(NUMBER) if current else None
        if prepared.change.type == "ImagingStudy" or before != prepared.keys.get(NUMBER):
            raise Problem(
                Kind.FORBIDDEN, "Which studies and numbers are a patient's may not be changed by who sent it."
            )


def _linked(keys: Keys) -> set[str]:
    """Logical ids of the Patients that a Patient names as the same person."""
    named = (str(each).partition("/_history/")[0] for each in keys.get("link", ()))
    return {each.removeprefix("Patient/") for each in named if each.startswith("Patient/")}


def _deed(prepared: Prepared, interaction: str, act: str) -> Deed:
    stored = prepared.stored
    if stored.is_deleted:
        interaction = "delete"
    elif act in FEEDS and stored.type == "Patient":
        interaction = act
    elif not interaction:
        interaction = "update" if prepared.change.standing.current else "create"
    return Deed(interaction, stored.versioned, stored.patients)
