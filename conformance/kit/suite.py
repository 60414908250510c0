"""The whole suite in order: what is stored first is searched, retrieved and rendered, and last of all deleted."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from zipfile import BadZipFile

from conformance.kit import describing, removing, rendering, retrieving, searching, storing
from conformance.kit.client import Client
from conformance.kit.report import Check, Checks, Outcome, Report
from conformance.kit.samples import draw
from conformance.kit.session import Session
from conformance.kit.verdict import Failed, Skipped, Verdict

_UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OSError,
    EOFError,
    BadZipFile,
    struct.error,
    zlib.error,
)

SUITE: Checks = (
    *storing.CHECKS,
    *searching.CHECKS,
    *retrieving.CHECKS,
    *rendering.CHECKS,
    *describing.CHECKS,
    *removing.CHECKS,
)


def run(
    base_url: str,
    headers: Mapping[str, str] | None = None,
    *,
    told: Callable[[Outcome], None] = lambda _: None,
) -> Report:
    """Every check against the DICOMweb service at `base_url`; `headers` go with each request.

    The service must accept writes: the run stores four small studies under UIDs of its own and deletes them at the end.
    """
    session = Session(Client(base_url, headers), draw())
    outcomes = []
    for outcome in _outcomes(session):
        told(outcome)
        outcomes.append(outcome)
    return Report(base_url, tuple(outcomes))


def _outcomes(session: Session) -> Iterator[Outcome]:
    for check in SUITE:
        yield ask(check, session)


def ask(check: Check, session: Session) -> Outcome:
    """One check; an answer so malformed that reading it fails is a failure of the server, not of the kit."""
    try:
        check.ask(session)
    except Skipped as reason:
        return Outcome(check, Verdict.SKIPPED, str(reason))
    except Failed as reason:
        return Outcome(check, Verdict.FAILED, str(reason))
    except _UNREADABLE as error:
        return Outcome(check, Verdict.FAILED, f"the answer cannot be read: {type(error).__name__}: {error}")
    return Outcome(check, Verdict.PASSED)
