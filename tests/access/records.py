"""What the archive of the matrix holds, every piece under a name that is found again in whatever is answered.

An id `zzp-psy` and a content `SECRET-p-psy` belong to the object `p-psy`; DICOM objects go by their UIDs. The patients:
`p` is the one whose consents change, `q` never consented to anything, `r` neither.
"""

from __future__ import annotations

import base64
from typing import Any

from profiles.china import citizen
from server.bridge.imaging_study import resource_id
from server.dicom.patient_number import local_system
from tests.data.consents import TPO, consent, deny, label, permit
from tests.data.small_files import instance_file

Json = dict[str, Any]

SCALAR = "urn:codes"
PIXELS = {"i-open": b"PIXELS-OF-P-OPEN", "i-psy": b"PIXELS-OF-P-PSYC", "i-plain": b"PIXELS-OF-P-PLAI",
          "i-q": b"PIXELS-OF-Q-OPEN"}  # fmt: skip


def uid(number: int) -> str:
    return f"1.2.826.9.{number:04}".replace(".9.0", ".9.7")


UIDS = {
    "d-part": uid(1001), "e-open": uid(1011), "i-open": uid(1012), "e-psy": uid(1021), "i-psy": uid(1022),
    "d-plain": uid(1101), "e-plain": uid(1111), "i-plain": uid(1112),
    "d-q": uid(2001), "e-q": uid(2011), "i-q": uid(2012),
    "d-spare": uid(3001), "e-spare": uid(3011), "i-spare": uid(3012), "e-other": uid(3021), "i-other": uid(3022),
    "d-new": uid(4001), "e-new": uid(4011), "i-new": uid(4012),
}  # fmt: skip
"""Studies `d-`, series `e-`, instances `i-`."""
STUDIES = {"d-part": "p", "d-plain": "p", "d-q": "q", "d-spare": "p"}
RESOURCES_OF_STUDIES = {resource_id(UIDS[name]): name.replace("d-", "s-") for name in STUDIES}


def image(patient: str, study: str, series: str, instance: str, modality: str = "CT") -> bytes:
    more: dict[int, tuple[str, str | bytes]] = {
        0x00100020: ("LO", f"number-{patient}"),
        0x00100010: ("PN", f"SECRET-{patient}-name"),
        0x00080050: ("SH", f"number-of-{study}"),
        0x00081030: ("LO", f"SECRET-{study}"),
        0x0008103E: ("LO", f"SECRET-{series}"),
    }
    pixels = PIXELS.get(instance, b"PIXELS-OF-NOBODY") * 2
    return instance_file(UIDS[study], UIDS[series], UIDS[instance], modality=modality, pixels=pixels, more=more)


def images(without: frozenset[str] = frozenset()) -> list[bytes]:
    return [
        image("p", "d-part", "e-open", "i-open"),
        *([] if "e-psy" in without else [image("p", "d-part", "e-psy", "i-psy", "MR")]),
        image("p", "d-plain", "e-plain", "i-plain"),
        image("q", "d-q", "e-q", "i-q"),
        *spare_images(),
    ]


def spare_images() -> list[bytes]:
    """Of a study that may be deleted."""
    return [image("p", "d-spare", "e-spare", "i-spare"), image("p", "d-spare", "e-other", "i-other")]


def public() -> list[Json]:
    """Who works here, and what codes mean."""
    staff = ("radiologist", "doctor", "nurse", "technologist")
    research: Json = {"resourceType": "PractitionerRole", "id": "zzs-research"}
    research |= {"organization": {"reference": "Organization/zzs-institute"}}
    return [
        *({"resourceType": "Practitioner", "id": f"zzs-{each}"} for each in staff),
        {"resourceType": "Organization", "id": "zzs-here", "name": "here"},
        {"resourceType": "Organization", "id": "zzs-institute", "name": "institute"},
        research,
        {
            "resourceType": "CodeSystem",
            "id": "zzs-codes",
            "url": SCALAR,
            "status": "active",
            "content": "complete",
            "concept": [{"code": "vital"}, {"code": "psy"}],
        },
        {
            "resourceType": "ValueSet",
            "id": "zzs-values",
            "url": "urn:values",
            "status": "active",
            "compose": {"include": [{"system": SCALAR}]},
        },
        {
            "resourceType": "ConceptMap",
            "id": "zzs-map",
            "url": "urn:map",
            "status": "active",
            "group": [{"source": SCALAR, "target": SCALAR, "element": [{"code": "vital"}]}],
        },
    ]


