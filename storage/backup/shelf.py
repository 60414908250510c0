"""The parts that snapshots consist of: each lies in the target once, under the digest of what it says.

So a later snapshot brings only parts that are new, and any number of snapshots share the others. `chunks/ab/cdef…`.
"""

from __future__ import annotations

from contextlib import aclosing

from storage.encryption.chunks import DIGEST, Chunks
from storage.errors import Damaged, NotFound
from storage.ports import Bytes, Threads
from storage.vault import Below, Vault

_FOLDER = "chunks/"
_MOST_WAITING, _MOST_OCTETS = 64, 8 << 20
"""Parts that are written together, and share a flush."""


class Shelf:
    def __init__(self, target: Vault, chunks: Chunks, threads: Threads) -> None:
        self._vault = Below(target, _FOLDER)
        self._chunks = chunks
        self._threads = threads
        self._known: set[bytes] = set()
        self._waiting: list[tuple[str, Bytes]] = []
        self._octets = 0
        self.written = 0
        """Octets that were not there before."""

    async def look(self) -> None:
        """Learn what is there already: nothing is read of it but its names."""
        self._known = set(await self.all())

    async def all(self) -> list[bytes]:
        found = []
        async with aclosing(self._vault.list()) as entries:
            async for name, _ in entries:
                if (digest := _digest_in(name)) is not None:
                    found.append(digest)
        return found

    async def put(self, content: bytes) -> bytes:
        """The digest; durable with the next `flush`."""
        digest, sealed = await self._threads.cpu(self._sealed, content)
        if sealed is not None:
            self._known.add(digest)
            self._waiting.append((_name_of(digest), sealed))
            self._octets += len(sealed)
            self.written += len(sealed)
            if len(self._waiting) >= _MOST_WAITING or self._octets >= _MOST_OCTETS:
                await self.flush()
        return digest

    def _sealed(self, content: bytes) -> tuple[bytes, Bytes | None]:
        digest = self._chunks.digest(content)
        return digest, None if digest in self._known else self._chunks.seal(content)

    async def flush(self) -> None:
        waiting, self._waiting, self._octets = self._waiting, [], 0
        if waiting:
            await self._vault.put_all(waiting)

    async def get(self, digest: bytes) -> bytes:
        """What a part says; `Damaged` names the part that is not what was written, or not there."""
        name = _name_of(digest)
        try:
            found, content = await self._threads.cpu(self._chunks.open, await self._vault.fetch(name))
        except NotFound as error:
            raise Damaged(f"the backup lacks {_FOLDER}{name}") from error
        except Damaged as error:
            raise Damaged(f"{_FOLDER}{name} of the backup: {error}") from error
        if found != digest:
            raise Damaged(f"{_FOLDER}{name} of the backup: it is not what its name says")
        return content

    async def delete(self, digest: bytes) -> None:
        await self._vault.delete(_name_of(digest))


def _name_of(digest: bytes) -> str:
    text = digest.hex()
    return f"{text[:2]}/{text[2:]}"


def _digest_in(name: str) -> bytes | None:
    """`None` for a file of something else."""
    text = name.replace("/", "", 1)
    if len(text) != 2 * DIGEST or name != f"{text[:2]}/{text[2:]}":
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
