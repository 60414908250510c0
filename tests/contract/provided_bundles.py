"""Provide Document Bundles (ITI-65) and documents provided over XDS, for what MHD makes of both."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from server.xds.metadata import DocumentEntry
from tests.contract.mhd_world import MhdWorld
from tests.contract.registering_world import CONTEXT
from tests.data.xds_objects import document, submission

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
TEXT = "报告: no finding.".encode()
SHA1 = hashlib.sha1(TEXT).hexdigest()
LOINC = "http://loinc.org"


_numbers = iter(range(1, 10_000))


def oid() -> str:
    return f"1.2.3.99.{next(_numbers)}"


def registered(world: MhdWorld, patient: Any, octets: bytes = TEXT, **changes: Any) -> DocumentEntry:
    """A document provided over XDS, as the registry keeps it."""
    number, name = world.number(patient), oid()
    changes = {"hash": "", "size": None, "repository_unique_id": "", "patient_id": number} | changes
    entry = document(unique_id=name, **changes)
    sent = submission(entry, unique_id=oid(), patient_id=number)
    world.run(world.repository.provide_bytes(CONTEXT, sent, {entry.id: octets}))
    [kept] = world.run(world.shelf.documents_named([name]))
    stored: DocumentEntry = kept.object
    return stored


def concept(code: str, system: str = LOINC) -> Any:
    return {"coding": [{"system": system, "code": code}]}


def bundle(
    subject: Any, *documents: dict[str, Any], level: str = "Minimal", folders: Any = (), more: Any = ()
) -> dict[str, Any]:
    """A Provide Document Bundle with a Binary for each document that points at one of the first letters."""
    references = [f"urn:uuid:0000000{n}-0000-4000-8000-000000000000" for n in range(len(documents))]
    entries = [
        {
            "fullUrl": "urn:uuid:10000000-0000-4000-8000-000000000000",
            "resource": {
                "resourceType": "List",
                "extension": [
                    {"url": MHD + "ihe-sourceId", "valueIdentifier": {"value": "urn:oid:1.2.3"}},
                    {"url": MHD + "ihe-designationType", "valueCodeableConcept": concept("11503-0")},
                ],
                "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"}],
                "status": "current",
                "mode": "working",
                "code": {"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes",
                                     "code": "submissionset"}]},
                "subject": subject,
                "date": "2026-11-22T10:00:00+08:00",
                "entry": [{"item": {"reference": each}} for each in references],
            },
            "request": {"method": "POST", "url": "List"},
        }
    ]  # fmt: skip
    for reference, made in zip(references, documents, strict=True):
        entries.append(
            {"fullUrl": reference, "resource": made, "request": {"method": "POST", "url": "DocumentReference"}}
        )
    octets = base64.b64encode(TEXT).decode()
    for made in documents:
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": octets}
        url = made["content"][0]["attachment"]["url"]
        entries.append({"fullUrl": url, "resource": binary, "request": {"method": "POST", "url": "Binary"}})
    entries += [*folders, *more]
    profile = f"{MHD}IHE.MHD.{level}.ProvideBundle"
    return {"resourceType": "Bundle", "meta": {"profile": [profile]}, "type": "transaction", "entry": entries}


def reference(subject: Any, **more: Any) -> dict[str, Any]:
    url = f"urn:uuid:20000000-0000-4000-8000-{next(_numbers):012d}"
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid()}"},
        "status": "current",
        "subject": subject,
        "content": [{"attachment": {"contentType": "text/plain", "url": url}}],
    } | more


def here(patient: Any) -> Any:
    return {"reference": f"Patient/{patient['id']}"}


def issues(got: Any) -> str:
    return " ".join(each["diagnostics"] for each in got.json["issue"])
