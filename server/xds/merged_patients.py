"""Objects registered under a patient number since replaced: they tell the number that survives (TF-2 3.18.4.1.2.3.9).

What is kept stays as it was registered, so that a merge that turns out to be wrong can be undone; only answers change.
"""

from __future__ import annotations

import re

from server.mpi.identity import Identifier, PatientIdentity
from server.xds.datatypes import Cx
from server.xds.ebxml_writing import escape
from server.xds.vocabulary import DOCUMENT_PATIENT, FOLDER_PATIENT, SUBMISSION_PATIENT

_SCHEMES = "|".join((DOCUMENT_PATIENT, SUBMISSION_PATIENT, FOLDER_PATIENT))
_PATIENT = re.compile(rf'( identificationScheme="(?:{_SCHEMES})" value=")[^"]*"'.encode())


def with_patient(body: bytes, patient_id: str) -> bytes:
    """A stored object with this CX for its patientId. Within texts a quotation mark is always escaped, so the pattern
    meets nothing but the identifier."""
    value = escape(patient_id).encode()
    return _PATIENT.sub(lambda found: found[1] + value + b'"', body, count=1)


def surviving(identity: PatientIdentity) -> str:
    """The patientId to answer with."""
    return str(Cx(identity.number.value, identity.number.system.removeprefix("urn:oid:")))


def number_of(patient_id: str) -> Identifier | None:
    """A CX as the master index asks for it; `None` for what is none."""
    try:
        number = Cx.parse(patient_id)
    except ValueError:
        return None
    return Identifier(f"urn:oid:{number.authority}", number.id)


def is_of(identity: PatientIdentity, patient_id: str) -> bool:
    """Whether an object with this patientId is this person's, under a number of now or of before."""
    return number_of(patient_id) in (identity.number, *identity.former)
