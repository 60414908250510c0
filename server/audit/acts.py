"""Which event each endpoint of a surface makes: a row for every one, by its name.

Endpoints are rows of the surfaces; these rows say what an auditor reads of them (FHIR R4 AuditEvent with IHE BALP,
DICOM PS3.15 A.5.3). A test walks every surface and fails where a row is missing.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from server.audit.codes import (
    AUDIT_LOG_USED,
    EXPORT,
    IMPORT,
    INSTANCES_ACCESSED,
    INSTANCES_TRANSFERRED,
    PATIENT_RECORD,
    QUERY,
    REFUSED_INPUT,
    REST,
    SECURITY_ALERT,
    STUDY_DELETED,
)


class About(Enum):
    """What stands in an event beside the patient."""

    DATA = "data"
    """The resources named or noted."""
    QUERY = "query"
    """What was asked; never what was found."""
    STUDY = "study"
    JOB = "job"
    """The export, and what was asked of it."""
    DOCUMENT = "document"
    """Documents by uniqueId."""
    SUBMISSION = "submission"
    """The submission set by uniqueId."""
    OBJECT = "object"
    """Objects of the registry by entryUUID."""


class Pattern(NamedTuple):
    code: str
    subtype: str
    action: str
    about: About

    @property
    def is_write(self) -> bool:
        """Such acts have their event in the commit that writes; the door tells of those that came to nothing."""
        return self.action in "CUD"


def _rest(subtype: str, action: str, about: About = About.DATA) -> Pattern:
    return Pattern(REST, subtype, action, about)


_SEARCH = _rest("search-type", "E", About.QUERY)
_SEARCH_ALL = _rest("search-system", "E", About.QUERY)
_OPERATION = _rest("operation", "E", About.QUERY)
_QIDO = Pattern(QUERY, "qido", "E", About.QUERY)
_WADO = Pattern(INSTANCES_TRANSFERRED, "wado-rs", "R", About.STUDY)
_METADATA = Pattern(INSTANCES_ACCESSED, "wado-metadata", "R", About.STUDY)
_STOW = Pattern(INSTANCES_TRANSFERRED, "stow-rs", "C", About.STUDY)

AUDIT_USED = Pattern(AUDIT_LOG_USED, "ITI-81", "R", About.QUERY)
"""Whatever is asked of AuditEvent (P33)."""
REFUSED = Pattern(SECURITY_ALERT, REFUSED_INPUT, "E", About.DATA)
"""Input that no act could begin with (P37)."""

_FHIR = {
    "read": _rest("read", "R"),
    "vread": _rest("vread", "R"),
    "create": _rest("create", "C"),
    "update": _rest("update", "U"),
    "update.conditional": _rest("update", "U"),
    "patch": _rest("patch", "U"),
    "patch.conditional": _rest("patch", "U"),
    "delete": _rest("delete", "D"),
    "delete.conditional": _rest("delete", "D"),
    "history.instance": _rest("history-instance", "R"),
    "history.type": _rest("history-type", "R", About.QUERY),
    "history.system": _rest("history-system", "R", About.QUERY),
    "search.type": _SEARCH,
    "search.type.post": _SEARCH,
    "search.compartment": _SEARCH,
    "search.compartment.post": _SEARCH,
    "search.system": _SEARCH_ALL,
    "search.system.post": _SEARCH_ALL,
    "transaction": _rest("transaction", "E"),
    "export.file": Pattern(EXPORT, "operation", "R", About.JOB),
    "export.cancel": _rest("operation", "E", About.JOB),
}
_OPERATIONS = {
    "$everything": _OPERATION,
    "$lastn": _OPERATION,
    "$timeline": _OPERATION,
    "$validate": _OPERATION,
    "$meta": _OPERATION,
    "$meta-add": _rest("operation", "U"),
    "$meta-delete": _rest("operation", "U"),
    "$expand": _OPERATION,
    "$lookup": _OPERATION,
    "$subsumes": _OPERATION,
    "$translate": _OPERATION,
    "$validate-code": _OPERATION,
    "$export": Pattern(EXPORT, "operation", "R", About.JOB),
    "$generate-metadata": Pattern(IMPORT, "ITI-106", "C", About.SUBMISSION),
    "$imaging-index": _OPERATION,
    "$ihe-pix": Pattern(QUERY, "ITI-83", "E", About.QUERY),
    "$match": Pattern(QUERY, "ITI-119", "E", About.QUERY),
}
_WADO_ROWS = (
    "wado.study", "wado.series", "wado.instance", "wado.frames", "wado.bulkdata", "wado.study.bulkdata",
    "wado.series.bulkdata", "wado.instance.bulkdata", "wado.study.pixeldata", "wado.series.pixeldata",
    "wado.instance.pixeldata", "wado.study.rendered", "wado.series.rendered", "wado.instance.rendered",
    "wado.frames.rendered", "wado.study.thumbnail", "wado.series.thumbnail", "wado.instance.thumbnail",
    "wado.frames.thumbnail",
)  # fmt: skip
_QIDO_ROWS = (
    "qido.studies", "qido.series", "qido.instances", "qido.study.series", "qido.study.instances",
    "qido.series.instances",
)  # fmt: skip
_DICOM = {
    **dict.fromkeys(_WADO_ROWS, _WADO),
    **dict.fromkeys(_QIDO_ROWS, _QIDO),
    "wado.uri": Pattern(INSTANCES_TRANSFERRED, "wado-uri", "R", About.STUDY),
    "wado.study.metadata": _METADATA,
    "wado.series.metadata": _METADATA,
    "wado.instance.metadata": _METADATA,
    "stow.studies": _STOW,
    "stow.study": _STOW,
    "delete.study": Pattern(STUDY_DELETED, "delete", "D", About.STUDY),
    "delete.series": Pattern(INSTANCES_ACCESSED, "delete", "D", About.STUDY),
    "delete.instance": Pattern(INSTANCES_ACCESSED, "delete", "D", About.STUDY),
}


def _asked(name: str) -> Pattern:
    return Pattern(QUERY, name, "E", About.QUERY)


FEEDS = frozenset({"ITI-8", "ITI-44", "ITI-104"})
"""Transactions whose events are those of the Patients they write."""
TRANSACTIONS = {
    **{name: _asked(name) for name in ("ITI-18", "ITI-38", "ITI-51")},
    **{name: Pattern(EXPORT, name, "R", About.DOCUMENT) for name in ("ITI-39", "ITI-43")},
    **{name: Pattern(INSTANCES_TRANSFERRED, name, "R", About.STUDY) for name in ("RAD-69", "RAD-75")},
    **{
        name: Pattern(IMPORT, name, "C", About.SUBMISSION)
        for name in ("ITI-41", "ITI-42", "ITI-61", "ITI-106", "RAD-68")
    },
    "ITI-57": Pattern(IMPORT, "ITI-57", "U", About.SUBMISSION),
    "ITI-62": Pattern(PATIENT_RECORD, "ITI-62", "D", About.OBJECT),
    "ITI-86": Pattern(PATIENT_RECORD, "ITI-86", "D", About.DOCUMENT),
    **{name: Pattern(PATIENT_RECORD, name, "U", About.DATA) for name in sorted(FEEDS)},
}
"""IHE transactions by name, at the side that answers (TF-2, each transaction's security considerations)."""
INITIATED = {
    "ITI-38": _asked("ITI-38"),
    "ITI-39": Pattern(IMPORT, "ITI-39", "C", About.DOCUMENT),
    "RAD-75": Pattern(INSTANCES_TRANSFERRED, "RAD-75", "C", About.STUDY),
}
"""Those this server itself asks of others, on behalf of whoever asked it."""

_ROWS = _FHIR | _DICOM | TRANSACTIONS

UNRECORDED = frozenset({"export.status"})
"""Endpoints that disclose nothing of anyone: whether an export is done is asked every few seconds."""
ELSEWHERE = frozenset({"capabilities", "oauth"})
"""Interactions the door passes over: statements are public, and the authorization server records its own acts."""


def pattern_of(name: str) -> Pattern | None:
    """The row of an endpoint; those of operations are `operation.$name.level`. `None` where nothing is recorded."""
    if (found := _ROWS.get(name)) is not None:
        return found
    if name.startswith("operation."):
        return _OPERATIONS[name.split(".")[1]]
    if name in UNRECORDED:
        return None
    raise KeyError(name)
