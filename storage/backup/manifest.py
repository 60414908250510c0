"""What a snapshot consists of: the file written last, without which there is no snapshot. `snapshots/<id>`.

It is sealed like every part; the id says when the snapshot was begun, and stands inside as well.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from storage.backup.lists import Listed
from storage.encryption.chunks import Chunks
from storage.errors import Damaged, NotFound, StoreUnavailable
from storage.vault import Below, Vault

FORMAT = 1
_FOLDER = "snapshots/"
_ID = re.compile(r"\d{8}t\d{9}-[0-9a-f]{4}", re.ASCII)


class Manifest(msgspec.Struct, frozen=True):
    id: str
    format: int
    begun: datetime
    ended: datetime
    version: str
    """Of Weft."""
    records: Mapping[str, Listed]
    """By collection."""
    journal: Mapping[str, Listed]
    """By chain."""
    files: Listed
    remarks: Mapping[str, str] = {}
    """What the application wants to find again."""

    @property
    def rows(self) -> int:
        return sum(each.count for each in self.records.values())

    @property
    def lines(self) -> int:
        return sum(each.count for each in self.journal.values())

    @property
    def octets(self) -> int:
        return sum(each.octets for each in (*self.records.values(), *self.journal.values(), self.files))

    def lists(self) -> list[Listed]:
        return [*self.records.values(), *self.journal.values(), self.files]


class _Form(msgspec.Struct, frozen=True):
    format: int


def new_id(begun: datetime) -> str:
    """Ids sort by time."""
    return f"{begun:%Y%m%dt%H%M%S}{begun.microsecond // 1000:03}-{secrets.token_hex(2)}"


def now() -> datetime:
    return datetime.now(UTC)


class Manifests:
    """The snapshots of one target."""

    def __init__(self, target: Vault, chunks: Chunks) -> None:
        self._vault = Below(target, _FOLDER)
        self._chunks = chunks

    async def ids(self) -> list[str]:
        """The oldest first."""
        async with aclosing(self._vault.list()) as entries:
            return sorted([name async for name, _ in entries if _ID.fullmatch(name)])

    async def check_next(self, begun: datetime) -> None:
        """Whether a snapshot that is begun now follows those that are there, as the newest, of the same archive.

        `StoreUnavailable` where it does not. What another archive put here could neither be told from what is no longer
        needed nor be read, and a snapshot that is not the newest would be the first to be let go of.
        """
        ids = await self.ids()
        if not ids:
            return
        try:
            newest = await self.get(ids[-1])
        except Damaged as error:
            raise Damaged(f"{error}; back up into another place, or remove that snapshot") from error
        if newest.begun >= begun:
            raise StoreUnavailable(
                f"snapshot {newest.id} is of a time that is still to come: look at this machine's clock, or remove it"
            )

    async def get(self, id_: str) -> Manifest:
        """`NotFound`; `Damaged` for one that is not what was written, or by another key or form than is known here."""
        try:
            _, content = self._chunks.open(await self._vault.fetch(id_))
        except Damaged as error:
            raise Damaged(f"snapshot {id_}: {error}") from error
        try:
            form = msgspec.json.decode(content, type=_Form).format
            if form != FORMAT:
                raise Damaged(f"snapshot {id_} has format {form}; this version knows format {FORMAT}")
            found = msgspec.json.decode(content, type=Manifest)
        except msgspec.MsgspecError as error:
            raise Damaged(f"snapshot {id_}: damaged") from error
        if found.id != id_:
            raise Damaged(f"snapshot {id_}: damaged, it is snapshot {found.id}")
        return found

    async def newest(self) -> Manifest:
        ids = await self.ids()
        if not ids:
            raise NotFound("there is no snapshot in this place")
        return await self.get(ids[-1])

    async def put(self, manifest: Manifest) -> None:
        await self._vault.put_all([(manifest.id, self._chunks.seal(msgspec.json.encode(manifest)))])

    async def delete(self, id_: str) -> None:
        await self._vault.delete(id_)
