"""Why an instance was not stored: the Failure Reason (0008,1197) of a store response (PS3.18 10.5.3, PS3.4 B.2.3)."""

from __future__ import annotations

from server.archive.stage import STUDY_MISMATCH
from server.kernel.problem import Kind, Problem

PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NOT_AUTHORIZED = 0x0124
OUT_OF_RESOURCES = 0xA700
STUDY_DOES_NOT_MATCH = 0xA901
CANNOT_UNDERSTAND = 0xC000
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122

WARNING_DOES_NOT_MATCH_SOP_CLASS = 0xB007

REASON = {
    Kind.INVALID: CANNOT_UNDERSTAND,
    Kind.UNSUPPORTED: TRANSFER_SYNTAX_NOT_SUPPORTED,
    Kind.UNSUPPORTED_MEDIA: CANNOT_UNDERSTAND,
    Kind.UNAUTHENTICATED: NOT_AUTHORIZED,
    Kind.FORBIDDEN: NOT_AUTHORIZED,
    Kind.NOT_FOUND: PROCESSING_FAILURE,
    Kind.METHOD_NOT_ALLOWED: PROCESSING_FAILURE,
    Kind.GONE: PROCESSING_FAILURE,
    Kind.CONFLICT: DUPLICATE_SOP_INSTANCE,
    Kind.PRECONDITION: PROCESSING_FAILURE,
    Kind.NOT_ACCEPTABLE: PROCESSING_FAILURE,
    Kind.TOO_LARGE: OUT_OF_RESOURCES,
    Kind.BUSY: OUT_OF_RESOURCES,
    Kind.UNAVAILABLE: OUT_OF_RESOURCES,
    Kind.FAULT: PROCESSING_FAILURE,
}

_BY_CODE = {STUDY_MISMATCH: STUDY_DOES_NOT_MATCH}


def failure_reason(problem: Problem) -> int:
    """The code for a problem: an issue that names its own comes before the kind."""
    for issue in problem.issues:
        if issue.code in _BY_CODE:
            return _BY_CODE[issue.code]
    return REASON[problem.kind]
