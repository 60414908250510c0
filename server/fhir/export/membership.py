"""Which resources an export holds: those of its level, of its span of time and of its filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from profiles.definitions import definitions
from server.access.decision import AccessPoint
from server.fhir import json_form
from server.fhir.collaborators import Searcher
from server.fhir.export.job import Job
from server.fhir.export.request import Filter, Level
from server.fhir.stored import collection, from_record
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import All, Any, Between, OneOf, Predicate

_MOST_MEMBERS = 10_000
_DEPTH = 8
"""Groups within groups."""


Compartment: TypeAlias = Callable[[str, Sequence[str] | None], Predicate | None]
"""By which predicate a resource of a type belongs to one of these patients; `None` for a type that cannot."""


class Membership:
    """Predicates over the keys of current resources, one for each type of a job."""

    def __init__(self, records: Records, access: AccessPoint, searcher: Searcher, compartment: Compartment) -> None:
        self._records = records
        self._access = access
        self._searcher = searcher
        self._compartment = compartment

    async def predicates(self, context: Context, job: Job) -> Mapping[str, Predicate]:
        """By resource type what belongs to the job, whenever it was stored; a type that cannot is left out."""
        request = job.request
        patients = await self._patients(context, job)
        found: dict[str, Predicate] = {}
        for each in request.types or definitions().resource_types:
            inside = self._inside(each, request.level, patients)
            if inside is not None:
                allowed = await self._access.constrain(context, "search", each)
                chosen = await self._chosen(context, each, request.filters)
                found[each] = All((inside, allowed, chosen))
        return found

    async def check(self, context: Context, filters: Sequence[Filter]) -> None:
        """A `Problem` for a filter whose criteria cannot be read: better at the kick-off than in a failed job."""
        for each in filters:
            await self._searcher.predicate(context, each.type, each.pairs)

    def _inside(self, resource_type: str, level: Level, patients: Sequence[str] | None) -> Predicate | None:
        if level is Level.SYSTEM:
            return All(())
        return self._compartment(resource_type, patients)

    async def _chosen(self, context: Context, resource_type: str, filters: Sequence[Filter]) -> Predicate:
        """Some filter of the type holds; where there is none, all do."""
        about = [each for each in filters if each.type == resource_type]
        if not about:
            return All(())
        return Any(tuple([await self._searcher.predicate(context, resource_type, each.pairs) for each in about]))

    async def _patients(self, context: Context, job: Job) -> Sequence[str] | None:
        """The patients of the level, `None` for all."""
        request = job.request
        if request.level is not Level.GROUP:
            return request.patients or None
        members = await self.members(context, request.group or "")
        return [each for each in members if each in request.patients] if request.patients else members

    async def members(self, context: Context, group: str) -> list[str]:
        """Ids of the patients in a group and in the groups it holds; not-found where there is no such group."""
        found: dict[str, None] = {}
        pending, seen = [group], {group}
        for _ in range(_DEPTH):
            groups = await self._groups(context, pending)
            if len(groups) < len(pending) and group in pending:
                raise Problem(Kind.NOT_FOUND, "There is no such group.")
            references = [each for members in groups for each in members]
            found.update((each[1], None) for each in references if each[0] == "Patient")
            pending = [each[1] for each in references if each[0] == "Group" and each[1] not in seen]
            seen.update(pending)
            if not pending:
                break
        if len(found) > _MOST_MEMBERS:
            raise Problem(Kind.TOO_LARGE, f"The group has more than {_MOST_MEMBERS} patients.")
        return list(found)

    async def _groups(self, context: Context, ids: Sequence[str]) -> list[list[tuple[str, str]]]:
        allowed = await self._access.constrain(context, "read", "Group")
        asked = All((allowed, OneOf("_id", tuple(ids))))
        page = await self._records.find(collection("Group"), asked, limit=len(ids))
        bodies = [json_form.decode(from_record("Group", each).body) for each in page.records]
        return [_members(each) for each in bodies]


def in_span(job: Job) -> Predicate:
    """Stored in the span of time that a job is about."""
    since = job.request.since
    return Between("_lastUpdated", None if since is None else since + 1, job.time)


def _members(group: json_form.Resource) -> list[tuple[str, str]]:
    """Type and id of each member that is one now."""
    found = []
    for member in group.get("member", ()):
        reference = member.get("entity", {}).get("reference", "")
        resource_type, _, resource_id = reference.partition("/")
        if resource_id and not member.get("inactive", False):
            found.append((resource_type, resource_id.partition("/")[0]))
    return found