CITIZENS = {"p": "11010519491231002X", "q": "110105198506070014"}


def patient(name: str) -> Json:
    numbers = [{"system": local_system(""), "value": f"number-{name}"}]
    if name in CITIZENS:
        numbers.append({"system": citizen.SYSTEM, "value": CITIZENS[name]})
    made: Json = {
        "resourceType": "Patient",
        "id": f"zz{name}-self",
        "identifier": numbers,
        "name": [{"family": f"SECRET-{name}-self"}],
    }
    return made | ({"generalPractitioner": [{"reference": "Practitioner/zzs-doctor"}]} if name == "p" else {})


def observation(of: str, kind: str, *labels: str, code: str | None = None, date: str = "2024-03-01") -> Json:
    return _labelled(
        {
            "resourceType": "Observation",
            "id": f"zz{of}-{kind}",
            "identifier": [{"system": "urn:id", "value": f"SECRET-{of}-{kind}"}],
            "status": "final",
            "text": {"status": "generated", "div": _narrative(f"SECRET-{of}-{kind}")},
            "category": [
                {"coding": [{"system": _CATEGORY, "code": "vital-signs" if kind == "vital" else "laboratory"}]}
            ],
            "code": {"coding": [{"system": SCALAR, "code": code or kind}]},
            "subject": {"reference": f"Patient/zz{of}-self"},
            "effectiveDateTime": date,
            "performer": [{"reference": "Practitioner/zzs-nurse"}],
            "valueString": f"SECRET-{of}-{kind}",
        },
        labels,
    )


