"""The two ports: records with keys and predicates, and blobs. This is all the server may see of a store.

A record is encoded bytes plus flat keys computed by the writer, so a read is a copy and a search an index look-up;
no adapter ever parses a body. A blob is bytes written once, named by the store, read by range.
Adapters never import the server: what they need of threads is handed to them as `Threads`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from storage.query import Key, Order, Predicate

P = ParamSpec("P")
T = TypeVar("T")

Bytes: TypeAlias = bytes | bytearray | memoryview


class Threads(Protocol):
    """A way out of the event loop: `io` may wait for disks, `cpu` may compute."""

    async def io(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def cpu(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...


class Record(NamedTuple):
    """One stored record as a read gives it back: keys stay in the index, where only predicates see them.

    A tuple, because pages make them by the dozen.
    """

    id: str
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Write a record whole.

    `expected`: `None` writes whatever is there; 0 demands that the record does not exist; n demands version n.
    The stored version becomes 1 for a new record, else the previous one plus 1.
    """

    collection: str
    id: str
    body: bytes
    keys: Mapping[str, frozenset[Key]] = field(default_factory=dict)
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record; `expected` as in `Put`, but `None` also accepts an absent record."""

    collection: str
    id: str
    expected: int | None = None


Batch: TypeAlias = Sequence[Put | Delete]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in an ordered result: opaque text, made and read only by the adapter. It carries no right."""

    text: str


@dataclass(frozen=True, slots=True)
class Page:
    records: list[Record]
    next: Cursor | None
    """Where the next page begins; `None` when nothing remains."""


@dataclass(frozen=True, slots=True)
class Index:
    """A search the application runs often: records of `collection` by these key names, the last one for order."""

    collection: str
    names: tuple[str, ...]


class Records(Protocol):
    """Records by id and by predicate. Every method may raise `StoreUnavailable`.

    Texts are Unicode without lone surrogates, numbers within 64 bits: `ValueError` for what cannot be held. A
    predicate may name any number; one nested too deeply, or a pattern too long, is a `ValueError` too, and so is a
    cursor that no search in the same orders has given.
    """

    async def prepare(self, indexes: Sequence[Index]) -> None:
        """Create what these searches need; safe to repeat, and from several processes at once."""
        ...

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        """The records found, in the order asked; absent ones are left out."""
        ...

    async def commit(self, batch: Batch) -> list[int]:
        """Write all or nothing; durable on return. Gives the new version of each put and 0 for each delete.

        Raises `VersionConflict` when an expectation fails. Two acts on one record in a batch happen in turn.
        """
        ...

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
        """At most `limit` records that match, sorted by `order`.

        Ties, and everything when `order` is empty, come in an order the adapter chooses and keeps.
        Records that lack an order key come last, whichever direction is asked.
        """
        ...

    async def count(self, collection: str, predicate: Predicate, *, at_most: int) -> int:
        """How many records match, counting no further than `at_most`."""
        ...

    async def values(self, collection: str, name: str, predicate: Predicate, *, at_most: int) -> list[Key]:
        """The different values of a key among the records that match, at most so many, in no order.

        No body is read.
        """
        ...

    async def revision(self) -> int | None:
        """A number that changes with every commit, by whatever process; `None` where telling it would cost a search.

        What was read after it was asked for is what there is, for as long as it stays the same.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A blob's name in its store and its length in bytes as its writer sees it (before any encryption)."""

    name: str
    size: int


class Contents(Protocol):
    """Several contents, of which each may be made when it is asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Bytes]: ...


class Blobs(Protocol):
    """Bytes written once. Every method may raise `StoreUnavailable`; reads raise `NotFound`."""

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        """Write a stream of any length, holding little of it; durable on return.

        When the stream raises or the caller is cancelled, nothing is left behind.
        """
        ...

    async def put_all(self, contents: Sequence[Bytes]) -> list[BlobRef]:
        """Write several blobs already in memory; all durable on return, with the flushes shared."""
        ...

    async def fetch(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> Bytes:
        """A range in one piece; for ranges the caller can afford to hold. Shorter only where the blob ends."""
        ...

    def read(self, ref: BlobRef, *, start: int = 0, length: int | None = None) -> AsyncIterator[Bytes]:
        """A range as a stream of pieces of at most a few MiB, read ahead by at most one piece."""
        ...

    async def delete(self, ref: BlobRef) -> None:
        """Remove a blob; an absent one is no error."""
        ...

    def list(self) -> AsyncIterator[str]:
        """The names of all blobs, in no order."""
        ...

    async def close(self) -> None: ...
