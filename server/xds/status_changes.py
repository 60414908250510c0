"""Whether a status may change as an update asks (XDS Metadata Update 3.57.4.1.3.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import bare, collection_of
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, SubmissionSet
from server.xds.stored import Shelf, Stored
from server.xds.surroundings import ends_of
from server.xds.update_operations import NewStatus
from server.xds.vocabulary import APPROVED
from storage.query import All, Equals


async def status_faults(
    shelf: Shelf,
    statuses: Iterable[NewStatus],
    targets: Mapping[str, Stored[RegistryObject]],
    is_same: Callable[[str], bool],
) -> list[RegistryError]:
    """`targets`: those there are that the sender may update, by id. `is_same`: whether the object with an id is of the
    update's patient; an association is where both its ends are."""
    errors = []
    for each in statuses:
        found = targets.get(each.target)
        if text := await _fault(shelf, each, found.object if found else None, is_same):
            errors.append(RegistryError(ErrorCode.METADATA_UPDATE, text, each.association))
    return errors


async def _fault(shelf: Shelf, asked: NewStatus, target: RegistryObject | None, is_same: Callable[[str], bool]) -> str:
    """The first thing wrong; empty where nothing is."""
    if target is None:
        return "There is no object whose availabilityStatus could change."
    if isinstance(target, SubmissionSet):
        return "The availabilityStatus of a SubmissionSet does not change."
    if target.status != asked.before:
        return "The availabilityStatus is not the original one that was told."
    if not all(map(is_same, ends_of(target) or (target.id,))):
        return "The object is of another patient."
    if asked.after == APPROVED and not isinstance(target, Association) and await _has_other(shelf, target):
        return "Another version of the object is Approved."
    return ""


async def _has_other(shelf: Shelf, target: DocumentEntry | Folder) -> bool:
    asked = All((Equals("logical", bare(target.logical_id or target.id)), Equals("status", "Approved")))
    found = await shelf.records.values(collection_of(target), "_id", asked, at_most=2)
    return any(each != bare(target.id) for each in found)