_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def _narrative(text: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'


def _labelled(resource: Json, labels: tuple[str, ...]) -> Json:
    return resource | ({"meta": {"security": [label(each) for each in labels]}} if labels else {})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


BINARY = "SECRET-p-bin"


def of_p() -> list[Json]:
    """The record of one patient: normal, restricted, very restricted, and what refers to each."""
    subject = {"reference": "Patient/zzp-self"}
    psy = {"reference": "Observation/zzp-psy", "display": "SECRET-p-psy"}
    visit = {"encounter": {"reference": "Encounter/zzp-visit"}}
    text = {"coding": [{"system": SCALAR, "code": "ill"}]}
    return [
        patient("p"),
        observation("p", "vital", "N"),
        observation("p", "lab", "N"),
        observation("p", "psy", "R", "PSY", date="2024-02-01"),
        observation("p", "very", "V", date="2024-01-01"),
        {
            "resourceType": "Encounter",
            "id": "zzp-visit",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": subject,
            "reasonCode": [{"text": "SECRET-p-visit"}],
        },
        {"resourceType": "Condition", "id": "zzp-ill", "code": text | {"text": "SECRET-p-ill"}}
        | {"subject": subject, **visit},
        {
            "resourceType": "DiagnosticReport",
            "id": "zzp-report",
            "status": "final",
            "code": text,
            "subject": subject,
            "result": [{"reference": "Observation/zzp-vital"}, {"reference": "Observation/zzp-lab"}, psy],
            "conclusion": "SECRET-p-report",
        },
        _labelled(
            {
                "resourceType": "DocumentReference",
                "id": "zzp-doc",
                "status": "current",
                "subject": subject,
                "description": "SECRET-p-doc",
                "content": [{"attachment": {"url": "Binary/zzp-bin", "contentType": "text/plain"}}],
            },
            ("R", "PSY"),
        ),
        {
            "resourceType": "Binary",
            "id": "zzp-bin",
            "contentType": "text/plain",
            "securityContext": {"reference": "DocumentReference/zzp-doc"},
            "data": encoded(BINARY),
        },
        *_referring(subject, psy),
        *_around(subject, psy),
    ]


def _referring(subject: Json, psy: Json) -> list[Json]:
    """What refers to the restricted observation, and what is about two patients."""
    return [
        {
            "resourceType": "List",
            "id": "zzp-list",
            "status": "current",
            "mode": "working",
            "title": "SECRET-p-list",
            "subject": subject,
            "entry": [{"item": {"reference": "Observation/zzp-lab"}}, {"item": psy}],
        },
        {
            "resourceType": "Provenance",
            "id": "zzp-made",
            "target": [psy],
            "recorded": "2024-02-01T00:00:00Z",
            "policy": ["urn:SECRET-p-made"],
            "agent": [{"who": {"reference": "Practitioner/zzs-nurse"}}],
        },
        {
            "resourceType": "Communication",
            "id": "zzp-shared",
            "status": "completed",
            "subject": subject,
            "recipient": [{"reference": "Patient/zzq-self"}],
            "payload": [{"contentString": "SECRET-p-shared"}],
        },
    ]


def _around(subject: Json, psy: Json) -> list[Json]:
    """Of types that lie beside the record."""
    return [
        {
            "resourceType": "Task",
            "id": "zzp-task",
            "status": "requested",
            "intent": "order",
            "description": "SECRET-p-task",
            "for": subject,
            "focus": psy,
        },
        {
            "resourceType": "RelatedPerson",
            "id": "zzp-mother",
            "patient": subject,
            "name": [{"family": "SECRET-p-mother"}],
        },
        {
            "resourceType": "Person",
            "id": "zzp-person",
            "name": [{"family": "SECRET-p-person"}],
            "link": [{"target": subject}],
        },
        {"resourceType": "Basic", "id": "zzp-basic", "code": {"text": "SECRET-p-basic"}, "subject": subject},
        {
            "resourceType": "Bundle",
            "id": "zzp-bundle",
            "type": "collection",
            "identifier": {"value": "SECRET-p-bundle"},
            "entry": [
                {
                    "fullUrl": "urn:uuid:5b4a9a7b-7a3c-4cf5-a3fb-c0b7a4a1a001",
                    "resource": observation("p", "within"),
                }
            ],
        },
    ]  # fmt: skip


def of_others() -> list[Json]:
    return [
        patient("q"),
        observation("q", "vital", "N"),
        observation("q", "psy", "R", "PSY"),
        patient("r"),
        observation("r", "vital", "N"),
        {
            "resourceType": "Group",
            "id": "zzs-group",
            "type": "person",
            "actual": True,
            "name": "SECRET-s-group",
            "member": [{"entity": {"reference": f"Patient/zz{each}-self"}} for each in "pq"],
        },
        {
            "resourceType": "AuditEvent",
            "id": "zzs-audit",
            "type": {"code": "rest"},
            "recorded": "2024-02-01T00:00:00Z",
            "agent": [{"requestor": True, "who": {"reference": "Practitioner/zzs-nurse"}}],
            "source": {"observer": {"display": "SECRET-s-audit"}},
            "entity": [{"what": {"reference": "Patient/zzp-self"}}],
        },
        {
            "resourceType": "Subscription",
            "id": "zzs-sub",
            "status": "off",
            "reason": "SECRET-s-sub",
            "criteria": "Observation?patient=zzp-self",
            "channel": {"type": "websocket"},
        },
    ]


def turned(text: str, *labels: str) -> Json:
    """Restricted at first and normal afterwards."""
    return observation("p", "turned", *labels) | {"valueString": f"SECRET-p-{text}"}


def forgetting(value: Any, names: frozenset[str]) -> Any:
    """The same without references to these; what must refer to something refers to nothing that is told."""
    if isinstance(value, list):
        kept = [each for each in value if not _refers(each, names)]
        return [forgetting(each, names) for each in kept] or [{"display": "something"}]
    if isinstance(value, dict):
        return {
            name: {"display": "something"} if _refers(each, names) else forgetting(each, names)
            for name, each in value.items()
        }
    return value


def _refers(value: Any, names: frozenset[str]) -> bool:
    if not isinstance(value, dict):
        return False
    text = value.get("reference", value.get("item", {}).get("reference", "") if "item" in value else "")
    return isinstance(text, str) and text.partition("/zz")[2] in names


TURNED = (turned("before", "R", "PSY"), turned("turned", "N"))
GONE = observation("p", "gone", "N")


def consents() -> dict[str, Json]:
    """Six that bite differently; of the first nothing is in force."""
    research = permit(["HRESCH"], actors=["Organization/zzs-institute"])
    instance = deny(data=[("instance", "Observation/zzp-lab")])
    relative = deny(actors=["RelatedPerson/zzp-mother"])
    return {
        "none": _consent(permit(TPO)) | {"status": "rejected"},
        "tpo+research": _consent(permit(TPO, nested=[research])),
        "deny": _consent(deny()),
        "normal-only": _consent(permit(TPO, labels=["N"])),
        "not-lab-nor-mother": _consent(permit(TPO, nested=[instance, relative])),
        "not-psy": _consent(permit(TPO, nested=[deny(labels=["PSY"])])),
    }


def _consent(root: Json) -> Json:
    made = consent(root, "Patient/zzp-self", id="zzp-consent")
    made["organization"] = [{"reference": "Organization/zzs-here"}]
    made["policy"] = [{"uri": "https://policies.example/SECRET-p-consent"}]
    return made
