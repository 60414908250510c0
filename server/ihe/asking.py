"""What a message asks, before its transaction reads it: whose records, and its text for the audit trail.

A message may be as long as a submission of thousands of objects: this is work for a thread.
"""

from __future__ import annotations

import re

from lxml import etree

from server.xds.vocabulary import DOCUMENT_PATIENT, FOLDER_PATIENT, RIM, SUBMISSION_PATIENT

_SLOT, _VALUE = f"{{{RIM}}}Slot", f"{{{RIM}}}Value"
_IDENTIFIER = f"{{{RIM}}}ExternalIdentifier"
_PATIENTS = frozenset({DOCUMENT_PATIENT, FOLDER_PATIENT, SUBMISSION_PATIENT})
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_LONGEST = 8 << 10


def patients_named(body: etree._Element) -> frozenset[str]:
    """As CX: those of a query's parameters, and those of objects submitted."""
    found: set[str] = set()
    for slot in body.iter(_SLOT):
        if slot.get("name", "").endswith(("PatientId", "patientId")) and slot.get("name", "").startswith("$"):
            for value in slot.iter(_VALUE):
                text = (value.text or "").strip()
                found.update(each.replace("''", "'") for each in _QUOTED.findall(text) or [text])
    for each in body.iter(_IDENTIFIER):
        if each.get("identificationScheme", "") in _PATIENTS:
            found.add(each.get("value", "").strip())
    return frozenset(found - {""})


def query_text(body: etree._Element) -> str:
    """As sent, as far as an event keeps it."""
    return etree.tostring(body, encoding="unicode", with_tail=False)[:_LONGEST]
