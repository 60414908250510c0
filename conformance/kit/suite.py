"""The whole suite in order: what is stored first is searched, retrieved and rendered, and last of all deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from conformance.kit import describing, removing, rendering, retrieving, searching, storing
from conformance.kit.asking import ask
from conformance.kit.client import Client
from conformance.kit.report import Checks, Outcome, Report
from conformance.kit.samples import draw
from conformance.kit.session import Session

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
