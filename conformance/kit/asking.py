"""Putting one check to a server; an answer too malformed to read is a failure of the server, not of the kit."""

from __future__ import annotations

import struct
import zlib
from typing import TypeVar
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from conformance.kit.report import Check, Outcome
from conformance.kit.verdict import Failed, Skipped, Verdict

_UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OSError,
    EOFError,
    BadZipFile,
    ParseError,
    struct.error,
    zlib.error,
)

S = TypeVar("S")


def ask(check: Check[S], session: S) -> Outcome:
    try:
        check.ask(session)
    except Skipped as reason:
        return Outcome(check, Verdict.SKIPPED, str(reason))
    except Failed as reason:
        return Outcome(check, Verdict.FAILED, str(reason))
    except _UNREADABLE as error:
        return Outcome(check, Verdict.FAILED, f"the answer cannot be read: {type(error).__name__}: {error}")
    return Outcome(check, Verdict.PASSED)
