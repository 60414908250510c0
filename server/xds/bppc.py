"""A patient's signature under a privacy policy, registered as a document, is a consent (IHE BPPC, ITI TF-3 5.1).

The document's event codes are the OIDs of the policies and its service times the period. So the entry is a Consent
too, from the commit that registers it, and whoever asks in whatever dialect is judged by that: a signature is
agreement, unless the site has told that a policy's OID means one of the policies known by name, such as to deny. The
Consent begins and ends with the entry, under an id of its own because senders choose the entry's; what a patient has
since said of it over FHIR is not undone by changes of the entry's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from server.access.consent.policies import Policy
from server.fhir.json_form import Resource
from server.xds.datatypes import is_oid
from server.xds.derived import Kept
from server.xds.fhir_identifiers import date_time
from server.xds.keys import bare
from server.xds.metadata import DocumentEntry
from server.xds.vocabulary import APPROVED

FORMATS = frozenset({"urn:ihe:iti:bppc:2007", "urn:ihe:iti:bppc-sd:2007"})
"""Of an acknowledgement, and of one with a scanned signature."""

_SPACE = UUID("6f2b4c1e-8a57-5d0e-9c33-2f1d7b9a4e60")
_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_NAMED = "https://profiles.ihe.net/ITI/PCF/Policy-"


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """`policies`: what the OIDs of this community's policies mean, for those that are no plain agreement."""

    policies: Mapping[str, Policy] = field(default_factory=dict)

    def consents(self, kept: Sequence[Kept]) -> list[Resource]:
        """Those that begin, and those that end because their entry is no longer approved."""
        found = []
        for each in kept:
            match each.object:
                case DocumentEntry() as entry if _policies(entry) and (each.is_new or entry.status != APPROVED):
                    found.append(self._consent(entry, each.patient))
        return found

    def _consent(self, entry: DocumentEntry, patient: str) -> Resource:
        oids = _policies(entry)
        named = [f"{_NAMED}{self.policies[each]}" for each in oids if each in self.policies]
        made: dict[str, Any] = {
            "resourceType": "Consent",
            "id": consent_id(entry),
            "status": "active" if entry.status == APPROVED else "inactive",
            "scope": {"coding": [{"system": _SCOPE, "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": patient},
            "performer": [{"reference": patient}],
            "sourceReference": {"reference": f"DocumentReference/{bare(entry.id)}"},
            "policy": [{"uri": each} for each in (*named, *(f"urn:oid:{each}" for each in oids))],
            "provision": {"type": "permit"},
        }
        if signed := date_time(entry.creation_time):
            made["dateTime"] = signed
        times = {"start": date_time(entry.service_start_time), "end": date_time(entry.service_stop_time)}
        if period := {name: value for name, value in times.items() if value}:
            made["provision"]["period"] = period
        return made


def is_acknowledgement(entry: DocumentEntry) -> bool:
    return bool(_policies(entry))


def consent_id(entry: DocumentEntry) -> str:
    return str(uuid5(_SPACE, bare(entry.id)))


def _policies(entry: DocumentEntry) -> tuple[str, ...]:
    """OIDs; none where the document is no acknowledgement."""
    if entry.format_code is None or entry.format_code.code not in FORMATS:
        return ()
    codes = (each.code.removeprefix("urn:oid:") for each in entry.event_codes)
    return tuple(dict.fromkeys(each for each in codes if is_oid(each)))
