"""Every promise of `storage.ports.Blobs`, kept by every adapter, sealed and in clear."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernel.offload import Offload
from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.ciphers import Algorithm
from storage.encryption.keys import KeyRing, open_keys
from storage.errors import NotFound, StoreUnavailable
from storage.filesystem.blobs import FolderBlobs
from storage.filesystem.witness import FolderWitness
from storage.journal import Witness
from storage.ports import BlobRef, Blobs, Bytes, Threads
from storage.s3.blobs import S3Blobs, bucket_store
from storage.s3.witness import S3Witness
from tests.s3server import S3Server, running_s3

KIB, MIB = 1 << 10, 1 << 20
BOUNDARIES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, MIB - 1, MIB, MIB + 1]
LONG_BOUNDARIES = [2 * MIB, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 11 * MIB + 77]


@dataclass(frozen=True)
class Place:
    """Somewhere to keep blobs: how to open it, and what lies there, unfinished uploads included."""

    open: Callable[[Threads], Blobs]
    remains: Callable[[], list[str]]


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return open_keys(tmp_path_factory.mktemp("keys") / "master.key")


@pytest.fixture(scope="module", params=["folder", "s3", "folder-aes", "folder-sm4", "s3-aes"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    kind, _, cipher = request.param.partition("-")
    plain = (
        _folder(tmp_path_factory.mktemp("blobs")) if kind == "folder" else _bucket(request.getfixturevalue("s3_server"))
    )
    if not cipher:
        return plain
    keys = request.getfixturevalue("keys")
    algorithm = Algorithm.AES_256_GCM if cipher == "aes" else Algorithm.SM4_GCM
    return Place(lambda threads: EncryptedBlobs(plain.open(threads), keys, threads, algorithm), plain.remains)


def _folder(root: Path) -> Place:
    def remains() -> list[str]:
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    return Place(lambda threads: FolderBlobs(root, threads), remains)


def _bucket(server: S3Server) -> Place:
    bucket = server.new_bucket()
    store = bucket_store(
        bucket,
        "some/prefix",
        endpoint=server.endpoint,
        region="us-east-1",
        allow_http=True,
        credentials=(server.access_key, server.secret_key),
    )

    def remains() -> list[str]:
        client = server.client()
        objects = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        client.close()
        return [each["Key"] for each in objects] + [each["Key"] for each in uploads]

    return Place(lambda threads: S3Blobs(store), remains)


def run(place: Place, act: Callable[[Blobs], Coroutine[Any, Any, None]]) -> None:
    """Open the place and act on it, in a loop of its own."""

    async def opened() -> None:
        threads = Offload(io_threads=4, cpu_threads=2)
        blobs = place.open(threads)
        try:
            await act(blobs)
        finally:
            await blobs.close()
            threads.close()

    asyncio.run(opened())


async def turn() -> None:
    """Let the loop run what is ready."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned


def content_of(size: int) -> bytes:
    """Bytes in which no stretch repeats where a mix-up could hide it."""
    return (b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1)))[:size]


async def stream(content: bytes, step: int) -> AsyncIterator[Bytes]:
    for start in range(0, len(content), step):
        yield content[start : start + step]


