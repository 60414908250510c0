"""The only errors a store raises; services turn them into problems."""

from __future__ import annotations


class StorageError(Exception):
    """Base of the three below, so that a caller can tell a store's failure from any other."""


class NotFound(StorageError):
    """The blob asked for is not there."""


class VersionConflict(StorageError):
    """A put or delete expected another version than the one stored; nothing of its batch was written."""

    def __init__(self, collection: str, record_id: str) -> None:
        super().__init__(f"{collection}/{record_id} changed meanwhile")
        self.collection = collection
        self.record_id = record_id


class StoreUnavailable(StorageError):
    """The store cannot be reached, is full, or answers damaged data; the text says which."""


class Damaged(StoreUnavailable):
    """What is stored is not what was written: cut short, changed, or sealed under a key that is not at hand."""
