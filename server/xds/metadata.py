"""XDS metadata as values: what a registry keeps and answers with (IHE ITI TF-3 4.2).

Texts with inner structure (CX, CXi, XCN, XON, XTN, DTM) stay as they were sent, because queries compare them so;
`server.xds.datatypes` reads them. Ids are `urn:uuid:` in lower case once registered, symbolic before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from server.xds.vocabulary import APPROVED, HAS_MEMBER, ON_DEMAND, STABLE


class Localized(NamedTuple):
    """One LocalizedString of a Name or Description."""

    text: str
    language: str = ""


Text: TypeAlias = tuple[Localized, ...]


class Code(NamedTuple):
    """A coded value; a display name never decides anything."""

    code: str
    scheme: str
    display: str = ""
    names: Text = ()
    """The display name as it was told, where that was in a named language or in several."""

    @classmethod
    def named(cls, code: str, scheme: str, names: Text) -> Code:
        display = plain(names)
        return cls(code, scheme, display, () if names in ((), (Localized(display),)) else names)

    @property
    def key(self) -> str:
        """As queries write it: `code^^scheme`."""
        return f"{self.code}^^{self.scheme}"


class Slot(NamedTuple):
    """What a submission carries beyond the standard's own attributes."""

    name: str
    values: tuple[str, ...]


def plain(text: Text) -> str:
    """The text in its first language; empty where there is none."""
    return text[0].text if text else ""


@dataclass(frozen=True, slots=True)
class Author:
    person: str = ""
    """XCN."""
    institutions: tuple[str, ...] = ()
    """XON."""
    roles: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()
    telecommunications: tuple[str, ...] = ()
    """XTN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentEntry:
    """A document as the registry knows it (TF-3 4.2.3.2); what may be absent is empty or `None`."""

    id: str
    unique_id: str
    patient_id: str
    """CX in the affinity domain."""
    mime_type: str
    class_code: Code | None = None
    type_code: Code | None = None
    format_code: Code | None = None
    facility_type_code: Code | None = None
    practice_setting_code: Code | None = None
    confidentiality_codes: tuple[Code, ...] = ()
    event_codes: tuple[Code, ...] = ()
    authors: tuple[Author, ...] = ()
    object_type: str = STABLE
    status: str = APPROVED
    availability: str = ""
    """`documentAvailability` (metadata update); empty: not told."""
    creation_time: str = ""
    service_start_time: str = ""
    service_stop_time: str = ""
    hash: str = ""
    """SHA-1, hexadecimal in lower case."""
    size: int | None = None
    """Octets."""
    language_code: str = ""
    legal_authenticator: str = ""
    source_patient_id: str = ""
    source_patient_info: tuple[str, ...] = ()
    reference_ids: tuple[str, ...] = ()
    """CXi."""
    repository_unique_id: str = ""
    uri: str = ""
    home: str = ""
    title: Text = ()
    comments: Text = ()
    logical_id: str = ""
    version: str = ""
    """Both empty unless metadata were updated."""
    is_limited: bool = False
    slots: tuple[Slot, ...] = ()

    @property
    def is_on_demand(self) -> bool:
        return self.object_type == ON_DEMAND


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSet:
    """TF-3 4.2.3.3."""

    id: str
    unique_id: str
    patient_id: str
    source_id: str
    submission_time: str
    content_type_code: Code | None = None
    authors: tuple[Author, ...] = ()
    intended_recipients: tuple[str, ...] = ()
    status: str = APPROVED
    home: str = ""
    title: Text = ()
    comments: Text = ()
    is_limited: bool = False
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """TF-3 4.2.3.4."""

    id: str
    unique_id: str
    patient_id: str
    codes: tuple[Code, ...] = ()
    last_update_time: str = ""
    status: str = APPROVED
    home: str = ""
    title: Text = ()
    comments: Text = ()
    logical_id: str = ""
    version: str = ""
    is_limited: bool = False
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """TF-3 4.2.2."""

    id: str
    type: str
    source: str
    target: str
    status: str = APPROVED
    is_original: bool | None = None
    """SubmissionSetStatus of a member: `Original` or `Reference`; `None` where it is not told."""
    previous_version: str = ""
    documentation: Code | None = None
    home: str = ""
    slots: tuple[Slot, ...] = ()

    @property
    def is_membership(self) -> bool:
        return self.type == HAS_MEMBER


RegistryObject: TypeAlias = DocumentEntry | SubmissionSet | Folder | Association


@dataclass(frozen=True, slots=True)
class Submission:
    """One message of ITI-41, 42, 57 or 61, in the order its objects came."""

    submission_sets: tuple[SubmissionSet, ...] = ()
    """A valid one has exactly one."""
    documents: tuple[DocumentEntry, ...] = ()
    folders: tuple[Folder, ...] = ()
    associations: tuple[Association, ...] = ()
    unsaved: tuple[str, ...] = ()
    """Ids of objects that carried what these values have no place for, such as a classification of another profile."""
