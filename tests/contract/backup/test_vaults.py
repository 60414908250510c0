"""Every promise of `storage.vault.Vault`, kept by every adapter."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from server.kernel.offload import Offload
from storage.errors import Damaged, NotFound, StoreUnavailable
from storage.filesystem.vault import FolderVault
from storage.open import open_vault
from storage.ports import Bytes
from storage.vault import Below, Entry, Vault
from tests.contract.backup.conftest import PAIRS, NewSite

MIB = 1 << 20


@pytest.fixture(params=PAIRS)
def url(request: pytest.FixtureRequest, new_site: NewSite) -> str:
    return new_site(request.param).blobs


def run(url: str, act: Callable[[Vault], Awaitable[None]]) -> None:
    async def work() -> None:
        threads = Offload(io_threads=4, cpu_threads=1)
        try:
            await act(await open_vault(url, threads))
        finally:
            threads.close()

    asyncio.run(work())


async def stream(content: bytes, step: int, then: BaseException | None = None) -> AsyncIterator[Bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]
    if then is not None:
        raise then


async def whole(vault: Vault, entry: Entry) -> bytes:
    return b"".join([bytes(piece) async for piece in vault.read(entry)])


def test_what_was_put_is_listed_in_order_and_read(url: str) -> None:
    async def act(vault: Vault) -> None:
        names = ["b/2/x", "a/1", "b/1/y", "b/1/x", "c"]
        await vault.put_all([(name, name.encode()) for name in names])
        assert [each async for each in vault.list()] == [Entry(name, len(name)) for name in sorted(names)]
        assert [each.name async for each in vault.list("b/")] == ["b/1/x", "b/1/y", "b/2/x"]
        assert [each async for each in vault.list("d/")] == []
        assert [each async for each in Below(vault, "b/").list("1/")] == [Entry("1/x", 5), Entry("1/y", 5)]
        assert bytes(await vault.fetch("b/2/x")) == b"b/2/x"
        await vault.put_all([("c", b"other")])
        assert bytes(await vault.fetch("c")) == b"other"
        await vault.put_all([])

    run(url, act)


def test_any_number_is_listed_each_once(url: str) -> None:
    names = [f"{number % 7}/{number:04}" for number in range(2_100)]

    async def act(vault: Vault) -> None:
        await vault.put_all([(name, b"") for name in names])
        assert [each.name async for each in vault.list()] == sorted(names)

    run(url, act)


@pytest.mark.parametrize("size", [0, 1, MIB, 9 * MIB + 1, 23 * MIB])
def test_a_stream_of_any_length_is_put_whole(url: str, size: int) -> None:
    content = os.urandom(size)

    async def act(vault: Vault) -> None:
        await vault.put("a/long", stream(content, 700_001))
        assert [each async for each in vault.list()] == [Entry("a/long", size)]
        assert await whole(vault, Entry("a/long", size)) == content
        if size > 1:
            assert await whole(vault, Entry("a/long", size - 1)) == content[:-1]
        with pytest.raises(Damaged):
            await whole(vault, Entry("a/long", size + 1))

    run(url, act)


@pytest.mark.parametrize("size", [10, 30 * MIB])
def test_of_a_stream_that_breaks_off_nothing_is_left(url: str, size: int) -> None:
    async def act(vault: Vault) -> None:
        with pytest.raises(StoreUnavailable, match="gone"):
            await vault.put("a/b", stream(bytes(size), MIB, StoreUnavailable("gone")))
        assert [each async for each in vault.list()] == []

    run(url, act)
    if url.startswith("file://"):
        assert not [path for path in Path(url.removeprefix("file://")).rglob("*") if path.is_file()]


def test_what_is_absent_is_told_and_may_be_deleted(url: str) -> None:
    async def act(vault: Vault) -> None:
        for name in ("a", "a/b", "../a", "/etc/passwd", "a//b", ""):
            with pytest.raises(NotFound):
                await vault.fetch(name)
        with pytest.raises(NotFound):
            await whole(vault, Entry("a/b", 0))
        await vault.delete("a/b")
        await vault.put_all([("a/b", b"")])
        await vault.delete("a/b")
        assert [each async for each in vault.list()] == []

    run(url, act)


def test_what_a_folder_acknowledges_has_been_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)

    async def act(vault: Vault) -> None:
        assert isinstance(vault, FolderVault)
        await vault.put_all([("a/b/one", b"1"), ("a/b/two", b"2")])
        assert len([each for each in flushed if Path(each).parent == tmp_path / "a/b"]) == 2
        assert set(flushed[2:]) == {str(tmp_path / "a/b"), str(tmp_path / "a"), str(tmp_path)}

    run(f"file://{tmp_path}", act)


def test_what_a_disk_cannot_read_is_one_files_damage(tmp_path: Path) -> None:
    async def act(vault: Vault) -> None:
        await vault.put_all([("a/c", b"c")])
        # The system answers a read at its beginning as a failing disk does.
        (tmp_path / "a/b").symlink_to("/proc/self/mem")
        with pytest.raises(Damaged, match="the disk cannot read it"):
            await whole(vault, Entry("a/b", 10))
        with pytest.raises(Damaged, match="the disk cannot read it"):
            await vault.fetch("a/b")
        assert bytes(await vault.fetch("a/c")) == b"c"

    run(f"file://{tmp_path}", act)


def test_what_is_half_written_is_not_listed(tmp_path: Path) -> None:
    async def act(vault: Vault) -> None:
        async def look() -> AsyncIterator[Bytes]:
            yield bytes(3 * MIB)
            assert [each async for each in vault.list()] == []
            yield b"end"

        await vault.put("a/b", look())
        assert [each.name async for each in vault.list()] == ["a/b"]

    run(f"file://{tmp_path}", act)
