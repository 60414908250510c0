"""What registry objects are kept under and found by: collections, keys, and the searches that indexes are made for.

Ids of records are entryUUIDs without `urn:uuid:`. Every object also carries the access keys (`@…`) of the FHIR resource
derived from it, so that one predicate decides over both faces; associations have none, they show when both ends do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from server.xds.metadata import Association, Author, Code, DocumentEntry, Folder, RegistryObject, SubmissionSet
from server.xds.vocabulary import STUDY_INSTANCE
from storage.ports import Index
from storage.query import Key, Keys, Like

DOCUMENT, SUBMISSION, FOLDER, ASSOCIATION = "xds-document", "xds-submission", "xds-folder", "xds-association"
UNIQUE = "xds-unique"
"""One record for each uniqueId ever registered: two submissions of one meet here, whatever they hold."""
TURN = "xds-turn"
"""One record for each object that others came to refer to: whoever adds a reference to it, changes its status or
removes it writes this too, on the condition that nobody else did meanwhile."""

STABLE_TYPE, ON_DEMAND_TYPE = "stable", "on-demand"
MANIFESTS = Like("format", "1.2.840.10008.5.1.4.1.1.88.59^^*")
"""Documents by the SOP class of a key object selection, under whichever name of its coding scheme."""
_URN = "urn:uuid:"
_PADDING = "00000101000000"

INDEXES = (
    Index(DOCUMENT, ("patient", "status", "creation")),
    Index(SUBMISSION, ("patient", "status", "time")),
    Index(FOLDER, ("patient", "status", "updated")),
)
"""Each key is indexed by itself besides, and whatever else is asked is told well enough by one."""


def bare(entry_uuid: str) -> str:
    """The id of an object's record."""
    return entry_uuid.strip().lower().removeprefix(_URN)


def urn(record_id: str) -> str:
    """The entryUUID of a record."""
    return _URN + record_id


def collection_of(obj: RegistryObject) -> str:
    match obj:
        case DocumentEntry():
            return DOCUMENT
        case SubmissionSet():
            return SUBMISSION
        case Folder():
            return FOLDER
        case Association():
            return ASSOCIATION
        case _:
            assert_never(obj)


def status_word(status: str) -> str:
    """`Approved`, `Deprecated`: the end of the URN."""
    return status.rpartition(":")[2]


def moment(dtm: str) -> int | None:
    """A DTM as a number of fourteen digits, a short one at its beginning; `None` for an empty or odd one."""
    if not dtm.isascii() or not dtm.isdigit() or not 4 <= len(dtm) <= 14:
        return None
    return int(dtm + _PADDING[len(dtm) :])


def studies_of(reference_ids: Iterable[str]) -> set[Key]:
    """Study Instance UIDs among CXi texts: all of them, for who may not see one may not see what names it."""
    parts = (each.split("^") for each in reference_ids)
    return {each[0] for each in parts if len(each) > 4 and each[4] == STUDY_INSTANCE}


def keys_of(obj: RegistryObject, patient: str = "", derived: Mapping[str, frozenset[Key]] | None = None) -> Keys:
    """`patient`: `Patient/3`, whose it is. `derived`: the keys of the resource derived from the object."""
    match obj:
        case DocumentEntry():
            own = _document(obj)
        case SubmissionSet():
            own = _submission(obj)
        case Folder():
            own = _folder(obj)
        case Association():
            own = {"source": {bare(obj.source)}, "target": {bare(obj.target)}, "type": {obj.type}}
        case _:
            assert_never(obj)
    own |= {"_id": {bare(obj.id)}, "status": {status_word(obj.status)}, "patient": {patient}}
    found = {name: frozenset(kept) for name, values in own.items() if (kept := {each for each in values if each != ""})}
    return found | {name: values for name, values in (derived or {}).items() if name.startswith("@")}


def _document(entry: DocumentEntry) -> dict[str, set[Key]]:
    keys: dict[str, set[Key]] = {
        "type": {ON_DEMAND_TYPE if entry.is_on_demand else STABLE_TYPE},
        "unique": {entry.unique_id},
        "repository": {entry.repository_unique_id},
        "class": _codes([entry.class_code]),
        "code": _codes([entry.type_code]),
        "format": _codes([entry.format_code]),
        "facility": _codes([entry.facility_type_code]),
        "practice": _codes([entry.practice_setting_code]),
        "event": _codes(entry.event_codes),
        "confidentiality": _codes(entry.confidentiality_codes),
        "author": _persons(entry.authors),
        "reference": set(entry.reference_ids),
        "study": studies_of(entry.reference_ids),
        **_versioned(entry),
    }
    for name, dtm in (
        ("creation", entry.creation_time),
        ("start", entry.service_start_time),
        ("stop", entry.service_stop_time),
    ):
        keys[name] = _moments(dtm)
    return keys


def _submission(submission: SubmissionSet) -> dict[str, set[Key]]:
    return {
        "unique": {submission.unique_id},
        "source": {submission.source_id},
        "author": _persons(submission.authors),
        "content": _codes([submission.content_type_code]),
        "time": _moments(submission.submission_time),
    }


def _folder(folder: Folder) -> dict[str, set[Key]]:
    return {
        "unique": {folder.unique_id},
        "codes": _codes(folder.codes),
        "updated": _moments(folder.last_update_time),
        **_versioned(folder),
    }


def _versioned(obj: DocumentEntry | Folder) -> dict[str, set[Key]]:
    """An object whose metadata were never updated is its own logical object."""
    return {"logical": {bare(obj.logical_id or obj.id)}}


def _codes(codes: Iterable[Code | None]) -> set[Key]:
    return {each.key for each in codes if each is not None}


def _persons(authors: Iterable[Author]) -> set[Key]:
    return {each.person for each in authors if each.person}


def _moments(dtm: str) -> set[Key]:
    found = moment(dtm)
    return set() if found is None else {found}
