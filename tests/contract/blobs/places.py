"""Places to keep blobs in, sealed and in clear, and what is put there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.kernel.offload import Offload
from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.ciphers import Algorithm
from storage.filesystem.blobs import FolderBlobs
from storage.ports import BlobRef, Blobs, Bytes, Threads
from storage.s3.blobs import S3Blobs, bucket_store
from tests.s3server import S3Server

KIB, MIB = 1 << 10, 1 << 20
PLACES = ["folder", "s3", "folder-aes", "folder-sm4", "s3-aes"]


@dataclass(frozen=True)
class Place:
    """Somewhere to keep blobs: how to open it, and what lies there, unfinished uploads included."""

    open: Callable[[Threads], Blobs]
    remains: Callable[[], list[str]]


def opened_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    """The one of PLACES that the fixture's parameter names; sealed with the fixture `keys`, if it is."""
    kind, _, cipher = request.param.partition("-")
    plain = in_folder(folder) if kind == "folder" else in_bucket(request.getfixturevalue("s3_server"))
    if not cipher:
        return plain
    keys = request.getfixturevalue("keys")
    algorithm = Algorithm.AES_256_GCM if cipher == "aes" else Algorithm.SM4_GCM
    return Place(lambda threads: EncryptedBlobs(plain.open(threads), keys, threads, algorithm), plain.remains)


def in_folder(root: Path) -> Place:
    def remains() -> list[str]:
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    return Place(lambda threads: FolderBlobs(root, threads), remains)


def in_bucket(server: S3Server) -> Place:
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
