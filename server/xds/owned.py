"""Who may write what the registry derives: the registry alone, and only over what is its own.

A document has one origin. Of what was registered the entry is the truth, and a write over FHIR would be undone by the
next change of the entry; a resource made over FHIR is no entry's, even where a submission brings its id as an
entryUUID.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.fhir.writing import Change, Ruling
from server.kernel.problem import Kind, Problem
from server.xds.committing import OWNER
from server.xds.errors import ErrorCode, refused
from server.xds.keys import DOCUMENT, FOLDER, SUBMISSION
from storage.ports import Records

_COLLECTIONS: Mapping[str, tuple[str, ...]] = {
    "DocumentReference": (DOCUMENT,),
    "List": (SUBMISSION, FOLDER),
    "Binary": (DOCUMENT,),
    "DiagnosticReport": (DOCUMENT,),
}
"""Where the records lie whose ids are those of resources of a type; a document is read as the Binary of its id, and a
report document as the DiagnosticReport."""


class OwnedResources:
    """The rules as writes meet them."""

    types = frozenset(_COLLECTIONS)

    def __init__(self, records: Records) -> None:
        self._records = records

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        own = {(kind, each) for kind in self.types for each in await self._registered(kind, changes)}
        return [_judged(each, is_registered=(each.type, each.id) in own) for each in changes]

    async def _registered(self, resource_type: str, changes: Sequence[Change]) -> set[str]:
        """An id the server chose just now is nobody's."""
        ids = [each.id for each in changes if each.type == resource_type and not each.is_created]
        if not ids:
            return set()
        return {record.id for name in _COLLECTIONS[resource_type] for record in await self._records.get(name, ids)}


def _judged(change: Change, *, is_registered: bool) -> Ruling:
    if change.owner == OWNER:
        if change.resource is not None and change.standing.current is not None and not is_registered:
            text = "The id is that of a resource which was not registered here."
            return refused(ErrorCode.REGISTRY_METADATA, text, f"urn:uuid:{change.id}", Kind.CONFLICT)
        return ()
    if is_registered:
        return Problem(
            Kind.CONFLICT,
            "This belongs to the document registry: it is changed by a metadata update (ITI-57), replaced by a new "
            "document (ITI-41, ITI-65) and removed by ITI-62.",
        )
    return ()
