"""The entries of a Provide Document Bundle by what they are (MHD 2:3.65.4.1.2.1), and what its references lead to."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.fhir.bundle.entries import Entry, located
from server.fhir.index.bases import Bases
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem
from server.xds.document_reference import local_id
from server.xds.errors import ErrorCode, refused
from server.xds.lists import RECIPIENT

_PROFILE = re.compile(
    r"https?://(?:profiles\.ihe\.net/ITI/MHD|ihe\.net/fhir)/StructureDefinition/"
    r"IHE[._]MHD[._](?:[A-Za-z._]*[._])?(?:Provide(?:Document)?Bundle|RestfulSubmit)(?:[._][A-Za-z.]+)?(?:\|.*)?"
)
_COMPREHENSIVE = "Comprehensive"


def is_provide_bundle(bundle: Mapping[str, Any]) -> bool:
    """Whether a transaction says that it provides documents; any other is none of ours."""
    return bool(_profiles(bundle))


def is_comprehensive(bundle: Mapping[str, Any]) -> bool:
    return any(_COMPREHENSIVE in each for each in _profiles(bundle))


def _profiles(bundle: Mapping[str, Any]) -> list[str]:
    meta = bundle.get("meta")
    declared = meta.get("profile") if isinstance(meta, dict) else None
    return [each for each in declared or () if isinstance(each, str) and _PROFILE.fullmatch(each)]


@dataclass(slots=True)
class Parts:
    """A bundle's entries; each is in one of these."""

    sets: list[Entry] = field(default_factory=list)
    documents: list[Entry] = field(default_factory=list)
    folders: list[Entry] = field(default_factory=list)
    binaries: list[Entry] = field(default_factory=list)
    patients: list[Entry] = field(default_factory=list)
    superseded: list[Entry] = field(default_factory=list)
    """DocumentReferences that a new one replaces, which the registry sees to by itself."""
    extended: list[Entry] = field(default_factory=list)
    """Folders that are there already and get more documents."""
    named: dict[str, Entry] = field(default_factory=dict)
    """By what references call them."""

    def find(self, reference: str) -> Resource | None:
        entry = self.named.get(reference)
        return entry.resource if entry else None


def sorted_parts(entries: Sequence[Entry]) -> Parts:
    parts = Parts()
    for each in entries:
        _part(parts, each).append(each)
        if each.full_url is not None:
            parts.named[each.full_url] = each
        if each.resource is not None and isinstance(each.resource.get("id"), str):
            parts.named.setdefault(f"{each.resource['resourceType']}/{each.resource['id']}", each)
    if len(parts.sets) != 1:
        text = f"A bundle that provides documents has one submission set, and this one has {len(parts.sets)}."
        raise Problem(Kind.INVALID, text, (Issue(text, "Bundle.entry", "invariant"),))
    return parts


def _part(parts: Parts, entry: Entry) -> list[Entry]:
    kind = (entry.resource or {}).get("resourceType")
    match entry.method, entry.type, kind:
        case "POST", "DocumentReference", "DocumentReference":
            return parts.documents
        case "POST", "Binary", "Binary":
            return parts.binaries
        case "POST", "List", "List":
            return parts.folders if _is_folder(entry) else parts.sets
        case "PUT", "List", "List" if entry.id and _is_folder(entry):
            return parts.extended
        case "PUT" | "PATCH", "DocumentReference", _ if entry.id:
            return parts.superseded
        case "POST" | "PUT", "Patient", "Patient":
            return parts.patients
    if kind == "Bundle":
        raise _refused("FHIRDocumentNotSupported: a document comes as a Binary here, not as a Bundle.", entry)
    raise _refused("No such entry belongs to a bundle that provides documents.", entry)


def _is_folder(entry: Entry) -> bool:
    codings = (entry.resource or {}).get("code", {}).get("coding", ())
    return any(each.get("code") == "folder" for each in codings)


def _refused(text: str, entry: Entry) -> Problem:
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, entry.location, "not-supported"),))


def octets(parts: Parts, entry: Entry, taken: set[int]) -> bytes:
    """The document that a DocumentReference points at; `taken` gets the number of its Binary."""
    attachment = (entry.resource or {})["content"][0]["attachment"]
    binary = parts.named.get(str(attachment.get("url", "")))
    if binary is None or binary.type != "Binary" or binary.resource is None:
        text = "The attachment points at no Binary of the bundle; documents kept elsewhere are not fetched."
        raise located(refused(ErrorCode.MISSING_DOCUMENT, text), entry)
    if binary.number in taken:
        raise located(refused(ErrorCode.REPOSITORY_METADATA, "Two DocumentReferences point at one Binary."), entry)
    taken.add(binary.number)
    try:
        return base64.b64decode(binary.resource.get("data", ""))
    except (binascii.Error, ValueError):
        raise located(refused(ErrorCode.INVALID_CONTENT, "The data of a Binary are not base64."), binary) from None


def outward(resource: Resource, bases: Bases) -> Iterator[str]:
    """References to people, organizations and objects that metadata tell of: `Practitioner/3` where they are here."""
    for each in _references(resource):
        name = str(each.get("reference", ""))
        if name and not name.startswith("#"):
            yield bases.local(name)


def _references(resource: Resource) -> Iterator[Mapping[str, Any]]:
    context = resource.get("context", {}) if resource["resourceType"] == "DocumentReference" else {}
    yield from resource.get("author", ())
    for name in ("authenticator", "practitioner", "organization"):
        yield resource.get(name, {})
    yield context.get("sourcePatientInfo", {})
    for each in (*context.get("encounter", ()), *context.get("related", ())):
        if "identifier" not in each:
            yield each
    source = resource.get("source", {}) if resource["resourceType"] == "List" else {}
    yield source
    extensions = [*source.get("extension", ())]
    extensions += [each for each in resource.get("extension", ()) if each.get("url") == RECIPIENT]
    yield from (each.get("valueReference", {}) for each in extensions)


def members(resource: Resource) -> list[str]:
    """What a List holds, in order."""
    return [str(each.get("item", {}).get("reference", "")) for each in resource.get("entry", ())]


def object_id(reference: str, bases: Bases) -> str:
    """The entryUUID of what a reference to this registry means; empty for any other."""
    name = bases.local(reference)
    if name.startswith("urn:uuid:"):
        return name.lower()
    kind, _, rest = name.partition("/")
    return f"urn:uuid:{local_id(rest)}" if kind in ("DocumentReference", "List") and rest else ""
