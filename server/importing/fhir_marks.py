"""Which bundles were stored already, told by their bytes: importing a file twice must not make everything twice.

A bundle that creates resources would create them anew each time. So its mark goes into the same commit, and names one
resource it made; as long as that is there, the bundle counts as stored. Whoever deletes what a file brought can import
it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from server.fhir.json_form import Resource
from server.fhir.stored import Stored, collection
from storage.ports import Put, Records

MARKS = "fhir-import"


def digest_of(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def creates(bundle: Resource) -> bool:
    """Whether carrying it out twice would make something twice."""
    requests = [each.get("request") for each in bundle.get("entry", []) if isinstance(each, dict)]
    return any(
        isinstance(each, dict) and each.get("method") == "POST" and not each.get("ifNoneExist") for each in requests
    )


class Marks:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def holds(self, digest: str) -> bool:
        for mark in await self._records.get(MARKS, [digest]):
            resource_type, _, resource_id = mark.body.decode().partition("/")
            return bool(await self._records.get(collection(resource_type), [resource_id]))
        return False

    async def add(self, digest: str, made: Sequence[Stored]) -> None:
        """For a batch, whose entries are commits of their own."""
        await self._records.commit(mark(digest, made))


def mark(digest: str, made: Sequence[Stored]) -> list[Put]:
    """What is written beside the resources a bundle makes."""
    created = next((each for each in made if each.is_created), None)
    return [] if created is None else [Put(MARKS, digest, created.reference.encode())]
