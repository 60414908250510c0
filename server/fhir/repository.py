"""The repository: every interaction with one resource, conditional ones too, each one commit (FHIR R4 3.1.0).

A write reads what stands, makes the next version and commits it on the condition that nothing changed meanwhile. When
something did, it starts again, so a client without conditions of its own never hears of a race; one that sent If-Match
meets its condition anew, and fails.
"""

from __future__ import annotations

from collections.abc import Callable

from server.fhir.committing import Committing, Status, Written
from server.fhir.conditional import parse_criteria
from server.fhir.identity import check_conditions, check_id, new_id
from server.fhir.json_form import Resource, malformed, reread
from server.fhir.patched import check_patched
from server.fhir.reading import Right, absent
from server.fhir.stored import Stored, collection
from server.fhir.versions import ABSENT, Standing
from server.fhir.writing import Act, Change
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.errors import VersionConflict


class Repository(Committing):
    """Resources by type and id."""

    async def read(self, context: Context, resource_type: str, resource_id: str) -> Stored:
        """The current version; `GONE` where it is deleted, `NOT_FOUND` where it never was."""
        return await self.reading.read(context, resource_type, resource_id)

    async def vread(self, context: Context, resource_type: str, resource_id: str, version: str) -> Stored:
        """One version; `GONE` where that is a deletion."""
        return await self.reading.vread(context, resource_type, resource_id, version)

    async def create(
        self, context: Context, resource_type: str, resource: Resource, if_none_exist: str | None = None
    ) -> Written:
        """A new resource under an id of the server's; with criteria only where nothing matches them."""
        check_type(resource_type, resource)
        right = await self.reading.permitted(context, "create", resource_type)
        criteria = None if if_none_exist is None else parse_criteria(resource_type, if_none_exist)

        async def attempt() -> Written:
            acts: tuple[Act, ...] = ()
            if criteria is not None:
                matched = await self.match(context, criteria)
                if matched.only is not None:
                    context.trail.add(matched.only.versioned, matched.only.patients, "matched")
                    return Written(matched.only, Status.MATCHED)
                acts = (matched.guard,)
            micros = self.now()
            change = Change(resource_type, new_id(micros), resource, ABSENT, is_created=True)
            return await self.write(right, change, micros, acts)

        return await self.retried(attempt)

    async def update(
        self,
        context: Context,
        resource_type: str,
        resource_id: str,
        resource: Resource,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Written:
        """The resource under this id becomes what was sent; where there was none, or a deleted one, it is created."""
        check_type(resource_type, resource)
        check_own_id(resource, resource_id)
        right = await self.reading.permitted(context, "update", resource_type)

        async def attempt() -> Written:
            found = await self.reading.standing(right, resource_id, is_put=True, if_match=if_match)
            check_conditions(found.version, if_match, if_none_match)
            return await self.write(right, Change(resource_type, resource_id, resource, found), self.now())

        return await self.retried(attempt)

    async def update_matching(
        self,
        context: Context,
        resource_type: str,
        query: str,
        resource: Resource,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Written:
        """Conditional update: the one match is updated; where there is none the resource is created."""
        check_type(resource_type, resource)
        criteria = parse_criteria(resource_type, query)
        right = await self.reading.permitted(context, "update", resource_type)

        async def attempt() -> Written:
            matched = await self.match(context, criteria)
            micros = self.now()
            change = await self._conditional_change(right, matched.only, resource, micros)
            check_conditions(change.standing.version, if_match, if_none_match)
            return await self.write(right, change, micros, (matched.guard,))

        return await self.retried(attempt)

    async def patch(
        self,
        context: Context,
        resource_type: str,
        resource_id: str,
        change: Callable[[Resource], Resource],
        if_match: str | None = None,
    ) -> Written:
        """The current version changed; `change` is run in a worker thread and gives a new resource."""
        right = await self.reading.permitted(context, "update", resource_type)

        async def attempt() -> Written:
            found = await self.reading.standing(right, resource_id)
            return await self._patch(right, resource_id, found, change, if_match)

        return await self.retried(attempt)

    async def patch_matching(
        self,
        context: Context,
        resource_type: str,
        query: str,
        change: Callable[[Resource], Resource],
        if_match: str | None = None,
    ) -> Written:
        """Conditional patch: `NOT_FOUND` where nothing matches."""
        criteria = parse_criteria(resource_type, query)
        right = await self.reading.permitted(context, "update", resource_type)

        async def attempt() -> Written:
            only = (await self.match(context, criteria)).only
            if only is None:
                raise Problem(Kind.NOT_FOUND, f"No {resource_type} matches the criteria.")
            found = await self.reading.standing(right, only.id)
            return await self._patch(right, only.id, found, change, if_match)

        return await self.retried(attempt)

    async def delete(
        self, context: Context, resource_type: str, resource_id: str, if_match: str | None = None
    ) -> Stored | None:
        """The deletion, whether of now or of before; `None` where there never was such a resource."""
        right = await self.reading.permitted(context, "delete", resource_type)

        async def attempt() -> Stored | None:
            found = await self.reading.standing(right, resource_id)
            check_conditions(found.version, if_match, None)
            if found.current is None:
                return found.deletion
            [deletion] = await self.delete_all(context, [Change(resource_type, resource_id, None, found)])
            return deletion

        return await self.retried(attempt)

    async def delete_matching(
        self, context: Context, resource_type: str, query: str, if_match: str | None = None
    ) -> list[Stored]:
        """Conditional delete: the deletions made; several only where the server allows that."""
        criteria = parse_criteria(resource_type, query)
        right = await self.reading.permitted(context, "delete", resource_type)

        async def attempt() -> list[Stored]:
            matched = await self.match(context, criteria, max(2, self.most_deleted + 1))
            if len(matched.found) > max(1, self.most_deleted):
                raise Problem(Kind.PRECONDITION, *_several())
            changes = [await self._deletion(right, each, if_match) for each in matched.found]
            if not changes:
                check_conditions(None, if_match, None)
            return await self.delete_all(context, changes, (matched.guard,))

        return await self.retried(attempt)

    async def _conditional_change(self, right: Right, only: Stored | None, resource: Resource, micros: int) -> Change:
        resource_type, sent = resource["resourceType"], resource.get("id")
        if sent is not None:
            check_id(sent, f"{resource_type}.id")
        if only is not None:
            if sent not in (None, only.id):
                raise Problem(Kind.INVALID, "The resource has another id than the one that matches the criteria.")
            return Change(resource_type, only.id, resource, await self.reading.standing(right, only.id))
        if sent is None:
            return Change(resource_type, new_id(micros), resource, ABSENT, is_created=True)
        return Change(resource_type, sent, resource, await self.reading.standing(right, sent, is_put=True))

    async def _patch(
        self,
        right: Right,
        resource_id: str,
        found: Standing,
        change: Callable[[Resource], Resource],
        if_match: str | None,
    ) -> Written:
        if found.current is None:
            raise absent(found, right.type, resource_id)
        check_conditions(found.version, if_match, None)
        resource = await self.offload.cpu(changed, found.current, change)
        change_ = Change(right.type, resource_id, resource, found)
        return await self.write(right, change_, self.now(), interaction="patch")

    async def _deletion(self, right: Right, found: Stored, if_match: str | None) -> Change:
        standing = await self.reading.standing(right, found.id)
        check_conditions(standing.version, if_match, None)
        if standing.current is None:
            raise VersionConflict(collection(found.type), found.id)
        return Change(found.type, found.id, None, standing)


def check_type(resource_type: str, resource: Resource) -> None:
    if resource.get("resourceType") != resource_type:
        raise malformed(f"The body is no {resource_type}.", "resourceType")


def check_own_id(resource: Resource, resource_id: str) -> None:
    check_id(resource_id)
    if resource.get("id") != resource_id:
        text = "The resource must carry the id of its URL."
        raise Problem(Kind.INVALID, text, (Issue(text, f"{resource['resourceType']}.id", "value"),))


def changed(current: Stored, change: Callable[[Resource], Resource]) -> Resource:
    """The current version after a patch that touches nothing it must not."""
    before = reread(current.body)
    return check_patched(before, change(before))


def _several() -> tuple[str, tuple[Issue, ...]]:
    text = "Several resources match the criteria."
    return text, (Issue(text, None, "multiple-matches"),)
