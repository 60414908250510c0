"""Every promise of `storage.ports.Blobs` about content, kept by every adapter, sealed and in clear."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernel.offload import Offload
from storage.errors import NotFound, StoreUnavailable
from storage.filesystem.witness import FolderWitness
from storage.journal import Witness
from storage.ports import BlobRef, Blobs, Bytes
from storage.s3.blobs import S3Blobs, bucket_store
from storage.s3.witness import S3Witness
from tests.contract.blobs.places import KIB, MIB, Place, content_of, run, stream, whole
from tests.s3server import S3Server

BOUNDARIES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, MIB - 1, MIB, MIB + 1]
LONG_BOUNDARIES = [2 * MIB, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 11 * MIB + 77]


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
