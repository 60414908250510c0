"""What an update asks for: each operation is an association of its submission set (XDS Metadata Update 3.57.4.1.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import Association, DocumentEntry, Folder, Submission
from server.xds.vocabulary import APPROVED, DEPRECATED, SUBMIT_ASSOCIATION, UPDATE_AVAILABILITY


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A document or folder with the metadata it shall have from now on."""

    entry: DocumentEntry | Folder
    previous: str
    """The version its sender has seen."""
    is_propagated: bool
    """Whether it takes part in what its predecessor was associated with."""


@dataclass(frozen=True, slots=True)
class NewStatus:
    association: str
    target: str
    before: str
    after: str


@dataclass(slots=True)
class Operations:
    versions: list[NewVersion] = field(default_factory=list)
    statuses: list[NewStatus] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    """New ones between objects that are registered."""
    errors: list[RegistryError] = field(default_factory=list)


def read_operations(submission: Submission) -> Operations:
    """Of a submission with one set; what belongs to no operation is an error."""
    found = Operations()
    new: tuple[DocumentEntry | Folder, ...] = (*submission.documents, *submission.folders)
    versioned = {each.id: each for each in new}
    associations = {each.id: each for each in submission.associations}
    owner = submission.submission_sets[0].id
    triggers = [each for each in submission.associations if each.source == owner]
    for each in triggers:
        if each.type == UPDATE_AVAILABILITY:
            _add_status(found, each)
        elif each.type == SUBMIT_ASSOCIATION and each.target in associations:
            found.associations.append(associations[each.target])
        elif each.is_membership and each.target in versioned:
            _add_version(found, versioned.pop(each.target), each)
        else:
            found.errors.append(_unknown(each.id, "An association of the SubmissionSet asks for no known operation."))
    _check_rest(found, versioned, associations, {each.id for each in triggers})
    return found


def _add_status(found: Operations, trigger: Association) -> None:
    before, after = _slot(trigger, "OriginalStatus"), _slot(trigger, "NewStatus")
    if not {before, after} <= {APPROVED, DEPRECATED}:
        text = "A change of availabilityStatus tells the original and the new one, Approved or Deprecated."
        found.errors.append(_unknown(trigger.id, text))
    found.statuses.append(NewStatus(trigger.id, trigger.target, before, after))


def _add_version(found: Operations, entry: DocumentEntry | Folder, trigger: Association) -> None:
    if not trigger.previous_version:
        found.errors.append(_unknown(trigger.id, "A new version tells which one it follows (PreviousVersion)."))
    wish = _slot(trigger, "AssociationPropagation").lower() or "yes"
    if wish not in ("yes", "no"):
        found.errors.append(_unknown(trigger.id, "AssociationPropagation is yes or no."))
    found.versions.append(NewVersion(entry, trigger.previous_version, wish == "yes"))


def _check_rest(found: Operations, versioned: Iterable[str], associations: Iterable[str], triggers: set[str]) -> None:
    asked = {each.id for each in found.associations}
    for each in versioned:
        found.errors.append(_unknown(each, "The object is no member of the SubmissionSet."))
    for each in associations:
        if each not in triggers and each not in asked:
            found.errors.append(_unknown(each, "The association is not submitted by the SubmissionSet."))
    lineages = Counter(each.entry.logical_id for each in found.versions)
    for version in found.versions:
        if lineages[version.entry.logical_id] > 1:
            found.errors.append(_unknown(version.entry.id, "An object gets one new version at a time."))


def _slot(association: Association, name: str) -> str:
    values = next((each.values for each in association.slots if each.name == name), ())
    return values[0] if len(values) == 1 else ""


def _unknown(location: str, text: str) -> RegistryError:
    return RegistryError(ErrorCode.UPDATE_OPERATION, text, location)
