"""Images, patients, consents and actors of tests about access to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.dicom.patient_number import local_system
from server.fhir.json_form import Resource
from server.http.multipart import encode_whole
from server.kernel.context import Actor, Context, Grant
from tests.data.small_files import instance_file

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TPO = [{"system": ACT_REASON, "code": code} for code in ("TREAT", "HPAYMT", "HOPERAT")]
ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
READ = frozenset({"read", "search"})
IMAGES = frozenset({"ImagingStudy"})
ALL = frozenset({"read", "search", "create", "update", "delete"})

STOW = 'multipart/related; type="application/dicom"; boundary=XX'


def stow_body(*files: bytes) -> bytes:
    parts = [([("Content-Type", "application/dicom")], content) for content in files]
    return b"".join(bytes(piece) for piece in encode_whole("XX", parts))


def image(
    patient: str, study: str, series: str, number: int = 1, *, date: str = "20240301", modality: str = "CT"
) -> bytes:
    more: dict[int, tuple[str, str | bytes]] = {
        0x00080020: ("DA", date),
        0x00080030: ("TM", "101112" if date else ""),
        0x00100020: ("LO", patient),
        0x00100010: ("PN", f"Case^{patient}"),
    }
    return instance_file(study, series, f"{series}.{number}", modality=modality, more=more)


def patient(id_: str, number: str) -> Resource:
    return {
        "resourceType": "Patient",
        "id": id_,
        "identifier": [{"system": local_system(""), "value": number}],
        "name": [{"family": "Case"}],
    }


def label(code: str) -> dict[str, str]:
    return {"system": CONFIDENTIALITY if len(code) == 1 else ACT_CODE, "code": code}


def consent(id_: str, patient_id: str, root: Resource, *nested: Resource) -> Resource:
    provision = root | ({"provision": list(nested)} if nested else {})
    return {
        "resourceType": "Consent",
        "id": id_,
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient_id}"},
        "dateTime": "2026-01-01T00:00:00Z",
        "performer": [{"reference": f"Patient/{patient_id}"}],
        "policy": [{"uri": "http://example.org/policy"}],
        "provision": provision,
    }


def permit(*labels: str, **more: Any) -> Resource:
    return _provision("permit", labels, purpose=TPO, **more)


def deny(*labels: str, **more: Any) -> Resource:
    return _provision("deny", labels, **more)


def _provision(kind: str, labels: Sequence[str], **more: Any) -> Resource:
    return {"type": kind} | ({"securityLabel": [label(each) for each in labels]} if labels else {}) | more


def by(reference: str) -> list[Resource]:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "IRCP"}]}
    return [{"role": role, "reference": {"reference": reference}}]


def clinician(name: str = "a", role: str = "radiologist", *grants: Grant) -> Context:
    actor = Actor(
        f"dr-{name}",
        name,
        grants or (Grant(ALL),),
        frozenset({role}),
        user=name,
        fhir_user=f"Practitioner/dr-{name}",
    )
    return Context(actor, "test")


def person(patient_id: str, *grants: Grant, role: str = "patient", name: str = "") -> Context:
    """A patient, or who acts for one, with a `patient/` scope."""
    granted = grants or (Grant(READ, IMAGES, patient_id),)
    return Context(
        Actor(
            f"{role}-{patient_id}",
            patient_id,
            granted,
            frozenset({role}),
            user=patient_id,
            fhir_user=name or f"Patient/{patient_id}",
            own_patients=frozenset({patient_id}),
        ),
        "test",
        "PATRQT",
    )


def server() -> Context:
    actor = Actor("server", "server", (Grant(ALL),), frozenset({"server"}))
    return Context(actor, "test")
