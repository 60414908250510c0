"""A target that is another's, is of another time, or lists in no order; and letting go of what is not needed alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from storage.backup.keep import keep_newest
from storage.backup.manifest import new_id, now
from storage.backup.take import Taking
from storage.encryption.keys import open_keys, rotate_data_key
from storage.errors import Damaged, StoreUnavailable
from storage.ports import Bytes, Put
from storage.rows import Moment
from storage.vault import Entry, Vault
from tests.contract.backup.conftest import PAIRS, NewSite
from tests.contract.backup.sites import (
    FILED,
    Site,
    archive_of,
    back_up,
    entries_in,
    kept_newest,
    manifests_in,
    nothing,
    opened,
    remarks,
    restore,
    target_of,
)
from tests.contract.backup.test_beside_writers import Watched


async def filled(site: Site, count: int = 3) -> None:
    async with opened(site) as each:
        for number in range(count):
            await each.file(f"f{number}", b"%d" % number * 100)


@pytest.mark.parametrize("other", ["another key file", "off"])
def test_what_another_archive_put_there_is_not_joined(
    new_site: NewSite, target: str, tmp_path: Path, other: str
) -> None:
    async def work() -> None:
        for first, second in ((site, guest), (guest, site)):
            place = f"{target}-{first.encryption}-{first.key_file.stem}"
            await filled(first)
            await back_up(first, place)
            before = await entries_in(first, place)
            with pytest.raises(Damaged, match="back up into another place"):
                await back_up(second, place)
            assert await entries_in(first, place) == before
            await back_up(first, place)

    open_keys(tmp_path / "other.key")
    site, guest = new_site(PAIRS[0]), new_site(PAIRS[0])
    guest = guest.sealed("off") if other == "off" else replace(guest, key_file=tmp_path / "other.key")
    asyncio.run(work())


def test_a_snapshot_is_always_the_newest(new_site: NewSite, target: str) -> None:
    """Else `--keep` would let go of it, and a restore take the older one for the newest."""

    async def work() -> None:
        await filled(site)
        taken = await back_up(site, target)
        later = now() + timedelta(days=400)
        async with target_of(site, target) as to:
            await to.manifests.put(msgspec.structs.replace(taken.manifest, id=new_id(later), begun=later))
        with pytest.raises(StoreUnavailable, match="still to come"):
            await back_up(site, target)
        assert len(await manifests_in(site, target)) == 2

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_what_else_lies_among_the_snapshots_is_none(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        for name in ("thumbs", "zz", "99991231t000000000"):
            (Path(target.removeprefix("file://")) / "snapshots" / name).write_bytes(b"not ours")
        await back_up(site, target)
        assert (await kept_newest(site, target, 1)).snapshots == 1
        assert await restore(new, target) == []

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


@dataclass
class Disordered(Vault):
    """Lists backwards, as a store may that promises no order."""

    vault: Vault

    async def list(self, prefix: str = "") -> AsyncGenerator[Entry, None]:
        for entry in reversed([each async for each in self.vault.list(prefix)]):
            yield entry

    async def put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        await self.vault.put_all(entries)

    async def put(self, name: str, chunks: AsyncIterator[Bytes]) -> None:
        await self.vault.put(name, chunks)

    async def fetch(self, name: str) -> Bytes:
        return await self.vault.fetch(name)

    def read(self, entry: Entry) -> AsyncGenerator[Bytes, None]:
        return self.vault.read(entry)

    async def delete(self, name: str) -> None:
        await self.vault.delete(name)


def test_a_store_that_lists_in_no_order_is_refused(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        with pytest.raises(StoreUnavailable, match="in the order of their names"):
            await back_up(site, target, lambda archive: replace(archive, files=Disordered(archive.files)))
        assert await manifests_in(site, target) == []
        await back_up(site, target)
        async with opened(site) as each, target_of(site, target) as to:
            taking = Taking(archive_of(each), Disordered(to.vault), to.shelf, to.manifests)
            with pytest.raises(StoreUnavailable, match="in the order of their names"):
                await taking.run("1", remarks, nothing)
            with pytest.raises(StoreUnavailable, match="in the order of their names"):
                await keep_newest(1, Disordered(to.vault), to.shelf, to.manifests, nothing)
        assert await restore(new, target) == []

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


def test_any_number_of_snapshots_can_be_kept(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        taken = await back_up(site, target)
        async with target_of(site, target) as to:
            for number in range(1200):
                begun = taken.manifest.begun + timedelta(milliseconds=number)
                await to.manifests.put(msgspec.structs.replace(taken.manifest, id=new_id(begun), begun=begun))
        assert (await kept_newest(site, target, 1190)).snapshots == 11
        assert len(await entries_in(site, target, "files/")) == 3

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_nothing_goes_once_another_backup_took_over(new_site: NewSite, target: str) -> None:
    """It counts on the parts and files that it found here, which may be in none of the older snapshots."""

    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        async with opened(site) as each:
            await each.file("new", b"new")
        await back_up(site, target)
        before = await entries_in(site, target)

        async def check() -> None:
            raise StoreUnavailable("another backup into this place took over")

        async with target_of(site, target) as to:
            with pytest.raises(StoreUnavailable, match="took over"):
                await keep_newest(1, to.vault, to.shelf, to.manifests, check)
        assert await entries_in(site, target) == before

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_a_file_that_was_lost_long_ago_is_told_too(site: Site, target: str) -> None:
    async def work() -> None:
        await filled(site)
        lost = "20200229/2359/" + "a" * 32
        async with opened(site) as each:
            await each.stores.records.commit([Put(FILED, "lost", f'["{lost}", 5, ""]'.encode())])
        assert list((await back_up(site, target)).missing) == [lost]

    asyncio.run(work())


def test_what_is_remembered_of_keys_is_what_they_are_in_the_end(new_site: NewSite, target: str) -> None:
    """A key that is renewed while the archive is read may have sealed some of what was read."""

    async def work() -> None:
        await filled(site)
        async with opened(site) as each, target_of(site, target) as to:
            renewed: list[str] = []

            class Renewing(Watched):
                @asynccontextmanager
                async def snapshot(self) -> AsyncIterator[Moment]:
                    renewed.append(rotate_data_key(site.key_file))
                    async with Watched.snapshot(self) as moment:
                        yield moment

            async def active() -> dict[str, str]:
                return {"key": open_keys(site.key_file).active.id.hex()}

            archive = archive_of(each)
            taking = Taking(replace(archive, rows=Renewing(archive.rows)), to.vault, to.shelf, to.manifests)
            taken = await taking.run("1", active, nothing)
            assert taken.manifest.remarks == {"key": renewed[-1]}

    site = new_site(PAIRS[0])
    asyncio.run(work())


def cut_short(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:50])


def test_a_file_that_was_cut_short_spoils_no_copy_of_it(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        cut_short(Path(site.blobs.removeprefix("file://")))
        assert not (await back_up(site, target)).files
        for manifest in await manifests_in(site, target):
            new = new_site(PAIRS[0])
            assert await restore(new, target, manifest.id) == []
            async with opened(new) as each:
                assert await each.contents() == {f"f{number}": b"%d" % number * 100 for number in range(3)}

    site = new_site(PAIRS[0])
    asyncio.run(work())
