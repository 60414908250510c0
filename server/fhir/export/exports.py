"""Bulk exports as a service: accept, tell, cancel, give the files (Bulk Data Access).

A job is a record and its files are blobs, so any process may run it, answer for it or end it. A process holds a lease
on the job it runs and renews it with each type it has written; when it dies, another goes on with the types left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from server.access.decision import AccessPoint
from server.audit.writes import UNRECORDED, Deed, Writes
from server.fhir.export.job import COLLECTION, File, Job, State, from_record
from server.fhir.export.membership import Membership
from server.fhir.export.request import ExportRequest, Level
from server.fhir.export.run import Subset, Writing, written
from server.fhir.stored import micros_of
from server.kernel.clock import Clock
from server.kernel.context import Context
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from storage.errors import StorageError, VersionConflict
from storage.ports import Blobs, Cursor, Delete, Put, Record, Records
from storage.query import EVERYTHING, NOTHING, All, Any, Between, Equals

KEPT = timedelta(hours=24)
_LEASE = 600_000_000
_SETTLED = 2_000_000
"""Microseconds from its transaction time to its begin: until then a write of that time may be under way."""
_POLL_SECONDS = 5.0
_LONGEST_DETAIL = 4000
_MOST_RUNNING = 20
"""Jobs that are not over, of all actors."""
_PAGE = 200

_log = logging.getLogger("weft.fhir.export")


@dataclass
class Exports:
    """`subset(elements)` gives what is written of a version; `writing` everything the files are made from."""

    records: Records
    blobs: Blobs
    access: AccessPoint
    membership: Membership
    writing: Writing
    clock: Clock
    subset: Callable[[tuple[str, ...]], Subset]
    writes: Writes = UNRECORDED
    """Gives the event of an export that is over, for the commit that says so."""
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def kick_off(self, context: Context, request: ExportRequest, url: str) -> str:
        """The id of a new job; refuses an unknown group, and an actor without any right to search."""
        await self._check(context, request)
        now = self.clock.now()
        job = Job(
            new_token(16), context.actor, request, url, micros_of(now), micros_of(now + KEPT), purpose=context.purpose
        )
        await self.records.commit([job.put(0)])
        self._wanted.set()
        context.trail.add(job.id, (), "accepted")
        return job.id

    async def _check(self, context: Context, request: ExportRequest) -> None:
        for each in request.types or ("Patient",):
            if await self.access.constrain(context, "search", each) == NOTHING:
                context.trail.refuse(f"no right to search {each}")
                raise Problem(Kind.FORBIDDEN, f"You may not search {each}.")
        limits = await self.access.limits(context, "search", "Patient") if request.patients else None
        if limits is not None and not limits.issuperset(request.patients):
            context.trail.refuse("the export names another patient")
            raise Problem(Kind.FORBIDDEN, "The export names a patient about whom you may not ask.")
        if request.level is Level.GROUP:
            await self.membership.members(context, request.group or "")
        await self.membership.check(context, request.filters)
        running = Any((Equals("state", State.ACCEPTED.value), Equals("state", State.RUNNING.value)))
        if await self.records.count(COLLECTION, running, at_most=_MOST_RUNNING) >= _MOST_RUNNING:
            raise Problem(Kind.BUSY, "Too many exports are running.", retry_after=60)

    async def job(self, context: Context, job_id: str) -> Job:
        """A job of this actor; anybody else's is not there."""
        return (await self._found(context, job_id))[0]

    async def cancel(self, context: Context, job_id: str) -> None:
        """End a job and remove its files."""
        job, record = await self._found(context, job_id)
        await self._remove(job, record)

    async def file(self, context: Context, job_id: str, number: int) -> File:
        job = await self.job(context, job_id)
        if not 0 <= number < len(job.files) or not job.state.is_over:
            raise Problem(Kind.NOT_FOUND, "There is no such file.")
        if job.extent != await self.access.extent(_context(job)):
            context.trail.refuse("consents changed since the export began")
            raise Problem(Kind.GONE, "Consents have changed since: ask for the export again.")
        return job.files[number]

    async def named(self) -> frozenset[str]:
        """The names of all blobs that files of exports lie in: a check of the store leaves these alone."""
        names: set[str] = set()
        after: Cursor | None = None
        while True:
            page = await self.records.find(COLLECTION, EVERYTHING, after=after, limit=_PAGE)
            for record in page.records:
                if (job := from_record(record)) is not None:
                    names.update(each.blob.name for each in job.files)
            if (after := page.next) is None:
                return frozenset(names)

    async def _found(self, context: Context, job_id: str) -> tuple[Job, Record]:
        found = await self.records.get(COLLECTION, [job_id])
        job = from_record(found[0]) if found else None
        if job is None or job.actor.id != context.actor.id or job.expires <= micros_of(self.clock.now()):
            raise Problem(Kind.NOT_FOUND, "There is no such export.")
        return job, found[0]

    async def _remove(self, job: Job, record: Record) -> None:
        with suppress(VersionConflict):
            await self.records.commit([Delete(COLLECTION, job.id, record.version)])
            for each in job.files:
                await self.blobs.delete(each.blob)
            return
        # Another process wrote a file meanwhile: look again.
        found = await self.records.get(COLLECTION, [job.id])
        if found:
            await self._remove(from_record(found[0]), found[0])

    async def work(self) -> None:
        """Run jobs for ever: one at a time, the oldest first. Cancelled at shutdown; the lease lets others go on."""
        while True:
            try:
                if not await self.step():
                    await self._pause()
            except StorageError:
                _log.exception("exports wait for the store")
                await asyncio.sleep(_POLL_SECONDS)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._wanted.wait()
        self._wanted.clear()

    async def step(self) -> bool:
        """Run one job, if one waits; remove what has expired."""
        now = micros_of(self.clock.now())
        for record in (await self.records.find(COLLECTION, Between("expires", None, now), limit=20)).records:
            await self._remove(from_record(record), record)
        open_ = All((
            Any((Equals("state", State.ACCEPTED.value), Equals("state", State.RUNNING.value))),
            Between("lease", None, now),
        ))  # fmt: skip
        waiting = (await self.records.find(COLLECTION, open_, limit=1)).records
        if waiting:
            await self._run(from_record(waiting[0]), waiting[0].version)
        return bool(waiting)

    async def _run(self, job: Job, version: int) -> None:
        with suppress(VersionConflict):  # cancelled, or another process has it
            extent = job.extent if job.done else await self.access.extent(_context(job))
            job, version = await self._saved(replace(job, state=State.RUNNING, extent=extent), version)
            await asyncio.sleep(max(0, job.time + _SETTLED - micros_of(self.clock.now())) / 1e6)
            try:
                job, version = await self._all_types(job, version)
                await self._saved(replace(job, state=State.COMPLETE), version)
            except Problem as problem:
                await self._fail(job.id, problem.text)
            except StorageError:
                raise
            except Exception:
                # Tried again it would only fail again, and for ever.
                _log.exception("%s: an export failed", job.id)
                await self._fail(job.id, "Weft failed on this export; its log tells why.")

    async def _fail(self, job_id: str, why: str) -> None:
        """The job as it stands now, with the files written so far, has failed."""
        for record in await self.records.get(COLLECTION, [job_id]):
            await self._saved(replace(from_record(record), state=State.FAILED, failure=why), record.version)

    async def _all_types(self, job: Job, version: int) -> tuple[Job, int]:
        context = _context(job)
        writing = replace(self.writing, subset=self.subset(job.request.elements), context=context)
        for resource_type, belongs in (await self.membership.predicates(context, job)).items():
            if resource_type not in job.done and belongs != NOTHING:
                before = job
                job = await written(writing, job, resource_type, belongs)
                try:
                    job, version = await self._saved(job, version)
                except VersionConflict:
                    for each in job.files[len(before.files) :]:
                        await self.blobs.delete(each.blob)
                    raise
        return job, version

    async def _saved(self, job: Job, version: int) -> tuple[Job, int]:
        job = replace(job, lease=micros_of(self.clock.now()) + _LEASE)
        version, *_ = await self.records.commit([job.put(version), *self._told(job)])
        return job, version

    def _told(self, job: Job) -> Sequence[Put]:
        if not job.state.is_over:
            return ()
        counts = Counter[str]()
        for each in job.files:
            counts[each.type] += each.count
        told = " ".join(f"{name}={count}" for name, count in sorted(counts.items()))
        patients = tuple(f"Patient/{each}" for each in job.request.patients)
        deed = Deed("export", job.id, patients, f"{job.state.value} {told}"[:_LONGEST_DETAIL])
        return self.writes.acts(Context(job.actor, job.id, job.purpose, trail=Trail()), [deed])


def _context(job: Job) -> Context:
    """Of whoever asked, at the time of the question or of the answer."""
    return Context(job.actor, job.id, job.purpose)
