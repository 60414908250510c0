"""What a repository checks of a submission before anything is registered (IHE ITI TF-2 3.41.4.1.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from server.kernel.measuring import Received
from server.xds.contents import Kept
from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import DocumentEntry, Submission


def errors_in(submission: Submission, contents: Mapping[str, Received]) -> list[RegistryError]:
    """Documents without entries, entries without documents, and what an entry says of octets that are others."""
    known = {each.id for each in submission.documents}
    errors = [
        RegistryError(ErrorCode.MISSING_METADATA, f"Document {name} has no document entry.", name)
        for name in contents
        if name not in known
    ]
    for entry in submission.documents:
        errors += _judged(entry, contents.get(entry.id))
    return errors + _repeated(submission)


def completed(submission: Submission, contents: Mapping[str, Received], repository: str) -> Submission:
    """With what the repository itself knows of each document."""
    documents = (
        replace(
            each,
            hash=contents[each.id].sha1,
            size=contents[each.id].ref.size,
            repository_unique_id=repository,
        )
        for each in submission.documents
    )
    return replace(submission, documents=tuple(documents))


def differing(entry: DocumentEntry, held: Kept | None) -> list[RegistryError]:
    """A uniqueId names the same octets for ever."""
    if held is None or (entry.hash == held.sha1 and entry.size == held.ref.size):
        return []
    text = f"Another document has the uniqueId {entry.unique_id}."
    return [RegistryError(ErrorCode.NON_IDENTICAL_HASH, text, entry.id)]


def _judged(entry: DocumentEntry, content: Received | None) -> list[RegistryError]:
    if entry.is_on_demand:
        text = f"Entry {entry.id} is on demand: it is registered without a document (ITI-61)."
        return [RegistryError(ErrorCode.REPOSITORY_METADATA, text, entry.id)]
    if content is None:
        text = f"Document entry {entry.id} comes without its document."
        return [RegistryError(ErrorCode.MISSING_DOCUMENT, text, entry.id)]
    if content.ref.size == 0:
        return [RegistryError(ErrorCode.MISSING_DOCUMENT, f"The document of entry {entry.id} is empty.", entry.id)]
    false = []
    if entry.hash and entry.hash.lower() != content.sha1:
        false.append("hash")
    if entry.size is not None and entry.size != content.ref.size:
        false.append("size")
    return [
        RegistryError(
            ErrorCode.REPOSITORY_METADATA, f"The {each} of entry {entry.id} is not that of its document.", entry.id
        )
        for each in false
    ]


def _repeated(submission: Submission) -> list[RegistryError]:
    ids = Counter(each.unique_id for each in submission.documents if each.unique_id)
    return [
        RegistryError(
            ErrorCode.DUPLICATE_IN_REPOSITORY_MESSAGE,
            f"Several documents of the message have the uniqueId {unique_id}.",
            unique_id,
        )
        for unique_id, count in ids.items()
        if count > 1
    ]
