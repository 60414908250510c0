"""Gives the registry's records their keys anew, above all those of access: where an upgrade decides about a resource by
other keys, it decides so about the object that the resource was made of.

Bodies stay as they are. Whoever changes an object meanwhile has written its new keys, and its page is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from server.fhir.json_form import Resource, decode
from server.fhir.stored import collection, from_record
from server.xds.ebxml_reading import read_object
from server.xds.keys import ASSOCIATION, DOCUMENT, FOLDER, SUBMISSION, keys_of
from server.xds.stored import Shelf
from server.xds.surroundings import patients_of
from storage.errors import VersionConflict
from storage.ports import Put, Record
from storage.query import EVERYTHING, Keys

_KINDS = ((DOCUMENT, "DocumentReference"), (SUBMISSION, "List"), (FOLDER, "List"), (ASSOCIATION, ""))


@dataclass(frozen=True, slots=True)
class RegistryReindexer:
    """`keys` computes those of a FHIR resource."""

    shelf: Shelf
    keys: Callable[[Resource, int], Keys]

    async def run(self) -> int:
        """How many objects there are."""
        done = 0
        for place, kind in _KINDS:
            async for page in self.shelf.find(place, EVERYTHING):
                await self._page(place, kind, page)
                done += len(page)
        return done

    async def _page(self, place: str, kind: str, page: Sequence[Record]) -> None:
        while True:
            try:
                await self.shelf.records.commit(await self._puts(place, kind, page))
            except VersionConflict:
                page = await self.shelf.records.get(place, [each.id for each in page])
            else:
                return

    async def _puts(self, place: str, kind: str, page: Sequence[Record]) -> list[Put]:
        """Of an object without its resource nobody can tell who may see it: it keeps the keys it has."""
        cpu, ids = self.shelf.offload.cpu, [each.id for each in page]
        if not kind:
            return await cpu(_rekeyed, place, page, dict.fromkeys(ids, ""), dict.fromkeys(ids, {}))
        patients = await patients_of(self.shelf, place, ids)
        found = await self.shelf.records.get(collection(kind), ids)
        derived = await cpu(self._derived, kind, found)
        return await cpu(_rekeyed, place, [each for each in page if each.id in derived], patients, derived)

    def _derived(self, kind: str, records: Sequence[Record]) -> dict[str, Keys]:
        return {each.id: self.keys(decode(from_record(kind, each).body), 0) for each in records}


def _rekeyed(place: str, page: Sequence[Record], patients: Mapping[str, str], derived: Mapping[str, Keys]) -> list[Put]:
    return [
        Put(
            place,
            each.id,
            each.body,
            keys_of(read_object(each.body), patients[each.id], derived[each.id]),
            each.version,
        )
        for each in page
    ]
