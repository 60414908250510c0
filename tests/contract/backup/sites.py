"""Archives to back up, on either pair of stores, and what can be asked of them."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from server.kernel.offload import Offload
from storage.backup.keep import LetGo, keep_newest
from storage.backup.manifest import Manifest, Manifests
from storage.backup.naming import Naming
from storage.backup.restore import Place, Restoring
from storage.backup.shelf import Shelf
from storage.backup.take import Archive, Taken, Taking
from storage.journal import Journal, Line
from storage.open import Stores, Underlying, open_chunks, open_journal, open_stores, open_underlying, open_vault
from storage.ports import BlobRef, Put, Record
from storage.query import EVERYTHING, Key
from storage.vault import Entry, Vault

T = TypeVar("T")

FILED = "filed"
"""A collection whose records name files."""
NAME = "Wang^XiaoDong=王^小东"


@dataclass(frozen=True)
class Site:
    """Where an archive lies and how it is sealed."""

    records: str
    blobs: str
    audit: str
    key_file: Path
    encryption: str = "aes-256-gcm"

    def sealed(self, encryption: str) -> Site:
        return replace(self, encryption=encryption)


@dataclass
class Opened:
    """An archive in use."""

    stores: Stores
    ground: Underlying
    journal: Journal
    threads: Offload

    async def file(self, id_: str, content: bytes, **keys: Key) -> BlobRef:
        """A file, and then a record that names it."""
        (ref,) = await self.stores.blobs.put_all([content])
        body = json.dumps([ref.name, ref.size, NAME]).encode()
        await self.stores.records.commit([Put(FILED, id_, body, {name: frozenset({keys[name]}) for name in keys})])
        return ref

    async def note(self, chain: str, first: int, count: int) -> None:
        appender = await self.journal.claim(chain)
        assert appender is not None
        await appender.append([Line(n, b"head %d" % n, b"body %d" % n) for n in range(first, first + count)])
        await appender.release()

    async def contents(self) -> Mapping[str, bytes]:
        """By record: the octets of the files that they name."""
        found = await self.stores.records.find(FILED, EVERYTHING, limit=100_000)
        return {each.id: bytes(await self.stores.blobs.fetch(_ref(each))) for each in found.records}

    async def lines(self, chain: str) -> list[Line]:
        return await self.journal.read(chain, 0, 100_000)


class Target(NamedTuple):
    vault: Vault
    shelf: Shelf
    manifests: Manifests


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[Opened]:
    threads = Offload(io_threads=4, cpu_threads=2)
    async with AsyncExitStack() as undo:
        undo.callback(threads.close)
        stores = await open_stores(
            site.records, site.blobs, encryption=site.encryption, key_file=site.key_file, threads=threads
        )
        undo.push_async_callback(stores.close)
        ground = await open_underlying(site.records, site.blobs, threads)
        undo.push_async_callback(ground.close)
        journal = await open_journal(site.audit, encryption=site.encryption, key_file=site.key_file, threads=threads)
        undo.push_async_callback(journal.journal.close)
        yield Opened(stores, ground, journal.journal, threads)


@asynccontextmanager
async def empty(site: Site) -> AsyncIterator[Place]:
    """As a restore opens it: nothing is written by that."""
    threads = Offload(io_threads=4, cpu_threads=2)
    async with AsyncExitStack() as undo:
        undo.callback(threads.close)
        ground = await open_underlying(site.records, site.blobs, threads)
        undo.push_async_callback(ground.close)
        journal = await open_journal(site.audit, encryption="off", key_file=site.key_file, threads=threads)
        undo.push_async_callback(journal.journal.close)
        yield Place(ground.records, ground.rows, ground.files, journal.journal)


@asynccontextmanager
async def target_of(site: Site, url: str) -> AsyncIterator[Target]:
    threads = Offload(io_threads=4, cpu_threads=2)
    try:
        vault = await open_vault(url, threads)
        chunks = await open_chunks(encryption=site.encryption, key_file=site.key_file, threads=threads)
        yield Target(vault, Shelf(vault, chunks, threads), Manifests(vault, chunks))
    finally:
        threads.close()


async def nothing() -> None:
    """What has nothing more to do, or to say."""


async def remarks() -> Mapping[str, str]:
    return {"made": "for tests"}


def archive_of(each: Opened) -> Archive:
    naming = Naming(each.stores.records, each.stores.blobs, frozenset({FILED}), lambda _, record: [_ref(record)])
    return Archive(
        each.ground.rows, each.ground.files, each.journal, naming.named, lambda chain: chain == "checkpoints"
    )


async def back_up(site: Site, url: str, change: Callable[[Archive], Archive] = lambda archive: archive) -> Taken:
    async with opened(site) as each, target_of(site, url) as target:
        taking = Taking(change(archive_of(each)), target.vault, target.shelf, target.manifests)
        return await taking.run("1.2.3", remarks, nothing)


async def restore(
    site: Site, url: str, id_: str = "", settle: Callable[[], Awaitable[None]] = nothing
) -> Sequence[str]:
    async with target_of(site, url) as target, empty(site) as place:
        manifest = await (target.manifests.get(id_) if id_ else target.manifests.newest())
        return await Restoring(target.vault, target.shelf, manifest, place).run(settle)


async def manifests_in(site: Site, url: str) -> list[Manifest]:
    async with target_of(site, url) as target:
        return [await target.manifests.get(each) for each in await target.manifests.ids()]


async def kept_newest(site: Site, url: str, number: int) -> LetGo:
    async with target_of(site, url) as target:
        return await keep_newest(number, target.vault, target.shelf, target.manifests, nothing)


async def entries_in(site: Site, url: str, prefix: str = "") -> list[Entry]:
    async with target_of(site, url) as target:
        return [each async for each in target.vault.list(prefix)]


def _ref(record: Record) -> BlobRef:
    name, size, _ = json.loads(record.body)
    return BlobRef(name, size)


def new_bucket_path() -> str:
    return secrets.token_hex(4)
