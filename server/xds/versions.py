"""Versions of an object's metadata: which is in force, what may follow it, and what its successor takes over.

All versions of a document or folder share a logical id, the entryUUID of the first (XDS Metadata Update 3.57.4.1.3.3).
A correction does not move a document to another patient: that would leave its submission set behind, so a wrong
patient's document is deprecated and submitted anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from server.xds.document_reference import RELATIONS
from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import DOCUMENT, FOLDER, bare
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject
from server.xds.stored import Shelf, Stored, batches
from server.xds.update_operations import NewVersion
from server.xds.vocabulary import APPROVED, HAS_MEMBER
from storage.query import OneOf

_MOST_VERSIONS = 10_000


def version_of(entry: DocumentEntry | Folder) -> int:
    number = entry.version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1


async def lineage(shelf: Shelf, versions: Iterable[NewVersion]) -> list[str]:
    """Ids of all that is registered under these logical ids."""
    wanted = [bare(each.entry.logical_id) for each in versions if each.entry.logical_id]
    found: list[str] = []
    for collection in (DOCUMENT, FOLDER):
        for some in batches(wanted):
            values = await shelf.records.values(collection, "_id", OneOf("logical", some), at_most=_MOST_VERSIONS)
            found += map(str, values)
    return found


def latest(known: Mapping[str, Stored[RegistryObject]]) -> dict[str, Stored[RegistryObject]]:
    """The last version of each, by logical id."""
    found: dict[str, tuple[int, Stored[RegistryObject]]] = {}
    for each in known.values():
        if isinstance(each.object, DocumentEntry | Folder):
            logical, number = each.object.logical_id or each.object.id, version_of(each.object)
            if logical not in found or found[logical][0] < number:
                found[logical] = (number, each)
    return {logical: each for logical, (_, each) in found.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next."""

    asked: NewVersion
    before: DocumentEntry | Folder
    lock: int
    """Version of the record of `before`."""

    @property
    def logical_id(self) -> str:
        return self.before.logical_id or self.before.id

    @property
    def number(self) -> int:
        """Of the version before."""
        return version_of(self.before)


def steps_to(
    versions: Iterable[NewVersion], known: Mapping[str, Stored[RegistryObject]], is_same: Callable[[str], bool]
) -> tuple[list[Step], list[RegistryError]]:
    """`known`: versions in force by logical id. `is_same`: whether the object with an id is of the update's patient."""
    steps, errors = [], []
    for each in versions:
        found = known.get(each.entry.logical_id)
        errors += _faults(each, found, is_same)
        if found is not None and isinstance(found.object, DocumentEntry | Folder):
            steps.append(Step(each, found.object, found.lock))
    return steps, errors


def _faults(
    asked: NewVersion, found: Stored[RegistryObject] | None, is_same: Callable[[str], bool]
) -> list[RegistryError]:
    if found is None or type(found.object) is not type(asked.entry):
        return [_wrong(asked, "There is nothing registered that this would be a version of.")]
    before = found.object
    if not isinstance(before, DocumentEntry | Folder):
        return []
    errors = []
    if before.status != APPROVED:
        errors.append(_wrong(asked, "The version before is not Approved."))
    if asked.previous not in (str(version_of(before)), before.version):
        text = f"The version in force is {version_of(before)}."
        errors.append(_wrong(asked, text, ErrorCode.UPDATE_VERSION))
    if not is_same(before.id):
        text = "An update does not move an object to another patient."
        errors.append(_wrong(asked, text, ErrorCode.PATIENT_RECONCILIATION))
    return [*errors, *(_wrong(asked, f"{name} may not change.") for name in _changed(asked.entry, before))]


def _changed(after: DocumentEntry | Folder, before: DocumentEntry | Folder) -> Iterator[str]:
    """What names the object, or belongs to its octets."""
    if after.unique_id != before.unique_id:
        yield "uniqueId"
    if isinstance(after, DocumentEntry) and isinstance(before, DocumentEntry):
        for name, attribute in _FIXED.items():
            if getattr(after, attribute) != getattr(before, attribute):
                yield name


_FIXED = {
    "objectType": "object_type",
    "hash": "hash",
    "size": "size",
    "repositoryUniqueId": "repository_unique_id",
}


def _wrong(asked: NewVersion, text: str, code: ErrorCode = ErrorCode.METADATA_UPDATE) -> RegistryError:
    return RegistryError(code, text, asked.entry.id)


async def propagated(shelf: Shelf, steps: Iterable[Step], new_id: Callable[[], str]) -> list[Association]:
    """What the former versions were associated with, for the new ones; memberships of submission sets stay behind."""
    successors = {each.before.id: each.asked.entry.id for each in steps if each.asked.is_propagated}
    if not successors:
        return []
    found = [each.object for each in (await shelf.associations_touching(successors, (HAS_MEMBER, *RELATIONS))).values()]
    holders = await shelf.folders(each.source for each in found if each.is_membership)
    folders = {name for name, each in holders.items() if each.object.status == APPROVED} | set(successors)
    return [
        replace(
            each,
            id=f"urn:uuid:{new_id()}",
            source=successors.get(each.source, each.source),
            target=successors.get(each.target, each.target),
        )
        for each in found
        if each.status == APPROVED and (not each.is_membership or each.source in folders)
    ]
