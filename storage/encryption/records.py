"""Record bodies sealed, around any store of records.

Keys stay in clear, because they are what the store searches: whoever reads the database's files sees the indexed
attributes (names of patients, identifiers, dates), and only the bodies are hidden. Where that is too much, the disk
under the database has to be encrypted as well. A body is bound to its collection and id, so it cannot be passed off as
another record's; an older body of the same record put back in its place is not noticed.

A sealed body: version and algorithm (1 byte), data key id (8), salt (16), nonce (12), then the body and its tag. A
writer draws one salt, and so one key, for a run of at most 2^20 bodies and a random nonce for each: two equal nonces
under one key stay less likely than 2^-56, and a reader derives a key once for many records. Bodies are not
compressed: inflating 13 kB of DICOM JSON costs 17 us (zlib), five times as much as opening it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from storage.encryption.ciphers import NONCE, TAG, Aead, Algorithm, derived
from storage.encryption.keys import KEY_ID, KeyRing
from storage.errors import Damaged
from storage.ports import Batch, Cursor, Delete, Index, Page, Put, Record, Records, Threads
from storage.query import Key, Order, Predicate

_VERSION = 0x10
_SALT = 16
_PREFIX = 1 + KEY_ID + _SALT
_BODY = _PREFIX + NONCE
_RUN = 1 << 20
_CIPHERS_KEPT = 1024
_SHORT = 4096
_ON_LOOP, _ON_LOOP_SLOW = 1 << 20, 1 << 14
"""Bytes that the event loop itself seals or opens at once, with a fast and with a slow cipher."""


class EncryptedRecords:
    """Seals the bodies that go into `inner` and opens those that come out."""

    def __init__(
        self, inner: Records, keys: KeyRing, threads: Threads, algorithm: Algorithm = Algorithm.AES_256_GCM
    ) -> None:
        self._inner = inner
        self._keys = keys
        self._threads = threads
        self._algorithm = algorithm
        self._ciphers: dict[bytes, Aead] = {}
        self._prefix = b""
        self._left = 0

    async def prepare(self, indexes: Sequence[Index]) -> None:
        await self._inner.prepare(indexes)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        return await self.opened(collection, await self._inner.get(collection, ids))

    async def commit(self, batch: Batch) -> list[int]:
        prefix = self._prefix_for(len(batch))
        if self._stays_on_loop([act.body for act in batch if isinstance(act, Put)]):
            return await self._inner.commit(self._sealed(prefix, batch))
        return await self._inner.commit(await self._threads.cpu(self._sealed, prefix, batch))

    async def find(
        self,
        collection: str,
        predicate: Predicate,
        *,
        order: Sequence[Order] = (),
        after: Cursor | None = None,
        skip: int = 0,
        limit: int,
    ) -> Page:
        page = await self._inner.find(collection, predicate, order=order, after=after, skip=skip, limit=limit)
        return Page(await self.opened(collection, page.records), page.next)

    async def count(self, collection: str, predicate: Predicate, *, at_most: int) -> int:
        return await self._inner.count(collection, predicate, at_most=at_most)

    async def values(self, collection: str, name: str, predicate: Predicate, *, at_most: int) -> list[Key]:
        return await self._inner.values(collection, name, predicate, at_most=at_most)

    async def revision(self) -> int | None:
        return await self._inner.revision()

    async def close(self) -> None:
        await self._inner.close()

    def _prefix_for(self, count: int) -> bytes:
        """What the next `count` bodies begin with: a new run is begun when one is used up or the data key changed."""
        active = self._keys.active.id
        if self._left < count or self._prefix[1 : 1 + KEY_ID] != active:
            self._prefix = bytes((_VERSION | self._algorithm.value,)) + active + os.urandom(_SALT)
            self._left = _RUN
        self._left -= count
        return self._prefix

    def _stays_on_loop(self, bodies: Sequence[bytes]) -> bool:
        return sum(map(len, bodies)) <= (_ON_LOOP if self._algorithm.is_fast else _ON_LOOP_SLOW)

    def _sealed(self, prefix: bytes, batch: Batch) -> Batch:
        return [act if isinstance(act, Delete) else self._sealed_put(prefix, act) for act in batch]

    def _sealed_put(self, prefix: bytes, put: Put) -> Put:
        nonce = os.urandom(NONCE)
        sealed = self._cipher(prefix).encrypt(nonce, put.body, _bound(put.collection, put.id))
        return Put(put.collection, put.id, prefix + nonce + sealed, put.keys, put.expected)

    async def opened(self, collection: str, records: Sequence[Record]) -> list[Record]:
        """These, as the inner store gave them, with their bodies opened."""
        if self._stays_on_loop([record.body for record in records]):
            return self._all_opened(collection, records)
        return await self._threads.cpu(self._all_opened, collection, records)

    def _all_opened(self, collection: str, records: Sequence[Record]) -> list[Record]:
        """One loop without calls of our own: a page opens dozens."""
        owner = collection.encode() + b"\0"
        opened = []
        for record_id, version, sealed in records:
            size = len(sealed)
            if size < _BODY + TAG:
                raise Damaged("damaged: a record is not sealed")
            prefix = sealed[:_PREFIX]
            cipher = self._ciphers.get(prefix) or self._cipher(prefix)
            # A view spares copying what is long, and costs more than copying what is short.
            content = sealed[_BODY:] if size < _SHORT else memoryview(sealed)[_BODY:]
            try:
                body = cipher.decrypt(sealed[_PREFIX:_BODY], content, owner + record_id.encode())
            except InvalidTag:
                raise Damaged("damaged: a record fails its seal") from None
            opened.append(Record(record_id, version, body))
        return opened

    def _cipher(self, prefix: bytes) -> Aead:
        cipher = self._ciphers.get(prefix)
        if cipher is None:
            if len(self._ciphers) >= _CIPHERS_KEPT:
                self._ciphers.clear()
            cipher = self._ciphers[prefix] = self._derived(prefix)
        return cipher

    def _derived(self, prefix: bytes) -> Aead:
        if prefix[0] ^ _VERSION not in (1, 2):
            raise Damaged("damaged: a record is not sealed")
        data_key = self._keys.find(prefix[1 : 1 + KEY_ID])
        return derived(Algorithm(prefix[0] ^ _VERSION), data_key, b"weft records", prefix)


def _bound(collection: str, record_id: str) -> bytes:
    """What a body is bound to. No collection's name has a zero character, so this says both."""
    return f"{collection}\0{record_id}".encode()
