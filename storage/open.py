"""Opens the stores that two URLs name, sealed or not: the only module that knows every adapter.

A store is made for one kind of encryption and one key file: the first start leaves a marker among the records, and a
later start with another key file, without one, or with encryption turned on or off is refused before it does harm.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from storage.backup import unfinished
from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.bodies import ClearBodies, SealedBodies
from storage.encryption.chunks import Chunks, ClearChunks, SealedChunks
from storage.encryption.ciphers import Algorithm, algorithm_named
from storage.encryption.keys import open_keys
from storage.encryption.records import EncryptedRecords
from storage.errors import Damaged, StoreUnavailable, VersionConflict
from storage.filesystem.blobs import FolderBlobs
from storage.filesystem.journal import FolderJournal
from storage.filesystem.vault import FolderVault
from storage.filesystem.witness import FolderWitness
from storage.journal import Journal, OpenedJournal, Witness
from storage.ports import Blobs, Put, Records, Threads
from storage.rows import Rows
from storage.sqlite.records import SqliteRecords
from storage.sqlite.rows import SqliteRows
from storage.vault import Vault

_COLLECTION, _ID = "storage", "encryption"
_CLEAR, _SEALED = b"off", b"on"


@dataclass(frozen=True, slots=True)
class Stores:
    """What the server keeps things in."""

    records: Records
    blobs: Blobs
    marks: Records
    """What was used up, for minutes: shared like the records, and beside them where each commit to these makes what was
    read of them look old. Not backed up, and of a machine that loses power some may be gone."""

    async def close(self) -> None:
        try:
            await self.blobs.close()
        finally:
            await self.records.close()
            if self.marks is not self.records:
                await self.marks.close()


async def open_stores(records_url: str, blobs_url: str, *, encryption: str, key_file: Path, threads: Threads) -> Stores:
    """Open both; `ValueError` says which setting cannot be used, `StoreUnavailable` which store did not answer."""
    algorithm = None if encryption == "off" else algorithm_named(encryption)
    records = await _open_records(records_url, threads)
    try:
        blobs = await _open_blobs(blobs_url, threads)
    except BaseException:
        await records.close()
        raise
    try:
        marks = await _open_marks(records_url, records, threads)
    except BaseException:
        await blobs.close()
        await records.close()
        raise
    stores = Stores(records, blobs, marks)
    try:
        return await _sealed(stores, algorithm, key_file, threads)
    except BaseException:
        await stores.close()
        raise


async def open_journal(url: str, *, encryption: str, key_file: Path, threads: Threads) -> OpenedJournal:
    """Open the journal after the stores, whose key file it shares; errors as `open_stores`."""
    journal = await _open_journal(url, threads)
    try:
        if encryption == "off":
            return OpenedJournal(journal, ClearBodies())
        keys = await threads.io(open_keys, key_file, may_create=False)
        return OpenedJournal(journal, SealedBodies(keys, algorithm_named(encryption)))
    except BaseException:
        await journal.close()
        raise


async def open_witness(url: str, threads: Threads) -> Witness | None:
    """The place where copies of checkpoints go; an empty URL means none."""
    if not url:
        return None
    scheme = urlsplit(url).scheme
    if scheme == "file":
        root = _absolute(url)
        await threads.io(_make_folder, root)
        return FolderWitness(root, threads)
    if scheme == "s3":
        try:
            from storage.s3.blobs import bucket_store
            from storage.s3.witness import S3Witness
        except ImportError as error:
            raise _lacking("a witness in S3 needs an extra", "'weft[s3]'", error) from error
        return S3Witness(bucket_store(**_bucket(urlsplit(url))))
    raise ValueError(f"audit witness: scheme {scheme!r} is not known; use file:///path or s3://bucket/prefix")


@dataclass(frozen=True, slots=True)
class Underlying:
    """The same stores below encryption, as they are backed up and restored."""

    records: Records
    rows: Rows
    files: Vault

    async def close(self) -> None:
        try:
            await self.rows.close()
        finally:
            await self.records.close()


async def open_underlying(records_url: str, blobs_url: str, threads: Threads) -> Underlying:
    """Errors as `open_stores`."""
    files = await open_vault(blobs_url, threads)
    records = await _open_records(records_url, threads)
    try:
        return Underlying(records, await _open_rows(records_url, threads), files)
    except BaseException:
        await records.close()
        raise


async def open_vault(url: str, threads: Threads) -> Vault:
    """Whatever octets lie below `file:///folder` or in `s3://bucket/prefix`."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        root = _absolute(url)
        await threads.io(_make_folder, root)
        return FolderVault(root, threads)
    if scheme == "s3":
        try:
            from storage.s3.blobs import bucket_store, check_bucket
            from storage.s3.vault import S3Vault
        except ImportError as error:
            raise _lacking("a bucket in S3 needs an extra", "'weft[s3]'", error) from error
        return S3Vault(await check_bucket(bucket_store(**_bucket(urlsplit(url)))))
    raise ValueError(f"scheme {scheme!r} is not known; use file:///path or s3://bucket/prefix")


async def open_chunks(*, encryption: str, key_file: Path, threads: Threads) -> Chunks:
    """How the parts of a backup are sealed; the key file has to be there."""
    if encryption == "off":
        return ClearChunks()
    return SealedChunks(await threads.io(open_keys, key_file, may_create=False), algorithm_named(encryption))


async def _open_rows(url: str, threads: Threads) -> Rows:
    if urlsplit(url).scheme == "sqlite":
        return await threads.io(SqliteRows, _absolute(url), threads)
    from storage.mongo.rows import MongoRows

    return MongoRows(url)