async def whole(blobs: Blobs, ref: BlobRef, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([bytes(piece) async for piece in blobs.read(ref, start=start, length=length)])


def test_blobs_put_together_come_back_each_as_it_was(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        contents = [content_of(size) for size in BOUNDARIES]
        refs = await blobs.put_all(contents)
        assert [ref.size for ref in refs] == BOUNDARIES
        assert len({ref.name for ref in refs}) == len(refs)
        for ref, content in zip(refs, contents, strict=True):
            assert bytes(await blobs.fetch(ref)) == content
            assert await whole(blobs, ref) == content

    run(place, act)


@pytest.mark.parametrize("step", [1000, 64 * KIB, 3 * MIB])
def test_a_stream_comes_back_as_it_was(place: Place, step: int) -> None:
    async def act(blobs: Blobs) -> None:
        for size in [*BOUNDARIES, *LONG_BOUNDARIES]:
            content = content_of(size)
            ref = await blobs.put(stream(content, step))
            assert ref.size == size
            assert bytes(await blobs.fetch(ref)) == content
            assert await whole(blobs, ref) == content

    run(place, act)


def test_a_stream_of_uneven_and_empty_chunks_comes_back(place: Place) -> None:
    async def chunks() -> AsyncIterator[Bytes]:
        yield b""
        for piece in (bytearray(b"abc"), memoryview(b"defg"), b"", b"h" * 70_000, b""):
            yield piece

    async def act(blobs: Blobs) -> None:
        ref = await blobs.put(chunks())
        assert bytes(await blobs.fetch(ref)) == b"abcdefg" + b"h" * 70_000
        assert ref.size == 70_007

    run(place, act)


def test_nothing_put_is_nothing_stored(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        assert await blobs.put_all([]) == []

    run(place, act)


def test_any_range_is_the_slice_of_the_content(place: Place) -> None:
    content = content_of(300_001)
    kept: list[BlobRef] = []

    async def keep(blobs: Blobs) -> None:
        kept.extend(await blobs.put_all([content]))

    run(place, keep)
    near = st.sampled_from([0, 1, 65_535, 65_536, 65_537, 131_072, 299_999, 300_000, 300_001, 300_002, 400_000])
    positions = near | st.integers(0, 310_000)

    @settings(max_examples=40, deadline=None)
    @given(ranges=st.lists(st.tuples(positions, st.none() | positions), min_size=1, max_size=10))
    def holds(ranges: list[tuple[int, int | None]]) -> None:
        async def act(blobs: Blobs) -> None:
            for start, length in ranges:
                wanted = content[start:] if length is None else content[start : start + length]
                assert bytes(await blobs.fetch(kept[0], start=start, length=length)) == wanted
                assert await whole(blobs, kept[0], start, length) == wanted

        run(place, act)

    holds()


def test_a_long_range_is_read_in_pieces_that_can_be_held(place: Place) -> None:
    content = content_of(11 * MIB + 5)

    async def act(blobs: Blobs) -> None:
        ref = await blobs.put(stream(content, MIB))
        pieces = [bytes(piece) async for piece in blobs.read(ref, start=100_003, length=9 * MIB)]
        assert max(map(len, pieces)) <= 4 * MIB
        assert b"".join(pieces) == content[100_003 : 100_003 + 9 * MIB]
        assert bytes(await blobs.fetch(ref, start=17, length=6 * MIB)) == content[17 : 17 + 6 * MIB]

    run(place, act)


def test_a_range_that_begins_before_the_blob_is_refused(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([b"abc"])
        with pytest.raises(ValueError):
            await blobs.fetch(ref, start=-1)
        with pytest.raises(ValueError):
            await blobs.fetch(ref, length=-1)

    run(place, act)


def test_a_deleted_blob_is_not_found_and_may_be_deleted_again(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        first, second, empty = await blobs.put_all([b"first", b"second", b""])
        for ref in (first, empty):
            await blobs.delete(ref)
            await blobs.delete(ref)
            with pytest.raises(NotFound):
                await blobs.fetch(ref)
            with pytest.raises(NotFound):
                await blobs.fetch(ref, start=9)
            with pytest.raises(NotFound):
                await whole(blobs, ref)
        assert bytes(await blobs.fetch(second)) == b"second"

    run(place, act)


def test_a_name_the_store_never_gave_leads_nowhere(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not yours")

    async def act(blobs: Blobs) -> None:
        (known,) = await blobs.put_all([b"known"])
        tail = known.name[45:]
        for name in (f"../../{outside}", str(outside), "", "..", "20260101/0000/" + "g" * 32, known.name[:-1] + "\0"):
            for forged in (name, name + tail):
                with pytest.raises((NotFound, StoreUnavailable)):
                    await blobs.fetch(BlobRef(forged, 9))
                await blobs.delete(BlobRef(forged, 9))
        assert outside.read_bytes() == b"not yours"

    run(place, act)


def test_listing_gives_every_name_as_it_was_given_out(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        refs = await blobs.put_all([b"%d" % number for number in range(70)])
        assert {ref.name for ref in refs} <= {name async for name in blobs.list()}
        for ref in refs[:60]:
            await blobs.delete(ref)
        left = {name async for name in blobs.list()}
        assert {ref.name for ref in refs} & left == {ref.name for ref in refs[60:]}

    run(place, act)


def test_blobs_written_at_once_do_not_mix(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        contents = [bytes([number]) * (40_000 * (number + 1)) for number in range(16)]
        refs = await asyncio.gather(*(blobs.put(stream(content, 30_011)) for content in contents))
        more = await asyncio.gather(*(blobs.put_all(contents[at : at + 4]) for at in range(0, 16, 4)))
        for ref, content in zip([*refs, *(ref for part in more for ref in part)], contents * 2, strict=True):
            assert bytes(await blobs.fetch(ref)) == content

    run(place, act)


def test_one_blob_is_read_by_many_at_once(place: Place) -> None:
    content = content_of(3 * MIB)

    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([content])
        starts = range(0, 3 * MIB, 199_999)
        parts = await asyncio.gather(*(blobs.fetch(ref, start=start, length=199_999) for start in starts))
        assert b"".join(map(bytes, parts)) == content
        streams = await asyncio.gather(*(whole(blobs, ref) for _ in range(4)))
        assert all(each == content for each in streams)

    run(place, act)


@pytest.mark.parametrize("size", [0, 10, 12 * MIB])
def test_a_stream_that_fails_leaves_nothing(place: Place, size: int) -> None:
    class Left(Exception):
        pass

    async def failing() -> AsyncIterator[Bytes]:
        async for chunk in stream(bytes(size), MIB):
            yield chunk
        raise Left

    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        with pytest.raises(Left):
            await blobs.put(failing())

    run(place, act)
    assert sorted(place.remains()) == before


@pytest.mark.parametrize("size", [0, 10, MIB, 12 * MIB])
def test_a_put_that_is_cancelled_leaves_nothing(place: Place, size: int) -> None:
    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        waiting = asyncio.Event()

        async def hanging() -> AsyncIterator[Bytes]:
            async for chunk in stream(bytes(size), MIB):
                yield chunk
            waiting.set()
            await asyncio.Event().wait()

        put = asyncio.ensure_future(blobs.put(hanging()))
        await waiting.wait()
        put.cancel()
        with pytest.raises(asyncio.CancelledError):
            await put

    run(place, act)
    assert sorted(place.remains()) == before


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
def test_cancelling_at_any_moment_leaves_nothing(place: Place, turns: int) -> None:
    before = sorted(place.remains())

    async def act(blobs: Blobs) -> None:
        puts: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(blobs.put_all([bytes(300_000), bytes(10), bytes(MIB)])),
            asyncio.ensure_future(blobs.put(stream(bytes(6 * MIB), 100_000))),
        ]
        for _ in range(turns):
            await turn()
        for put in puts:
            put.cancel()
            put.cancel()
        await asyncio.wait(puts)
        for put in puts:
            if not put.cancelled():
                for ref in put.result() if isinstance(put.result(), list) else [put.result()]:
                    await blobs.delete(ref)

    run(place, act)
    assert sorted(place.remains()) == before


def test_a_reader_that_leaves_early_leaves_nothing_open(place: Place) -> None:
    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([content_of(9 * MIB)])
        await whole(blobs, ref)
        before = _open_files()
        for _ in range(5):
            pieces = blobs.read(ref)
            await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]
            reading = asyncio.ensure_future(whole(blobs, ref))
            await turn()
            reading.cancel()
            await asyncio.wait([reading])
        assert _open_files() == before

    run(place, act)


def _open_files() -> list[str]:
    """The regular files this process has open."""
    folder = Path("/proc/self/fd")
    targets = [os.readlink(each) for each in folder.iterdir() if each.exists()]
    return sorted(target for target in targets if Path(target).is_file())


def test_a_long_stream_is_not_held(place: Place) -> None:
    chunk = os.urandom(256 * KIB)

    async def long() -> AsyncIterator[Bytes]:
        for _ in range(192):
            yield chunk

    async def act(blobs: Blobs) -> None:
        tracemalloc.start()
        try:
            ref = await blobs.put(long())
            async for _ in blobs.read(ref):
                pass
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 * MIB
        await blobs.delete(ref)

    run(place, act)


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

    run(_folder(tmp_path), act)


def test_a_folder_that_lost_the_end_of_a_blob_says_so(tmp_path: Path) -> None:
    async def act(blobs: Blobs) -> None:
        (ref,) = await blobs.put_all([bytes(3 * MIB)])
        os.truncate(tmp_path / ref.name, 2 * MIB)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await blobs.fetch(ref)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await whole(blobs, ref)
        assert len(await blobs.fetch(ref, length=2 * MIB)) == 2 * MIB

    run(_folder(tmp_path), act)


def test_a_blob_that_left_the_page_cache_wholly_or_in_part_is_the_same(tmp_path: Path, keys: KeyRing) -> None:
    content = content_of(3 * MIB)
    plain = _folder(tmp_path)

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
    assert _folder(tmp_path).remains() == []


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

    run(_folder(tmp_path), act)


def test_a_bucket_nobody_serves_is_unavailable() -> None:
    store = bucket_store(
        "nobody", "", endpoint="http://127.0.0.1:9", region="us-east-1", allow_http=True, credentials=("a", "secret-b")
    )

    async def act(blobs: Blobs) -> None:
        ref = BlobRef("20260101/0000/" + "0" * 32, 1)
        for attempt in (blobs.fetch(ref), blobs.put_all([b"a"])):
            with pytest.raises(StoreUnavailable) as caught:
                await attempt
            assert "secret-b" not in str(caught.value)

    run(Place(lambda threads: S3Blobs(store), list), act)


def test_a_bucket_that_does_not_exist_is_unavailable_not_empty(s3_server: S3Server) -> None:
    store = bucket_store(
        "weft-never-made",
        "",
        endpoint=s3_server.endpoint,
        region="us-east-1",
        allow_http=True,
        credentials=(s3_server.access_key, s3_server.secret_key),
    )

    async def act(blobs: Blobs) -> None:
        with pytest.raises(StoreUnavailable):
            await blobs.fetch(BlobRef("20260101/0000/" + "0" * 32, 1))
        with pytest.raises(StoreUnavailable):
            await blobs.put_all([b"a"])

    run(Place(lambda threads: S3Blobs(store), list), act)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_witness_keeps_the_first_of_a_name(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Copies of audit checkpoints lie in such places as blobs do, and are never replaced."""

    async def act(witness: Witness) -> None:
        assert await witness.names() == []
        for content in (b"first", b"second"):
            await witness.put("0000000/a.json", content)
        await witness.put("0000001/b.json", b"other")
        assert sorted(await witness.names()) == ["0000000/a.json", "0000001/b.json"]
        assert await witness.get("0000000/a.json") == b"first"
        with pytest.raises(NotFound):
            await witness.get("0000000/c.json")

    threads = Offload(io_threads=1, cpu_threads=1)
    if kind == "folder":
        asyncio.run(act(FolderWitness(tmp_path, threads)))
    else:
        server: S3Server = request.getfixturevalue("s3_server")
        credentials = (server.access_key, server.secret_key)
        place = {"endpoint": server.endpoint, "region": "us-east-1", "allow_http": True, "credentials": credentials}
        asyncio.run(act(S3Witness(bucket_store(server.new_bucket(), "audit", **place))))
    threads.close()
