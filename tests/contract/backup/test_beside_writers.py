"""A snapshot that is taken while the archive is written names nothing that it has not got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from storage.backup.lock import NAME, locked
from storage.backup.take import Archive, Taking
from storage.errors import StoreUnavailable
from storage.journal import Journal, Line
from storage.ports import BlobRef, Delete, Put
from storage.rows import Moment, Row, Rows
from tests.contract.backup.conftest import PAIRS, NewSite
from tests.contract.backup.sites import (
    FILED,
    Opened,
    Site,
    archive_of,
    back_up,
    entries_in,
    manifests_in,
    nothing,
    opened,
    remarks,
    restore,
    target_of,
)


@dataclass
class Watched(Rows):
    """Rows whose moments are counted, and between which a test may do something."""

    rows: Rows
    moments: int = 0

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Moment]:
        self.moments += 1
        async with self.rows.snapshot() as moment:
            yield moment

    async def counts(self) -> dict[str, int]:
        return await self.rows.counts()

    async def load(self, collection: str, rows: Sequence[Row]) -> None:
        await self.rows.load(collection, rows)

    async def close(self) -> None:
        await self.rows.close()


def test_a_snapshot_among_writers_is_whole(site: Site, new_site: NewSite, target: str) -> None:
    async def write(each: Opened, name: str, until: asyncio.Event) -> int:
        count = 0
        refs: list[BlobRef] = []
        while not until.is_set():
            refs.append(await each.file(f"{name}-{count}", f"{name}-{count} ".encode() * 50))
            if count >= 5:
                await each.stores.records.commit([Delete(FILED, f"{name}-{count - 5}")])
                await each.stores.blobs.delete(refs.pop(0))
            count += 1
        return count

    async def work() -> None:
        over = asyncio.Event()
        async with opened(site) as each, target_of(site, target) as to:
            for number in range(40):
                await each.file(f"old-{number}", b"old" * 1000)
            writers = [asyncio.create_task(write(each, name, over)) for name in "ab"]
            for _ in range(3):
                taken = await Taking(archive_of(each), to.vault, to.shelf, to.manifests).run("1", remarks, nothing)
                assert not taken.missing
            over.set()
            assert all([await writer > 5 for writer in writers])
        for manifest in await manifests_in(site, target):
            new = new_site(PAIRS[0])
            assert await restore(new, target, manifest.id) == []
            async with opened(new) as each:
                contents = await each.contents()
                assert {id_ for id_ in contents if id_.startswith("old")} == {f"old-{n}" for n in range(40)}
                assert all(contents[id_] == f"{id_} ".encode() * 50 for id_ in contents if not id_.startswith("old"))

    asyncio.run(work())


def test_what_came_and_went_between_is_noticed_and_the_moment_taken_again(site: Site, target: str) -> None:
    """Written after the files were listed, in the rows of the moment, and gone before they are listed again."""

    async def work() -> None:
        async with opened(site) as each, target_of(site, target) as to:
            passing: list[BlobRef] = []
            archive = archive_of(each)

            class Passing(Watched):
                @asynccontextmanager
                async def snapshot(self) -> AsyncIterator[Moment]:
                    if not passing:
                        passing.append(await each.file("passing", b"for a moment"))
                    async with Watched.snapshot(self) as moment:
                        yield moment
                    await each.stores.records.commit([Delete(FILED, "passing")])
                    await each.stores.blobs.delete(passing[0])

            rows = Passing(archive.rows)
            taking = Taking(replace(archive, rows=rows), to.vault, to.shelf, to.manifests)
            taken = await taking.run("1", remarks, nothing)
            assert rows.moments == 2
            assert not taken.missing
            assert FILED not in taken.manifest.records

    asyncio.run(work())


def test_a_file_that_the_archive_itself_lost_is_told(site: Site, new_site: NewSite, target: str) -> None:
    async def work() -> None:
        async with opened(site) as each:
            lost, _ = await each.file("lost", b"lost"), await each.file("kept", b"kept")
            await each.stores.blobs.delete(lost)
        taken = await back_up(site, target)
        assert list(taken.missing) == [lost.name.partition("~")[0]]
        await restore(new, target)
        async with opened(new) as each:
            await each.stores.records.commit([Delete(FILED, "lost")])
            assert await each.contents() == {"kept": b"kept"}

    new = new_site(PAIRS[0])
    asyncio.run(work())


def test_a_file_that_grew_meanwhile_is_copied_again(new_site: NewSite, target: str) -> None:
    """Half of it was there when the files were listed: a folder shows what is being written."""

    async def work() -> None:
        async with opened(site) as each, target_of(site, target) as to:
            halves = [asyncio.Event(), asyncio.Event()]

            async def slowly() -> AsyncIterator[bytes]:
                yield bytes(3 << 20)
                halves[0].set()
                await halves[1].wait()
                yield b"the end"

            async def upload() -> None:
                ref = await each.stores.blobs.put(slowly())
                await each.stores.records.commit([Put(FILED, "slow", f'["{ref.name}", {ref.size}, ""]'.encode())])

            uploading = asyncio.create_task(upload())
            await halves[0].wait()
            archive = archive_of(each)

            class Later(Watched):
                @asynccontextmanager
                async def snapshot(self) -> AsyncIterator[Moment]:
                    halves[1].set()
                    await uploading
                    async with Watched.snapshot(self) as moment:
                        yield moment

            rows = Later(archive.rows)
            taken = await Taking(replace(archive, rows=rows), to.vault, to.shelf, to.manifests).run(
                "1", remarks, nothing
            )
            assert not taken.missing
        await restore(new, target)
        async with opened(new) as each:
            assert (await each.contents())["slow"] == bytes(3 << 20) + b"the end"

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


def test_a_reason_that_is_written_meanwhile_comes_with_what_it_is_for(new_site: NewSite, target: str) -> None:
    """The line that says why is written before a body is dropped: a copy that shows the one shows the other."""

    async def work() -> None:
        async with opened(site) as each, target_of(site, target) as to:
            await each.note("log-1", 0, 5)
            await each.note("log-2", 0, 5)
            journal = Dropping(each.journal, each)
            archive = replace(archive_of(each), journal=journal)
            taken = await Taking(archive, to.vault, to.shelf, to.manifests).run("1", remarks, nothing)
            assert taken.manifest.journal["log-1"].count == 6
        await restore(new, target)
        async with opened(new) as each:
            assert [line.body is None for line in await each.lines("log-2")] == [True, *[False] * 4]

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


class Dropping:
    """Lets go of a body when the chain before it was read, and writes the reason to that chain."""

    def __init__(self, journal: Journal, each: Opened) -> None:
        self._journal = journal
        self._each = each
        self._is_done = False
        self.chains, self.claim, self.last = journal.chains, journal.claim, journal.last
        self.drop, self.close = journal.drop, journal.close

    async def read(self, chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
        if chain == "log-2" and not self._is_done:
            self._is_done = True
            await self._each.note("log-1", 5, 1)
            await self._journal.drop("log-2", 0, 0)
        return await self._journal.read(chain, start, limit, bodies=bodies)


def test_chains_that_vouch_for_others_are_read_before_them(site: Site, target: str) -> None:
    async def work() -> None:
        async with opened(site) as each, target_of(site, target) as to:
            for chain in ("checkpoints", "log-1", "a"):
                await each.note(chain, 0, 3)
            seen: list[str] = []
            journal = Dropping(each.journal, each)
            read = journal.read

            async def watched(chain: str, start: int, limit: int, *, bodies: bool = True) -> list[Line]:
                seen.append(chain)
                return await read(chain, start, limit, bodies=bodies)

            journal.read = watched  # type: ignore[method-assign]
            archive: Archive = replace(archive_of(each), journal=journal)
            await Taking(archive, to.vault, to.shelf, to.manifests).run("1", remarks, nothing)
            assert list(dict.fromkeys(seen)) == ["checkpoints", "a", "log-1"]

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_two_backups_into_one_place_do_not_meet(new_site: NewSite, target: str, kind: str) -> None:
    async def work() -> None:
        async with target_of(site, place) as to, locked(to.vault) as lock:
            await lock.check()
            with pytest.raises(StoreUnavailable, match="under way"):
                async with locked(to.vault):
                    pass
            await to.vault.delete(NAME)
            with pytest.raises(StoreUnavailable, match="took over"):
                await lock.check()
        async with target_of(site, place) as to:
            await to.vault.put_all([(NAME, b'{"holder":"other","until":"2001-01-01T00:00:00Z"}')])
            async with locked(to.vault):
                pass
        assert await entries_in(site, place) == []

    site = new_site(PAIRS[0])
    place = target if kind == "folder" else new_site(PAIRS[1]).blobs
    asyncio.run(work())
