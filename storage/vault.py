"""The fifth port: octets under names, where a backup is put; and as which the files of an archive are copied, sealed.

Names are paths of small letters, digits, `.` and `-`, made by us and never from data.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from storage.errors import NotFound
from storage.ports import Bytes

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.json)?(/[a-z0-9][a-z0-9-]*(\.json)?)*")


class Entry(NamedTuple):
    name: str
    size: int


class Vault(Protocol):
    """Every method may raise `StoreUnavailable`; reads raise `NotFound`."""

    async def put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        """Each whole or not at all, in place of what bore its name; all durable on return."""
        ...

    async def put(self, name: str, chunks: AsyncIterator[Bytes]) -> None:
        """A stream of any length; else as `put_all`. When the stream raises, nothing is left behind."""
        ...

    async def fetch(self, name: str) -> Bytes:
        """In one piece."""
        ...

    def read(self, entry: Entry) -> AsyncGenerator[Bytes, None]:
        """As many octets as the entry says, in pieces; `Damaged` where there are fewer."""
        ...

    def list(self, prefix: str = "") -> AsyncGenerator[Entry, None]:
        """What lies below a prefix that is empty or ends with `/`, sorted by name."""
        ...

    async def delete(self, name: str) -> None:
        """An absent one is no error."""
        ...


def checked(name: str) -> str:
    """The name itself; no other text ever becomes a path or a key."""
    if not _NAME.fullmatch(name):
        raise NotFound("no such name in a vault")
    return name


@dataclass(frozen=True, slots=True)
class Below:
    """The part of a vault below a prefix, which ends with `/`, as a vault of its own."""

    vault: Vault
    prefix: str

    async def put_all(self, entries: Sequence[tuple[str, Bytes]]) -> None:
        await self.vault.put_all([(self.prefix + name, content) for name, content in entries])

    async def put(self, name: str, chunks: AsyncIterator[Bytes]) -> None:
        await self.vault.put(self.prefix + name, chunks)

    async def fetch(self, name: str) -> Bytes:
        return await self.vault.fetch(self.prefix + name)

    def read(self, entry: Entry) -> AsyncGenerator[Bytes, None]:
        return self.vault.read(Entry(self.prefix + entry.name, entry.size))

    async def list(self, prefix: str = "") -> AsyncGenerator[Entry, None]:
        async with aclosing(self.vault.list(self.prefix + prefix)) as entries:
            async for name, size in entries:
                yield Entry(name.removeprefix(self.prefix), size)

    async def delete(self, name: str) -> None:
        await self.vault.delete(self.prefix + name)