async def _open_journal(url: str, threads: Threads) -> Journal:
    scheme = urlsplit(url).scheme
    if scheme == "file":
        root = _absolute(url)
        await threads.io(_make_folder, root)
        return FolderJournal(root, threads)
    if scheme in ("mongodb", "mongodb+srv"):
        try:
            from storage.mongo.journal import MongoJournal
        except ImportError as error:
            raise _lacking("a journal in MongoDB needs pymongo", "pymongo", error) from error
        return MongoJournal(url)
    raise ValueError(f"audit journal: scheme {scheme!r} is not known; use file:///path or mongodb://host/database")


async def _sealed(stores: Stores, algorithm: Algorithm | None, key_file: Path, threads: Threads) -> Stores:
    if await unfinished.is_unfinished(stores.records):
        raise ValueError(unfinished.REFUSAL)
    marker = await _marker(stores.records)
    if algorithm is None:
        if await _settled_marker(stores.records, stores.records, _CLEAR, marker) != _CLEAR:
            raise ValueError("this archive is encrypted: WEFT_ENCRYPTION=off cannot read it")
        return stores
    if marker == _CLEAR:
        raise ValueError("this archive was begun with WEFT_ENCRYPTION=off and stays so; import it into a new one")
    keys = await threads.io(open_keys, key_file, may_create=marker is None)
    sealed = EncryptedRecords(stores.records, keys, threads, algorithm)
    try:
        await _settled_marker(stores.records, sealed, _SEALED, marker)
    except Damaged as error:
        raise ValueError(f"key file {key_file} is not the one this archive was begun with") from error
    marks = sealed if stores.marks is stores.records else stores.marks
    return Stores(sealed, EncryptedBlobs(stores.blobs, keys, threads, algorithm), marks)


async def _marker(records: Records) -> bytes | None:
    found = await records.get(_COLLECTION, [_ID])
    return found[0].body if found else None


async def _settled_marker(plain: Records, view: Records, wanted: bytes, marker: bytes | None) -> bytes | None:
    """The marker as `view` reads it, written first where there is none: of several starts at once one writes it."""
    if marker is None:
        with suppress(VersionConflict):
            await view.commit([Put(_COLLECTION, _ID, wanted, expected=0)])
    return await _marker(view)


async def _open_records(url: str, threads: Threads) -> Records:
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = _absolute(url)
        await threads.io(_make_folder, path.parent)
        return await threads.io(SqliteRecords, path, threads)
    if scheme in ("mongodb", "mongodb+srv"):
        try:
            from storage.mongo.records import MongoRecords
        except ImportError as error:
            raise _lacking("records in MongoDB need pymongo", "pymongo", error) from error
        return MongoRecords(url)
    raise ValueError(f"records: scheme {scheme!r} is not known; use sqlite:///path or mongodb://host/database")


async def _open_marks(url: str, records: Records, threads: Threads) -> Records:
    """Of a store that does not tell what changed, the records themselves."""
    if urlsplit(url).scheme != "sqlite":
        return records
    path = _absolute(url)
    marks = path.with_name(f"{path.stem}-marks{path.suffix}")
    return await threads.io(lambda: SqliteRecords(marks, threads, is_flushed=False))


async def _open_blobs(url: str, threads: Threads) -> Blobs:
    scheme = urlsplit(url).scheme
    if scheme == "file":
        root = _absolute(url)
        await threads.io(_make_folder, root)
        return FolderBlobs(root, threads)
    if scheme == "s3":
        return await _open_bucket(urlsplit(url))
    raise ValueError(f"blobs: scheme {scheme!r} is not known; use file:///path or s3://bucket/prefix")


async def _open_bucket(url: SplitResult) -> Blobs:
    try:
        from storage.s3.blobs import S3Blobs, bucket_store, check_bucket
    except ImportError as error:
        raise _lacking("blobs in S3 need an extra", "'weft[s3]'", error) from error
    return S3Blobs(await check_bucket(bucket_store(**_bucket(url))))


def _bucket(url: SplitResult) -> dict[str, Any]:
    """What `bucket_store` needs to know."""
    given = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if not url.netloc or not given.keys() <= {"endpoint", "region", "allow_http"}:
        raise ValueError("s3://bucket/prefix takes endpoint, region and allow_http as its only parameters")
    endpoint = given.get("endpoint")
    return {
        "bucket": url.netloc,
        "prefix": url.path.strip("/"),
        "endpoint": endpoint,
        "region": given.get("region"),
        "allow_http": _may_be_plain(endpoint, given.get("allow_http") == "true"),
    }


def _lacking(text: str, package: str, error: ImportError) -> ValueError:
    return ValueError(f"{text} ({error.name} is missing): pip install {package}")


def _may_be_plain(endpoint: str | None, is_allowed: bool) -> bool:
    """Whether to speak HTTP without TLS: within the machine, or where the operator says so.

    Without an endpoint in the URL the client has its own from the environment, where `http:` is as good as said.
    """
    if endpoint is None or not endpoint.startswith("http://"):
        return endpoint is None
    host = urlsplit(endpoint).hostname or ""
    with suppress(ValueError):
        is_allowed = is_allowed or ipaddress.ip_address(host).is_loopback
    if not is_allowed and host != "localhost":
        raise ValueError(f"blobs: endpoint {endpoint} is not https; add allow_http=true if the network is trusted")
    return True


def _absolute(url: str) -> Path:
    """The path after `scheme://`, taken as it stands; of several slashes before it one counts."""
    scheme, _, path = url.partition("://")
    if not path.startswith("/") or not path.strip("/"):
        raise ValueError(f"{scheme}: give an absolute path, as in {scheme}:///var/lib/weft")
    return Path("/" + path.lstrip("/"))


def _make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and those above it; what is there keeps its mode."""
    try:
        if not folder.parent.exists():
            _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"folder {folder}: {error.strerror}") from error
