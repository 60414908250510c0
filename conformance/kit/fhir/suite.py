"""The whole FHIR suite: sections in the order of the standard's pages, and a clean-up after the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from conformance.kit.asking import ask
from conformance.kit.client import Client
from conformance.kit.fhir.bundle_references import bundle_references
from conformance.kit.fhir.bundle_rules import bundle_rules
from conformance.kit.fhir.bundles import bundles
from conformance.kit.fhir.capabilities import capabilities
from conformance.kit.fhir.conditional import conditional
from conformance.kit.fhir.formats import formats
from conformance.kit.fhir.formats_xml import formats_xml
from conformance.kit.fhir.history import history
from conformance.kit.fhir.negotiation import negotiation
from conformance.kit.fhir.operations import operations
from conformance.kit.fhir.operations_export import export
from conformance.kit.fhir.operations_gatherings import gatherings
from conformance.kit.fhir.operations_subscriptions import subscriptions
from conformance.kit.fhir.operations_terminology import terminology
from conformance.kit.fhir.patches import patches
from conformance.kit.fhir.rest import rest
from conformance.kit.fhir.search_chains import chains
from conformance.kit.fhir.search_composites import composites
from conformance.kit.fhir.search_contexts import contexts
from conformance.kit.fhir.search_dates import dates
from conformance.kit.fhir.search_includes import includes
from conformance.kit.fhir.search_numbers import numbers
from conformance.kit.fhir.search_pages import pages
from conformance.kit.fhir.search_references import references
from conformance.kit.fhir.search_requests import requests
from conformance.kit.fhir.search_strings import strings
from conformance.kit.fhir.search_tokens import tokens
from conformance.kit.fhir.session import Fhir
from conformance.kit.fhir.subsets import subsets
from conformance.kit.fhir.vital_signs import vital_signs
from conformance.kit.fhir.writes import writes
from conformance.kit.report import Check, Outcome, Report

SUITE: tuple[Check[Fhir], ...] = (
    *rest.checks,
    *negotiation.checks,
    *subsets.checks,
    *writes.checks,
    *conditional.checks,
    *patches.checks,
    *history.checks,
    *bundles.checks,
    *bundle_rules.checks,
    *bundle_references.checks,
    *formats.checks,
    *formats_xml.checks,
    *requests.checks,
    *dates.checks,
    *numbers.checks,
    *tokens.checks,
    *strings.checks,
    *references.checks,
    *composites.checks,
    *chains.checks,
    *includes.checks,
    *pages.checks,
    *contexts.checks,
    *operations.checks,
    *gatherings.checks,
    *terminology.checks,
    *export.checks,
    *subscriptions.checks,
    *capabilities.checks,
    *vital_signs.checks,
)


def run(
    base_url: str,
    headers: Mapping[str, str] | None = None,
    *,
    only: Collection[str] = (),
    told: Callable[[Outcome], None] = lambda _: None,
) -> Report:
    """Every check, or those of these ids, against the FHIR service at `base_url`; `headers` go with each request.

    The service must accept writes: all the run stores carries a tag of its own and is deleted at the end.
    """
    fhir = Fhir(Client(base_url, headers))
    outcomes = []
    try:
        for check in SUITE:
            if not only or check.id in only:
                outcomes.append(ask(check, fhir))
                told(outcomes[-1])
    finally:
        fhir.tidy()
    return Report(base_url, tuple(outcomes))
