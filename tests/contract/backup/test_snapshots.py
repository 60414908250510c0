"""A snapshot comes back as it was taken, into either pair of stores, and the next one brings only what is new."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from storage.encryption.keys import open_keys, rotate_data_key
from storage.errors import Damaged, NotFound, StoreUnavailable, VersionConflict
from storage.journal import Line
from storage.ports import BlobRef, Delete, Put, Record
from storage.query import EVERYTHING, Between, Equals, Order
from tests.contract.backup.conftest import PAIRS, NewSite
from tests.contract.backup.sites import (
    FILED,
    NAME,
    Opened,
    Site,
    back_up,
    entries_in,
    kept_newest,
    manifests_in,
    opened,
    restore,
)

LONG = bytes(range(251)) * 41_000
"""More than ten megabytes, which go up in several parts."""


async def filled(site: Site) -> None:
    async with opened(site) as each:
        await fill(each)


async def fill(each: Opened) -> None:
    for number in range(30):
        await each.file(f"f{number}", b"%d" % number * 1000, name=NAME, number=number)
    await each.file("long", LONG)
    records = each.stores.records
    await records.commit([
        Put("patient", f"p{n}", f"{NAME} {n}".encode(), {"name": frozenset({NAME, f"{n:05}"}), "n": frozenset({n})})
        for n in range(3000)
    ])  # fmt: skip
    await records.commit([Put("patient", "p7", b"changed", {"name": frozenset({"other"})}, expected=1)])
    await records.commit([Put("any.$%", "\0", b"")])
    await each.note("log-1", 0, 2500)
    await each.note("checkpoints", 0, 3)
    await each.journal.drop("log-1", 10, 19)


@pytest.mark.parametrize("into", PAIRS)
def test_what_is_restored_is_what_was_there(site: Site, new_site: NewSite, target: str, into: str) -> None:
    async def work() -> None:
        await filled(site)
        taken = await back_up(site, target)
        assert not taken.missing
        assert await restore(new, target) == []
        async with opened(new) as each:
            contents = await each.contents()
            assert len(contents) == 31
            assert contents["f3"] == b"3" * 1000
            assert contents["long"] == LONG
            assert await each.lines("checkpoints") == [Line(n, b"head %d" % n, b"body %d" % n) for n in range(3)]
            lines = await each.lines("log-1")
            assert len(lines) == 2500
            assert [line.sequence for line in lines if line.body is None] == list(range(10, 20))

    new = new_site(into)
    asyncio.run(work())


@pytest.mark.parametrize("into", PAIRS)
def test_records_are_found_and_written_as_before(site: Site, new_site: NewSite, target: str, into: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        await restore(new, target)
        async with opened(new) as each:
            records = each.stores.records
            assert await records.get("patient", ["p7", "p8"]) == [
                Record("p7", 2, b"changed"),
                Record("p8", 1, f"{NAME} 8".encode()),
            ]
            assert await records.get("any.$%", ["\0"]) == [Record("\0", 1, b"")]
            assert await records.count("patient", Equals("name", NAME), at_most=9999) == 2999
            page = await records.find("patient", Between("n", 100, 102), order=[Order("n", descending=True)], limit=9)
            assert [each.id for each in page.records] == ["p102", "p101", "p100"]
            assert await records.values("patient", "name", Equals("n", 5), at_most=9) in (
                [NAME, "00005"],
                ["00005", NAME],
            )
            with pytest.raises(VersionConflict):
                await records.commit([Put("patient", "p7", b"", expected=1)])
            assert await records.commit([Put("patient", "p7", b"", expected=2), Delete("patient", "p8", 1)]) == [3, 0]
            assert await records.count("patient", EVERYTHING, at_most=9999) == 2999

    new = new_site(into)
    asyncio.run(work())


def test_nothing_readable_is_in_the_target(site: Site, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)

    asyncio.run(work())
    octets = b"".join(path.read_bytes() for path in Path(target.removeprefix("file://")).rglob("*") if path.is_file())
    assert len(octets) > len(LONG)
    for text in (NAME, "Wang^Xiao", "王^小东", "patient", "checkpoints", "for tests"):
        assert text.encode() not in octets


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_second_snapshot_brings_only_what_is_new(
    new_site: NewSite, target: str, kind: str, request: pytest.FixtureRequest
) -> None:
    async def work() -> None:
        await filled(site)
        first = await back_up(site, place)
        assert first.files == 31
        before = {each.name for each in await entries_in(site, place)}
        again = await back_up(site, place)
        assert again.files == again.octets == 0
        assert len(await entries_in(site, place)) == len(before) + 1
        async with opened(site) as each:
            await each.file("new", b"new" * 100)
            await each.stores.records.commit([Put("patient", "p1500", b"changed")])
            await each.note("log-1", 2500, 1)
        third = await back_up(site, place)
        assert third.files == 1
        assert third.octets < first.octets // 20
        assert [each.rows for each in await manifests_in(site, place)] == [3033, 3033, 3034]
        assert (await manifests_in(site, place))[-1].lines == 2504

    site = new_site(PAIRS[0])
    place = target if kind == "folder" else new_site(PAIRS[1]).blobs
    asyncio.run(work())


def test_a_new_data_key_spoils_nothing(site: Site, new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        rotate_data_key(site.key_file)
        async with opened(site) as each:
            await each.file("new", b"new")
        await back_up(site, target)
        first, second = await manifests_in(site, target)
        for manifest, count in ((first, 31), (second, 32)):
            new = new_site(PAIRS[0])
            await restore(new, target, manifest.id)
            async with opened(new) as each:
                assert len(await each.contents()) == count

    asyncio.run(work())


def test_without_encryption_it_works_as_well(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        with pytest.raises(Damaged, match="WEFT_ENCRYPTION=off"):
            await restore(new_site(PAIRS[0]), target)
        await restore(new, target)
        async with opened(new) as each:
            assert (await each.contents())["long"] == LONG

    site, new = new_site(PAIRS[0]).sealed("off"), new_site(PAIRS[0]).sealed("off")
    asyncio.run(work())


def test_another_key_file_opens_nothing(new_site: NewSite, target: str, tmp_path: Path) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        open_keys(tmp_path / "other.key")
        other = Site(new.records, new.blobs, new.audit, tmp_path / "other.key")
        with pytest.raises(Damaged, match="another key file's"):
            await restore(other, target)
        with pytest.raises(Damaged, match="WEFT_ENCRYPTION"):
            await restore(new.sealed("off"), target)
        async with opened(new) as each:
            assert await each.contents() == {}

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


async def last_part(site: Site, target: str) -> Path:
    """One that a list of the newest snapshot begins with."""
    index = (await manifests_in(site, target))[-1].files.index[0].hex()
    return Path(target.removeprefix("file://")) / "chunks" / index[:2] / index[2:]


def manifests_of(target: str) -> list[Path]:
    return sorted(Path(target.removeprefix("file://")).glob("snapshots/*"))


def parts_of(target: str) -> list[Path]:
    return sorted(path for path in Path(target.removeprefix("file://")).glob("chunks/*/*"))


def test_a_part_that_was_changed_is_told_by_name(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        for path in parts_of(target)[::5]:
            before = path.read_bytes()
            for changed in (before[:-1], before[:70] + bytes([before[70] ^ 1]) + before[71:], b"", None):
                path.unlink() if changed is None else path.write_bytes(changed)
                with pytest.raises(Damaged, match=f"{path.parent.name}/{path.name}"):
                    await restore(new_site(PAIRS[0]), target)
                path.write_bytes(before)

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_a_part_in_anothers_place_is_found_out(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        one, other = parts_of(target)[:2]
        one.write_bytes(other.read_bytes())
        with pytest.raises(Damaged, match="not what its name says"):
            await restore(new_site(PAIRS[0]), target)

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_files_that_the_backup_lost_are_named_and_all_else_comes_back(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(site)
        await back_up(site, target)
        folder = Path(target.removeprefix("file://")) / "files"
        short, *_, long = sorted(
            (path for path in folder.rglob("*") if path.is_file()), key=lambda each: each.stat().st_size
        )
        short.unlink()
        long.write_bytes(long.read_bytes()[:-1])
        missing = await restore(new, target)
        assert sorted(missing) == sorted(str(path.relative_to(folder)) for path in (short, long))
        async with opened(new) as each:
            assert len((await each.stores.records.find(FILED, EVERYTHING, limit=99)).records) == 31
            with pytest.raises(NotFound):
                await each.contents()

    site, new = new_site(PAIRS[0]), new_site(PAIRS[0])
    asyncio.run(work())


@pytest.mark.parametrize("what", ["records", "files", "journal"])
def test_a_place_that_is_not_empty_is_left_alone(site: Site, new_site: NewSite, target: str, what: str) -> None:
    async def work() -> None:
        await filled(source)
        await back_up(source, target)
        async with opened(site) as each:
            if what == "journal":
                await each.ground.records.commit([Delete("storage", "encryption")])
                await each.note("log-1", 0, 1)
            elif what == "files":
                await each.ground.records.commit([Delete("storage", "encryption")])
                await each.stores.blobs.put_all([b"a"])
        with pytest.raises(ValueError, match="empty place"):
            await restore(site, target)
        async with opened(site) as each:
            assert not await each.stores.records.count(FILED, EVERYTHING, at_most=1)

    source = new_site(PAIRS[0])
    asyncio.run(work())


def test_a_restore_that_was_broken_off_leaves_no_archive(site: Site, new_site: NewSite, target: str) -> None:
    async def work() -> None:
        await filled(source)
        await back_up(source, target)

        async def breaks() -> None:
            raise StoreUnavailable("the power is gone")

        with pytest.raises(StoreUnavailable, match="power"):
            await restore(site, target, settle=breaks)
        with pytest.raises(ValueError, match="restore again"):
            async with opened(site):
                pass
        with pytest.raises(ValueError, match="restore again"):
            await restore(site, target)

    source = new_site(PAIRS[0])
    asyncio.run(work())


def test_old_snapshots_go_with_what_only_they_needed(site: Site, new_site: NewSite, target: str) -> None:
    async def work() -> None:
        refs: list[BlobRef] = []
        for number in range(4):
            async with opened(site) as each:
                refs.append(await each.file(f"f{number}", b"%d" % number * 5000))
                if number:
                    await each.stores.records.commit([Delete(FILED, f"f{number - 1}")])
                    await each.stores.blobs.delete(refs[-2])
            await back_up(site, target)
        assert len(await entries_in(site, target, "files/")) == 4
        let_go = await kept_newest(site, target, 2)
        assert (let_go.snapshots, let_go.files) == (2, 2)
        assert let_go.parts > 0
        kept = await manifests_in(site, target)
        assert len(kept) == 2
        assert len(await entries_in(site, target, "files/")) == 2
        assert (await kept_newest(site, target, 2)) == type(let_go)()
        for manifest, name in zip(kept, ("f2", "f3"), strict=True):
            new = new_site(PAIRS[0])
            assert await restore(new, target, manifest.id) == []
            async with opened(new) as each:
                assert list(await each.contents()) == [name]

    asyncio.run(work())


def test_nothing_goes_while_what_stays_cannot_be_read(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        for number in range(3):
            async with opened(site) as each:
                await each.file(f"f{number}", b"%d" % number)
            await back_up(site, target)
        before = await entries_in(site, target)
        for path in (await last_part(site, target), manifests_of(target)[-1]):
            kept = path.read_bytes()
            path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
            with pytest.raises(Damaged):
                await kept_newest(site, target, 1)
            path.write_bytes(kept)
            assert await entries_in(site, target) == before
        assert (await kept_newest(site, target, 1)).snapshots == 2

    site = new_site(PAIRS[0])
    asyncio.run(work())


def test_what_was_removed_from_the_target_is_brought_again(new_site: NewSite, target: str) -> None:
    async def work() -> None:
        async with opened(site) as each:
            await each.file("a", b"a" * 1000)
        await back_up(site, target)
        for entry in await entries_in(site, target):
            if not entry.name.startswith("snapshots/"):
                remove(target, entry.name)
        again = await back_up(site, target)
        assert again.files == 1
        for manifest in await manifests_in(site, target):
            new = new_site(PAIRS[0])
            assert await restore(new, target, manifest.id) == []
            async with opened(new) as each:
                assert await each.contents() == {"a": b"a" * 1000}

    site = new_site(PAIRS[0])
    asyncio.run(work())


def remove(target: str, name: str) -> None:
    (Path(target.removeprefix("file://")) / name).unlink()
