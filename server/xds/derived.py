"""Registry objects as FHIR tells of them: what each becomes, and the transaction entries that write or delete it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from server.fhir.bundle.entries import Entry
from server.fhir.json_form import Resource
from server.xds.document_reference import document_reference
from server.xds.keys import bare
from server.xds.list_labels import shared_labels
from server.xds.lists import folder_list, submission_list
from server.xds.metadata import Association, Code, DocumentEntry, Folder, RegistryObject, SubmissionSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An object as it shall stand, and what its resource tells beyond it."""

    object: RegistryObject
    patient: str = ""
    """`Patient/3`; associations have none."""
    lock: int = 0
    """Version of the record it takes the place of; 0: there is none."""
    relations: tuple[Association, ...] = ()
    """Of a document: those that begin there."""
    members: tuple[str, ...] = ()
    """Of a submission set or folder: `DocumentReference/<id>`, `List/<id>`."""

    @property
    def is_new(self) -> bool:
        return self.lock == 0


def resource_type(obj: RegistryObject) -> str:
    """Empty for associations: they are told within the resources they join."""
    match obj:
        case DocumentEntry():
            return "DocumentReference"
        case SubmissionSet() | Folder():
            return "List"
        case Association():
            return ""
        case _:
            assert_never(obj)


def reference(obj: RegistryObject) -> str:
    return f"{resource_type(obj)}/{bare(obj.id)}"


def resource(kept: Kept, base: str, held: Mapping[str, DocumentEntry]) -> Resource | None:
    """`base`: URL of the FHIR service, where the document can be read as a Binary; `held`: documents by reference."""
    match kept.object:
        case DocumentEntry() as entry:
            return document_reference(entry, kept.patient, f"{base}/Binary/{bare(entry.id)}", kept.relations)
        case SubmissionSet() as submission_set:
            return submission_list(submission_set, kept.patient, kept.members, _labels(kept, held))
        case Folder() as folder:
            return folder_list(folder, kept.patient, kept.members, _labels(kept, held))
        case Association():
            return None
        case _:
            assert_never(kept.object)


def _labels(kept: Kept, held: Mapping[str, DocumentEntry]) -> tuple[Code, ...]:
    return shared_labels(held[each] for each in kept.members if each in held)


def put(number: int, made: Resource) -> Entry:
    kind, name = made["resourceType"], made["id"]
    return Entry(number, "PUT", f"{kind}/{name}", kind, name, None, made, None, None, None, None, None)


def deletion(number: int, kind: str, name: str) -> Entry:
    return Entry(number, "DELETE", f"{kind}/{name}", kind, name, None, None, None, None, None, None, None)


def members(owner: str, associations: Iterable[Association], objects: Mapping[str, RegistryObject]) -> tuple[str, ...]:
    """What a submission set or folder holds, in the order of its memberships; each object once."""
    held = (objects.get(each.target) for each in associations if each.is_membership and each.source == owner)
    return tuple(dict.fromkeys(reference(each) for each in held if each is not None and resource_type(each)))
