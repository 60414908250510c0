"""Puts together what decides who sees what: consents as the settings have them, and the access point over them."""

from __future__ import annotations

from server.access.consent.alerts import Alerts
from server.access.consent.policies import Policy, Site
from server.access.consent.source import Consents
from server.access.decision import AccessPoint
from server.access.relations import RecordedRelations
from server.fhir.affiliations import RecordedAffiliations
from server.fhir.services import FhirOptions
from server.kernel.clock import Clock
from server.settings import Settings
from storage.ports import Records


def open_access(
    records: Records, clock: Clock, settings: Settings, options: FhirOptions, alerts: Alerts | None = None
) -> AccessPoint:
    """`alerts` are told when consents cannot be judged."""
    affiliations = RecordedAffiliations(records, clock, options.bases, options.zone)
    consents = Consents(records, clock, site_of(settings), affiliations, alerts)
    return AccessPoint(consents, RecordedRelations(records, clock))


def site_of(settings: Settings) -> Site:
    return Site(
        policy=Policy(settings.consent_policy),
        is_whole=settings.consent_purposes == "whole",
        custodians=_listed(settings.custodian),
        unlabelled_is_restricted=settings.unlabelled == "R",
        emergency_roles=_listed(settings.consent_fault_roles),
    )


def _listed(text: str) -> frozenset[str]:
    return frozenset(each.strip() for each in text.split(",") if each.strip())
