"""Checks that every document is still what was provided: its octets against size and SHA-1 of its content record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from server.kernel.measuring import Measured
from server.kernel.problem import Problem
from server.xds.contents import CONTENT, Contents
from storage.errors import NotFound, StorageError
from storage.ports import Cursor
from storage.query import EVERYTHING

_PAGE = 500


class Damage(NamedTuple):
    """`unique_id` of the document; `is_missing` where there is no file any more."""

    unique_id: str
    text: str
    is_missing: bool = False


class Checked(NamedTuple):
    """So many octets are as they were."""

    octets: int


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    contents: Contents

    async def run(self) -> AsyncIterator[Damage | Checked]:
        after: Cursor | None = None
        while True:
            page = await self.contents.records.find(CONTENT, EVERYTHING, after=after, limit=_PAGE)
            for record in page.records:
                yield await self._check(record.id)
            if (after := page.next) is None:
                return

    async def _check(self, unique_id: str) -> Damage | Checked:
        kept = (await self.contents.find([unique_id])).get(unique_id)
        if kept is None:
            # Removed since the page was read.
            return Checked(0)
        measured = Measured(self.contents.blobs.read(kept.ref), self.contents.offload, kept.ref.size)
        try:
            async for _ in measured.content():
                pass
        except NotFound:
            return Damage(unique_id, kept.ref.name, is_missing=True)
        except (StorageError, Problem) as error:
            return Damage(unique_id, f"{error}, in {kept.ref.name}")
        if measured.size != kept.ref.size or measured.sha1 != kept.sha1:
            return Damage(unique_id, f"other octets than were provided, in {kept.ref.name}")
        return Checked(measured.size)
