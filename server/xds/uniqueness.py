"""Which uniqueIds may be registered (TF-2 3.42.4.1.3.3.1 and 3.42.4.1.3.3.7).

Documents share a uniqueId only where they are the same octets. A submission set or folder shares its own with nothing,
so a submission sent twice is refused the second time (XDSDuplicateUniqueIdInRegistry) and leaves the first as it is;
whoever sent it again because no answer came learns that it had arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.xds.errors import ErrorCode, RegistryError
from server.xds.keys import UNIQUE
from server.xds.metadata import DocumentEntry, Folder, Submission, SubmissionSet
from server.xds.stored import Shelf, batches
from storage.ports import Put


async def check_unique(shelf: Shelf, submission: Submission) -> tuple[list[RegistryError], list[Put]]:
    """What is wrong, and what makes a commit fail when somebody else came to use one of the uniqueIds since now."""
    wanted = [
        *(each.unique_id for each in submission.submission_sets),
        *(each.unique_id for each in submission.folders),
        *(each.unique_id for each in submission.documents),
    ]
    locks = {each.id: each.version for some in batches(wanted) for each in await shelf.records.get(UNIQUE, some)}
    guards = [Put(UNIQUE, each, b"{}", expected=locks.get(each, 0)) for each in wanted]
    return (await _conflicts(shelf, submission, list(locks)) if locks else []), guards


async def _conflicts(shelf: Shelf, submission: Submission, used: Sequence[str]) -> list[RegistryError]:
    """A uniqueId that was used before may be free again: what it named can have been removed."""
    documents: dict[str, DocumentEntry] = {}
    for each in await shelf.documents_named(used):
        documents.setdefault(each.object.unique_id, each.object)
    packages: dict[str, str] = {}
    for stored in await shelf.submission_sets_named(used):
        packages[stored.object.unique_id] = "a submission set, so this submission has been here before"
    for folder in await shelf.folders_named(used):
        packages[folder.object.unique_id] = "a folder"
    errors = [_taken(each, documents, packages) for each in submission.submission_sets]
    errors += [_taken(each, documents, packages) for each in submission.folders]
    errors += [_differing(each, documents, packages) for each in submission.documents]
    return [each for each in errors if each is not None]


def _taken(
    entry: SubmissionSet | Folder, documents: Mapping[str, DocumentEntry], packages: Mapping[str, str]
) -> RegistryError | None:
    by = packages.get(entry.unique_id) or ("a document" if entry.unique_id in documents else "")
    if not by:
        return None
    text = f"The uniqueId {entry.unique_id} is that of {by}."
    return RegistryError(ErrorCode.DUPLICATE_UNIQUE_ID, text, entry.id)


def _differing(
    entry: DocumentEntry, documents: Mapping[str, DocumentEntry], packages: Mapping[str, str]
) -> RegistryError | None:
    if by := packages.get(entry.unique_id):
        text = f"The uniqueId {entry.unique_id} is that of {by}."
        return RegistryError(ErrorCode.DUPLICATE_UNIQUE_ID, text, entry.id)
    known = documents.get(entry.unique_id)
    if known is None:
        return None
    text = f"A document with the uniqueId {entry.unique_id} is registered with another"
    if known.hash.lower() != entry.hash.lower():
        return RegistryError(ErrorCode.NON_IDENTICAL_HASH, f"{text} hash.", entry.id)
    if known.size != entry.size:
        return RegistryError(ErrorCode.NON_IDENTICAL_SIZE, f"{text} size.", entry.id)
    return None
