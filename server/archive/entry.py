"""Entering staged instances: their bytes made durable, then all their rows in one commit, and only then success.

Studies and series are shared, so their rows are written with the version they were read at, and read again when
somebody else was faster: other requests, other processes. Within a process a lock for each study keeps requests from
working in vain; correctness does not rest on it.

Whatever happens, no record names bytes that are not there. Bytes no record names are removed; only where the store
fails in the middle of a commit and cannot be asked afterwards do they stay, for `weft verify` to find.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias
from weakref import WeakValueDictionary

from server.archive.growth import Placed, Plan, Present, existing, judge, plan
from server.archive.metadata import INLINE, pointed, pointer
from server.archive.rows import INSTANCE, SERIES, STUDY, StoredInstance
from server.archive.stage import Staged, StoreOutcome, stored_instance
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from storage.errors import StorageError, StoreUnavailable, VersionConflict
from storage.ports import BlobRef, Blobs, Bytes, Put, Records

ATTEMPTS = 20
_log = logging.getLogger("weft.archive")

Told: TypeAlias = Callable[[Sequence[Placed], Collection[str]], Awaitable[Sequence[Put]]]
"""What goes into the commit beside the rows of these instances; the studies that were there before are named."""


async def _nothing(placed: Sequence[Placed], known: Collection[str]) -> Sequence[Put]:
    return ()


class Entry:
    """Makes groups of staged instances part of the archive."""

    def __init__(
        self, records: Records, blobs: Blobs, offload: Offload, changed: Callable[[], None] = lambda: None
    ) -> None:
        """`changed` is called after each commit: whoever reads the outbox in this process need not wait."""
        self._records = records
        self._blobs = blobs
        self._offload = offload
        self._changed = changed
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def enter(self, group: Sequence[Staged], told: Told = _nothing) -> list[StoreOutcome]:
        """The outcome of each; what succeeded is durable."""
        fresh: list[Staged] = list(group)
        try:
            there = await self._existing(group)
            fresh = [each for each in group if each.instance.sop_instance_uid not in there]
            settled = [each for each in group if each.instance.sop_instance_uid in there]
            await self.discard(settled)
            outcomes = [judge(each, there[each.instance.sop_instance_uid]) for each in settled]
            return outcomes + (await self._enter_fresh(fresh, told) if fresh else [])
        except StoreUnavailable as error:
            await self.discard(fresh)
            return [each.outcome(unavailable(error)) for each in group]

    async def discard(self, staged: Iterable[Staged]) -> None:
        """Remove the bytes of instances that were streamed into the store and will not be entered."""
        await self._delete(each.content for each in staged if isinstance(each.content, BlobRef))

    async def _enter_fresh(self, fresh: Sequence[Staged], told: Told) -> list[StoreOutcome]:
        placed = await self._place(fresh)
        try:
            made = await self._commit(placed, told)
        except Problem as problem:
            await self._delete(_blobs(placed))
            return [each.staged.outcome(problem) for each in placed]
        except StoreUnavailable as error:
            await self._clear_up(placed)
            return [each.staged.outcome(unavailable(error)) for each in placed]
        except BaseException:
            await self._clear_up(placed)
            raise
        await self._delete(_blobs(made.unused))
        return made.outcomes

    async def _place(self, fresh: Sequence[Staged]) -> list[Placed]:
        """Everything not yet in a blob goes there in one act: files, and metadata too long for a record."""
        contents: list[Bytes] = [each.content for each in fresh if isinstance(each.content, bytes)]
        contents += [each.metadata for each in fresh if len(each.metadata) > INLINE]
        refs = await self._blobs.put_all(contents) if contents else []
        files = iter(refs)
        refs_of_files = [each.content if isinstance(each.content, BlobRef) else next(files) for each in fresh]
        bodies = [pointer(next(files)) if len(each.metadata) > INLINE else each.metadata for each in fresh]
        return [
            Placed(each, stored_instance(each.instance, each.sha256, ref), body)
            for each, ref, body in zip(fresh, refs_of_files, bodies, strict=True)
        ]

    async def _commit(self, placed: Sequence[Placed], told: Told) -> Plan:
        async with self._holding({each.row.study_instance_uid for each in placed}):
            present = await self._present(placed, again=False)
            for attempt in range(ATTEMPTS):
                made = await self._offload.cpu(plan, placed, present)
                try:
                    if made.puts:
                        unused = {id(each) for each in made.unused}
                        entered = [each for each in placed if id(each) not in unused]
                        known = {record.id for record in present.studies}
                        await self._records.commit([*made.puts, *await told(entered, known)])
                        self._changed()
                except VersionConflict:
                    await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 5)))  # noqa: S311
                    present = await self._present(placed, again=True)
                else:
                    return made
        raise Problem(Kind.BUSY, "Too many senders are changing this study at once.", retry_after=1)

    async def _present(self, placed: Sequence[Placed], *, again: bool) -> Present:
        """What the rows to be written stand on; instances only `again`, since at first none of them was there."""
        rows = [each.row for each in placed]
        studies, series, instances = await asyncio.gather(
            self._records.get(STUDY, list({row.study_instance_uid for row in rows})),
            self._records.get(SERIES, list({row.series_instance_uid for row in rows})),
            self._records.get(INSTANCE, list({row.sop_instance_uid for row in rows}) if again else []),
        )
        return Present(studies, series, instances)

    async def _existing(self, group: Sequence[Staged]) -> dict[str, StoredInstance]:
        uids = list({each.instance.sop_instance_uid for each in group})
        return existing(await self._records.get(INSTANCE, uids))

    async def _clear_up(self, placed: Sequence[Placed]) -> None:
        """After a commit that may or may not have happened: what the index names now is kept."""
        try:
            there = await self._existing([each.staged for each in placed])
        except StorageError as error:
            _log.warning("%d files may be left without a record: %s", len(placed), error)
            return
        named = {row.blob.name for row in there.values()}
        await self._delete(_blobs([each for each in placed if each.row.blob.name not in named]))

    async def _delete(self, refs: Iterable[BlobRef]) -> None:
        for ref in refs:
            try:
                await self._blobs.delete(ref)
            except StoreUnavailable as error:
                _log.warning("a file without a record could not be removed: %s", error)

    @asynccontextmanager
    async def _holding(self, studies: Iterable[str]) -> AsyncIterator[None]:
        """The locks of these studies, always taken in one order, so that no two requests wait for each other."""
        locks = [self._locks.setdefault(uid, asyncio.Lock()) for uid in sorted(studies)]
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield


def unavailable(error: StoreUnavailable) -> Problem:
    """What the sender is told; the log tells the reason."""
    _log.error("store unavailable: %s", error)
    return Problem(Kind.UNAVAILABLE, "The archive's storage cannot take instances at present.", retry_after=5)


def _blobs(placed: Iterable[Placed]) -> Iterable[BlobRef]:
    for each in placed:
        yield each.row.blob
        if (ref := pointed(each.metadata)) is not None:
            yield ref
