"""Which files rows name. What bodies say is the application's matter: it tells of one record, this finds its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from storage.encryption.blobs import EncryptedBlobs
from storage.encryption.records import EncryptedRecords
from storage.ports import BlobRef, Blobs, Record, Records
from storage.rows import Row
from storage.vault import Entry


@dataclass(frozen=True, slots=True)
class Naming:
    records: Records
    blobs: Blobs
    collections: frozenset[str]
    """Those whose records may name files."""
    refs: Callable[[str, Record], Iterable[BlobRef]]

    async def named(self, collection: str, rows: Sequence[Row]) -> list[Entry]:
        """As they lie in the store, with their sizes there."""
        if collection not in self.collections:
            return []
        records = [Record(row.id, row.version, row.body) for row in rows]
        if isinstance(self.records, EncryptedRecords):
            records = await self.records.opened(collection, records)
        return [self._entry(ref) for record in records for ref in self.refs(collection, record)]

    def _entry(self, ref: BlobRef) -> Entry:
        return self.blobs.inner(ref) if isinstance(self.blobs, EncryptedBlobs) else Entry(ref.name, ref.size)
