"""A batch: entries that stand alone, each carried out or refused by itself (FHIR R4 3.1.0.11.1).

They are done in the order of the standard (delete, create, update, read), within a step several at a time, so that
their commits share a flush. Those that refer to others by criteria come last in their step: what the batch makes is
then there to be found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.entries import Entry, located
from server.fhir.bundle.transaction import PatchReader, Perform
from server.fhir.committing import Status, Written
from server.fhir.links import NO_LINKS, relink
from server.fhir.repository import Repository
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable

_AT_ONCE = 16
_STEPS = {"DELETE": 0, "POST": 1, "PUT": 3, "PATCH": 3}
_READS = 5


class Batches:
    def __init__(self, repository: Repository, patches: PatchReader) -> None:
        self._repository = repository
        self._patches = patches

    async def run(self, context: Context, entries: Sequence[Entry | Problem], perform: Perform) -> list[EntryAnswer]:
        """An answer for each entry, in their order; one that fails costs its neighbours nothing."""
        answers: dict[int, EntryAnswer] = {
            number: EntryAnswer(HTTPStatus.BAD_REQUEST, problem=each)
            for number, each in enumerate(entries)
            if isinstance(each, Problem)
        }
        steps: dict[int, list[Entry]] = {}
        for each in entries:
            if isinstance(each, Entry):
                steps.setdefault(_step(each), []).append(each)
        for step in sorted(steps):
            room = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for each in steps[step]:
                    group.create_task(self._into(answers, room, context, each, perform))
        return [answers[number] for number in range(len(entries))]

    async def _into(
        self, answers: dict[int, EntryAnswer], room: asyncio.Semaphore, context: Context, entry: Entry, perform: Perform
    ) -> None:
        async with room:
            try:
                answers[entry.number] = await (self._write if entry.is_write else perform)(context, entry)
            except Problem as problem:
                refused = f"{entry.method} {problem.kind.value}"
                context.trail.add(f"{entry.type}/{entry.id}" if entry.id else entry.type or "Bundle", (), refused)
                answers[entry.number] = EntryAnswer(HTTPStatus.BAD_REQUEST, problem=located(problem, entry))
            except StoreUnavailable:
                answers[entry.number] = EntryAnswer(HTTPStatus.SERVICE_UNAVAILABLE, problem=_unreachable())

    async def _write(self, context: Context, entry: Entry) -> EntryAnswer:
        match entry.method:
            case "DELETE":
                return await self._delete(context, entry)
            case "PATCH":
                return _answer(await self._patch(context, entry))
            case "POST":
                resource = entry.resource or {}
                return _answer(await self._repository.create(context, entry.type, resource, entry.if_none_exist))
            case _:
                return _answer(await self._put(context, entry))

    async def _put(self, context: Context, entry: Entry) -> Written:
        resource, conditions = entry.resource or {}, (entry.if_match, entry.if_none_match)
        if entry.id is not None:
            return await self._repository.update(context, entry.type, entry.id, resource, *conditions)
        return await self._repository.update_matching(context, entry.type, entry.query or "", resource, *conditions)

    async def _patch(self, context: Context, entry: Entry) -> Written:
        change = self._patches(entry.resource or {})
        if entry.id is not None:
            return await self._repository.patch(context, entry.type, entry.id, change, entry.if_match)
        return await self._repository.patch_matching(context, entry.type, entry.query or "", change, entry.if_match)

    async def _delete(self, context: Context, entry: Entry) -> EntryAnswer:
        if entry.id is not None:
            deletion = await self._repository.delete(context, entry.type, entry.id, entry.if_match)
            return EntryAnswer(HTTPStatus.NO_CONTENT, deletion)
        deletions = await self._repository.delete_matching(context, entry.type, entry.query or "", entry.if_match)
        return EntryAnswer(HTTPStatus.NO_CONTENT, deletions[0] if len(deletions) == 1 else None)


def _unreachable() -> Problem:
    return Problem(Kind.UNAVAILABLE, "The store cannot be reached.", retry_after=5)


def _step(entry: Entry) -> int:
    if not entry.is_write:
        return _READS
    refers = entry.method == "POST" and entry.resource is not None and relink(entry.resource, NO_LINKS).conditional
    return _STEPS[entry.method] + (1 if refers else 0)


def _answer(written: Written) -> EntryAnswer:
    is_new = written.status is Status.CREATED
    return EntryAnswer(HTTPStatus.CREATED if is_new else HTTPStatus.OK, written.stored)
