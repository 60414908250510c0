"""Sealed blobs and records: the form on disk, and that no change to it goes unnoticed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.kernel.offload import Offload
from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.ciphers import TAG, Algorithm, algorithm_named, derived
from storage.encryption.keys import KeyRing, open_keys, rotate_data_key
from storage.encryption.records import EncryptedRecords
from storage.encryption.seal import CHUNK, HEADER, new_seal, open_content, seal_content, sealed_size, span
from storage.errors import Damaged, NotFound
from storage.filesystem.blobs import FolderBlobs
from storage.ports import BlobRef, Bytes, Delete, Put, Record
from storage.query import EVERYTHING, Equals, Order
from storage.sqlite.records import SqliteRecords

both_algorithms = pytest.mark.parametrize("algorithm", list(Algorithm))


@dataclass(frozen=True)
class Sealed:
    """An encrypted folder, and the same folder as a thief or a failing disk sees it."""

    root: Path
    keys: KeyRing
    blobs: EncryptedBlobs

    def file(self, ref: BlobRef) -> Path:
        return self.root / ref.name.partition("~")[0]


def run(folder: Path, act: Callable[[Sealed], Coroutine[Any, Any, None]], algorithm: Algorithm) -> None:
    async def opened() -> None:
        threads = Offload(io_threads=2, cpu_threads=2)
        keys = open_keys(folder / "master.key")
        root = folder / "blobs"
        root.mkdir(exist_ok=True)
        try:
            await act(Sealed(root, keys, EncryptedBlobs(FolderBlobs(root, threads), keys, threads, algorithm)))
        finally:
            threads.close()

    asyncio.run(opened())


async def everything(blobs: EncryptedBlobs, ref: BlobRef) -> bytes:
    return b"".join([bytes(piece) async for piece in blobs.read(ref)])


def test_the_form_is_the_documented_one(tmp_path: Path) -> None:
    """Opened here by hand, so that the form cannot change by accident."""
    content = os.urandom(CHUNK + 5)

    async def act(sealed: Sealed) -> None:
        (ref,) = await sealed.blobs.put_all([content])
        stored = sealed.file(ref).read_bytes()
        header, active = stored[:48], sealed.keys.active
        assert header[:8] == b"WEFT\x01\x01\x10\x00"
        assert header[8:16] == active.id
        name = base64.urlsafe_b64decode(ref.name.partition("~")[2] + "=")
        assert name == b"\x01" + header[8:]
        text = b"\x00\x00\x00\x01weft blob\x00" + header + (256).to_bytes(4, "big")
        cipher = AESGCM(hmac.digest(active.key, text, hashlib.sha256))
        first = cipher.decrypt(bytes(12), stored[48 : 48 + CHUNK + 16], None)
        last = cipher.decrypt(bytes(10) + b"\x01\x01", stored[48 + CHUNK + 16 :], None)
        assert first + last == content

    run(tmp_path, act, Algorithm.AES_256_GCM)


@both_algorithms
def test_content_is_nowhere_in_the_file_and_never_sealed_alike(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(sealed: Sealed) -> None:
        content = b"A patient's name, in clear. " * 4000
        one, other = await sealed.blobs.put_all([content, content])
        stored = [sealed.file(ref).read_bytes() for ref in (one, other)]
        assert all(b"patient" not in each for each in stored)
        assert all(len(each) == sealed_size(len(content)) for each in stored)
        assert stored[0][HEADER:] != stored[1][HEADER:]

    run(tmp_path, act, algorithm)


SIZES = st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, 3 * CHUNK]) | st.integers(
    0, 4 * CHUNK
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=SIZES, algorithm=st.sampled_from(Algorithm))
def test_any_range_opens_from_its_span_alone(
    tmp_path: Path, data: st.DataObject, size: int, algorithm: Algorithm
) -> None:
    keys = open_keys(tmp_path / "master.key")
    seal = new_seal(keys, algorithm)
    content = hashlib.shake_128(size.to_bytes(4, "big")).digest(size)
    whole = seal_content(seal, seal.cipher(keys), content)
    assert len(whole) == sealed_size(size)
    start = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - start))
    part = span(size, start, length)
    needed = whole[part.sealed_start : part.sealed_start + part.sealed_length]
    assert len(needed) == part.sealed_length <= HEADER + (length // CHUNK + 2) * (CHUNK + TAG)
    assert bytes(open_content(seal, seal.cipher(keys), needed, part)) == content[start : start + length]


@both_algorithms
def test_every_changed_byte_is_noticed(tmp_path: Path, algorithm: Algorithm) -> None:
    size = 2 * CHUNK + 100
    chunk, tag = CHUNK + TAG, TAG
    second, third = HEADER + chunk, HEADER + 2 * chunk
    places = {
        *range(HEADER),
        *(HEADER, HEADER + CHUNK - 1, HEADER + CHUNK, second - 1, second, third - tag, third - 1, third),
        *range(third + 100 - 2, third + 100 + tag),
    }

    async def act(sealed: Sealed) -> None:
        (ref,) = await sealed.blobs.put_all([os.urandom(size)])
        path = sealed.file(ref)
        stored = path.read_bytes()
        assert max(places) == len(stored) - 1
        for place in sorted(places):
            path.write_bytes(stored[:place] + bytes([stored[place] ^ 0x40]) + stored[place + 1 :])
            with pytest.raises(Damaged, match="damaged"):
                await sealed.blobs.fetch(ref)
            with pytest.raises(Damaged, match="damaged"):
                await everything(sealed.blobs, ref)
        path.write_bytes(stored)
        assert len(await everything(sealed.blobs, ref)) == size

    run(tmp_path, act, algorithm)


@both_algorithms
def test_a_blob_cut_anywhere_is_noticed(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(sealed: Sealed) -> None:
        (ref,) = await sealed.blobs.put_all([os.urandom(2 * CHUNK)])
        path = sealed.file(ref)
        stored = path.read_bytes()
        for length in (0, 1, HEADER - 1, HEADER, HEADER + CHUNK + TAG, len(stored) - TAG, len(stored) - 1):
            path.write_bytes(stored[:length])
            with pytest.raises(Damaged):
                await sealed.blobs.fetch(ref)
            with pytest.raises(Damaged):
                await everything(sealed.blobs, ref)
        path.write_bytes(stored[: HEADER + CHUNK + TAG])
        for forged in (CHUNK, CHUNK - 1, 0):
            with pytest.raises(Damaged):
                await sealed.blobs.fetch(BlobRef(ref.name, forged))

    run(tmp_path, act, algorithm)


@both_algorithms
def test_chunks_and_blobs_that_changed_places_are_noticed(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(sealed: Sealed) -> None:
        one, other = await sealed.blobs.put_all([os.urandom(3 * CHUNK), os.urandom(3 * CHUNK)])
        first, second = sealed.file(one).read_bytes(), sealed.file(other).read_bytes()
        cuts = [0, HEADER, *(HEADER + number * (CHUNK + TAG) for number in (1, 2, 3))]
        head, *chunks = [first[low:high] for low, high in zip(cuts, cuts[1:], strict=False)]
        taken = second[HEADER : HEADER + CHUNK + TAG]
        for forged in (
            head + chunks[1] + chunks[0] + chunks[2],
            head + chunks[0] + chunks[0] + chunks[2],
            head + chunks[0] + chunks[2] + chunks[1],
            head + taken + chunks[1] + chunks[2],
            head + second[HEADER:],
            second,
        ):
            sealed.file(one).write_bytes(forged)
            with pytest.raises(Damaged):
                await sealed.blobs.fetch(one)
        sealed.file(one).write_bytes(second)
        sealed.file(other).write_bytes(first)
        for ref in (one, other):
            with pytest.raises(Damaged):
                await sealed.blobs.fetch(ref, start=CHUNK, length=10)

    run(tmp_path, act, algorithm)


def test_a_forged_name_opens_nothing(tmp_path: Path) -> None:
    async def act(sealed: Sealed) -> None:
        one, other = await sealed.blobs.put_all([b"one", b"two"])
        inner, _, sealing = one.name.partition("~")
        foreign = other.name.partition("~")[2]
        forgeries = ["", sealing[:-4], "!" * 55, "A" * 55, sealing + "AAAA", "ü", foreign]
        forgeries += [base64.urlsafe_b64encode(b"\x03" + bytes(40)).decode().rstrip("=")]
        for forged in forgeries:
            with pytest.raises(Damaged):
                await sealed.blobs.fetch(BlobRef(f"{inner}~{forged}", 3))

    run(tmp_path, act, Algorithm.AES_256_GCM)


def test_another_key_file_opens_nothing(tmp_path: Path) -> None:
    async def act(sealed: Sealed) -> None:
        (ref,) = await sealed.blobs.put_all([b"content"])
        threads = Offload(io_threads=1, cpu_threads=1)
        stranger = EncryptedBlobs(FolderBlobs(sealed.root, threads), open_keys(tmp_path / "other.key"), threads)
        with pytest.raises(Damaged, match="no data key"):
            await stranger.fetch(ref)
        threads.close()

    run(tmp_path, act, Algorithm.AES_256_GCM)


def test_rotation_changes_what_seals_and_not_what_opens(tmp_path: Path) -> None:
    kept: list[BlobRef] = []

    async def before(sealed: Sealed) -> None:
        kept.extend(await sealed.blobs.put_all([b"before"]))

    async def after(sealed: Sealed) -> None:
        kept.extend(await sealed.blobs.put_all([b"after"]))
        assert [bytes(await sealed.blobs.fetch(ref)) for ref in kept] == [b"before", b"after"]
        assert len({sealed.file(ref).read_bytes()[8:16] for ref in kept}) == 2

    run(tmp_path, before, Algorithm.AES_256_GCM)
    rotate_data_key(tmp_path / "master.key")
    run(tmp_path, after, Algorithm.SM4_GCM)


def test_a_blob_without_a_header_is_listed_by_its_inner_name_and_can_be_removed(tmp_path: Path) -> None:
    async def act(sealed: Sealed) -> None:
        whole, broken, empty = await sealed.blobs.put_all([b"whole", b"broken", b"empty"])
        os.truncate(sealed.file(empty), 0)
        sealed.file(broken).write_bytes(b"X" + sealed.file(broken).read_bytes()[1:])
        inner = {str(sealed.file(ref).relative_to(sealed.root)) for ref in (broken, empty)}
        assert {name async for name in sealed.blobs.list()} == {whole.name, *inner}
        for name in inner:
            await sealed.blobs.delete(BlobRef(name, 0))
        assert [name async for name in sealed.blobs.list()] == [whole.name]

    run(tmp_path, act, Algorithm.AES_256_GCM)


def test_the_first_chunks_of_a_stream_are_sealed_before_the_last_arrive(tmp_path: Path) -> None:
    async def act(sealed: Sealed) -> None:
        written: list[int] = []

        async def chunks() -> AsyncIterator[Bytes]:
            for _ in range(6):
                yield bytes(1 << 20)
                written.append(sum(path.stat().st_size for path in sealed.root.rglob("*") if path.is_file()))

        await sealed.blobs.put(chunks())
        assert written[-1] >= 3 << 20

    run(tmp_path, act, Algorithm.AES_256_GCM)


def test_an_absent_blob_is_not_damage(tmp_path: Path) -> None:
    async def act(sealed: Sealed) -> None:
        (ref,) = await sealed.blobs.put_all([b"gone"])
        sealed.file(ref).unlink()
        with pytest.raises(NotFound):
            await sealed.blobs.fetch(ref)

    run(tmp_path, act, Algorithm.AES_256_GCM)


def test_a_derived_key_depends_on_all_that_it_is_derived_from() -> None:
    def sealed(*parts: bytes) -> bytes:
        buffer = bytearray(TAG + 4)
        derived(Algorithm.AES_256_GCM, *parts).encrypt_into(bytes(12), b"same", None, buffer)
        return bytes(buffer)

    key = bytes(32)
    made = [
        sealed(key, b"blob", b"1"),
        sealed(key, b"blob", b"2"),
        sealed(key, b"record", b"1"),
        sealed(b"k" * 32, b"blob", b"1"),
    ]
    assert len(set(made)) == 4


def test_an_unknown_algorithm_is_refused_by_name() -> None:
    assert [algorithm_named(name) for name in ("aes-256-gcm", "sm4-gcm")] == list(Algorithm)
    with pytest.raises(ValueError, match="one of aes-256-gcm, sm4-gcm, off"):
        algorithm_named("rot13")


@dataclass(frozen=True)
class Shelf:
    """Encrypted records, the same ones as they lie there, and what it takes to open them once more."""

    sealed: EncryptedRecords
    plain: SqliteRecords
    key_file: Path
    threads: Offload

    def again(self, algorithm: Algorithm) -> EncryptedRecords:
        """As another process would open them."""
        return EncryptedRecords(self.plain, open_keys(self.key_file), self.threads, algorithm)


def on_shelf(folder: Path, act: Callable[[Shelf], Coroutine[Any, Any, None]], algorithm: Algorithm) -> None:
    async def opened() -> None:
        threads = Offload(io_threads=2, cpu_threads=1)
        plain = SqliteRecords(folder / "records.sqlite", threads)
        key_file = folder / "master.key"
        try:
            await act(Shelf(EncryptedRecords(plain, open_keys(key_file), threads, algorithm), plain, key_file, threads))
        finally:
            await plain.close()
            threads.close()

    asyncio.run(opened())


@both_algorithms
def test_records_come_back_open_and_lie_there_sealed(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(shelf: Shelf) -> None:
        sealed, plain = shelf.sealed, shelf.plain
        bodies = {str(number): b"a patient's name " * number for number in range(60)}
        puts = [Put("study", name, body, {"n": frozenset({int(name)})}) for name, body in bodies.items()]
        assert await sealed.commit(puts) == [1] * 60
        assert {each.id: each.body for each in await sealed.get("study", list(bodies))} == bodies
        page = await sealed.find("study", EVERYTHING, order=[Order("n")], limit=50)
        assert page.records == [Record(str(number), 1, bodies[str(number)]) for number in range(50)]
        rest = await sealed.find("study", EVERYTHING, order=[Order("n")], after=page.next, limit=50)
        assert [each.id for each in rest.records] == [str(number) for number in range(50, 60)]
        assert await sealed.count("study", Equals("n", 7), at_most=9) == 1
        assert all(b"patient" not in each.body for each in await plain.get("study", list(bodies)))
        assert await sealed.commit([Put("study", "1", b"new", expected=1), Delete("study", "2")]) == [2, 0]
        assert await sealed.get("study", ["1", "2"]) == [Record("1", 2, b"new")]

    on_shelf(tmp_path, act, algorithm)


@both_algorithms
def test_a_body_changed_or_moved_is_noticed(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(shelf: Shelf) -> None:
        sealed, plain = shelf.sealed, shelf.plain
        await sealed.commit([Put("study", "one", b"body one"), Put("study", "two", b"body two")])
        one, two = (each.body for each in await plain.get("study", ["one", "two"]))
        forgeries = [two, b"", b"body one", one[:-1], one[:30], one + b"\0"]
        forgeries += [one[:at] + bytes([one[at] ^ 0x40]) + one[at + 1 :] for at in range(len(one))]
        for forged in forgeries:
            await plain.commit([Put("study", "one", forged)])
            with pytest.raises(Damaged):
                await sealed.get("study", ["one"])
            with pytest.raises(Damaged):
                await sealed.find("study", EVERYTHING, limit=10)
        await plain.commit([Put("series", "one", one)])
        with pytest.raises(Damaged):
            await sealed.get("series", ["one"])

    on_shelf(tmp_path, act, algorithm)


def test_records_sealed_by_others_and_under_older_keys_open(tmp_path: Path) -> None:
    async def act(shelf: Shelf) -> None:
        other = shelf.again(Algorithm.SM4_GCM)
        await shelf.sealed.commit([Put("c", "1", b"old key")])
        await other.commit([Put("c", "2", b"other cipher")])
        rotate_data_key(shelf.key_file)
        later = shelf.again(Algorithm.AES_256_GCM)
        await later.commit([Put("c", "3", b"new key")])
        for reader in (shelf.sealed, other, later):
            found = await reader.get("c", ["1", "2", "3"])
            assert [each.body for each in found] == [b"old key", b"other cipher", b"new key"]
        await shelf.sealed.commit([Put("c", "4", b"after a reader met the new key, it writes under it")])
        third, fourth = await shelf.plain.get("c", ["3", "4"])
        assert fourth.body[1:9] == third.body[1:9]

    on_shelf(tmp_path, act, Algorithm.AES_256_GCM)


@both_algorithms
def test_long_pages_and_batches_are_the_same_by_way_of_a_thread(tmp_path: Path, algorithm: Algorithm) -> None:
    async def act(shelf: Shelf) -> None:
        bodies = {str(number): os.urandom(40_000) for number in range(40)}
        await shelf.sealed.commit([Put("c", name, body) for name, body in bodies.items()])
        assert {each.id: each.body for each in await shelf.sealed.get("c", list(bodies))} == bodies

    on_shelf(tmp_path, act, algorithm)


def test_no_two_bodies_share_a_nonce_under_one_key(tmp_path: Path) -> None:
    async def act(shelf: Shelf) -> None:
        sealed, plain = shelf.sealed, shelf.plain
        await sealed.commit([Put("c", str(number), b"same") for number in range(500)])
        found = await plain.get("c", [str(number) for number in range(500)])
        assert len({each.body[:37] for each in found}) == 500
        assert len({each.body[:25] for each in found}) == 1

    on_shelf(tmp_path, act, Algorithm.AES_256_GCM)
