"""What a folder of blobs acknowledged is on disk, whole or said to be damaged: flushes, full disks, kills."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.ciphers import Aead
from storage.encryption.keys import KeyRing
from storage.encryption.seal import Seal, seal_content
from storage.errors import StoreUnavailable
from storage.ports import BlobRef, Blobs, Bytes
from tests.contract.blobs.places import MIB, Place, content_of, in_folder, run, stream, whole


def test_what_the_folder_acknowledges_has_been_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)

    async def act(blobs: Blobs) -> None:
        refs = [*await blobs.put_all([b"one", b"two"]), await blobs.put(stream(b"three", 2))]
        assert await blobs.put_all([]) == []
        for ref in refs:
            path = tmp_path / ref.name
            assert str(path) in flushed
            assert flushed.index(str(path)) < len(flushed) - flushed[::-1].index(str(path.parent))
            assert {str(path.parent.parent), str(tmp_path)} <= set(flushed)

    run(in_folder(tmp_path), act)


def test_what_cannot_be_sealed_half_way_leaves_nothing(
    tmp_path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents are sealed while those before them lie in the folder already."""
    plain = in_folder(tmp_path)

    def failing(seal: Seal, cipher: Aead, content: Bytes) -> bytearray:
        if content == b"two":
            raise ValueError("two")
        return seal_content(seal, cipher, content)

    async def act(blobs: Blobs) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ValueError, match="two"):
            await blobs.put_all([b"one", b"two", b"three"])
        assert len(os.listdir("/proc/self/fd")) == before
        await blobs.put_all([b"one"])

    monkeypatch.setattr("storage.encryption.blobs.seal_content", failing)
    run(Place(lambda threads: EncryptedBlobs(plain.open(threads), keys, threads), plain.remains), act)
    assert len(plain.remains()) == 1


def test_a_folder_that_lost_the_end_of_a_blob_says_so(tmp_path: Path) -> None:
    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([bytes(3 * MIB)])
        os.truncate(tmp_path / ref.name, 2 * MIB)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await blobs.fetch(ref)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await whole(blobs, ref)
        assert len(await blobs.fetch(ref, length=2 * MIB)) == 2 * MIB

    run(in_folder(tmp_path), act)


def test_a_blob_that_left_the_page_cache_wholly_or_in_part_is_the_same(tmp_path: Path, keys: KeyRing) -> None:
    content = content_of(3 * MIB)
    plain = in_folder(tmp_path)

    def forget(start: int, length: int) -> None:
        for path in plain.remains():
            descriptor = os.open(tmp_path / path, os.O_RDONLY)
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)

    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([content])
        for start, length in ((0, 0), (MIB, 0), (0, MIB), (MIB // 2, MIB // 4)):
            forget(start, length)
            assert bytes(await blobs.fetch(ref, length=MIB)) == content[:MIB]
            forget(start, length)
            assert bytes(await blobs.fetch(ref)) == content
            forget(start, length)
            assert await whole(blobs, ref) == content

    run(plain, act)
    run(Place(lambda threads: EncryptedBlobs(plain.open(threads), keys, threads), plain.remains), act)


_LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from server.kernel.offload import Offload
from storage.errors import StoreUnavailable
from storage.filesystem.blobs import FolderBlobs

async def chunks():
    for _ in range(8):
        yield bytes(1 << 20)

async def main():
    blobs = FolderBlobs(Path(sys.argv[1]), Offload())
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    for act in (lambda: blobs.put(chunks()), lambda: blobs.put_all([b"small", bytes(4 << 20), b"after"])):
        try:
            await act()
        except StoreUnavailable as error:
            print("refused:", error)

asyncio.run(main())
"""


def test_a_disk_that_takes_no_more_is_reported_and_cleaned_up(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.count("refused: the folder of blobs: File too large") == 2
    assert in_folder(tmp_path).remains() == []


_ENDLESS = """
import asyncio, os, sys
from pathlib import Path
from server.kernel.offload import Offload
from storage.filesystem.blobs import FolderBlobs

async def chunks(content):
    yield content

async def main():
    blobs = FolderBlobs(Path(sys.argv[1]), Offload())
    while True:
        content = os.urandom(20_000)
        for ref in [await blobs.put(chunks(content)), *await blobs.put_all([content, content])]:
            print(ref.name, ref.size, content[:16].hex(), flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    lines += [line.split() for line in process.stdout.read().split("\n")[:-1]]
    process.stdout.close()
    process.wait()

    async def act(blobs: Blobs) -> None:
        for name, size, beginning in lines:
            content = bytes(await blobs.fetch(BlobRef(name, int(size))))
            assert (len(content), content[:16].hex()) == (20_000, beginning)

    run(in_folder(tmp_path), act)
