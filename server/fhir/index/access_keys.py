"""Which search keys tell whose a resource is and when it happened, type by type: what `server.access.facets` reads."""

from __future__ import annotations

from collections.abc import Mapping

from profiles.definitions import definitions
from server.access.classes import may_name_patients
from server.access.facets import Places
from server.fhir.index.registry import Registry

CARE_DATES: Mapping[str, tuple[str, ...]] = {
    "AllergyIntolerance": ("date", "onset"), "Appointment": ("date",), "Basic": ("created",), "CarePlan": ("date",),
    "ChargeItem": ("occurrence",), "Claim": ("created",), "ClaimResponse": ("created",),
    "ClinicalImpression": ("date",), "Communication": ("sent", "received"),
    "CommunicationRequest": ("occurrence", "authored"), "Composition": ("date",),
    "Condition": ("onset-date", "recorded-date"), "Consent": ("date",), "CoverageEligibilityRequest": ("created",),
    "DetectedIssue": ("identified",), "DeviceRequest": ("event-date", "authored-on"),
    "DiagnosticReport": ("date", "issued"), "DocumentManifest": ("created",), "DocumentReference": ("period", "date"),
    "Encounter": ("date",), "EpisodeOfCare": ("date",), "ExplanationOfBenefit": ("created",),
    "FamilyMemberHistory": ("date",), "Flag": ("date",), "Goal": ("start-date",), "ImagingStudy": ("started",),
    "Immunization": ("date",), "List": ("date",), "Media": ("created",),
    "MedicationAdministration": ("effective-time",), "MedicationDispense": ("whenhandedover", "whenprepared"),
    "MedicationRequest": ("authoredon",), "MedicationStatement": ("effective",), "NutritionOrder": ("datetime",),
    "Observation": ("date",), "Procedure": ("date",), "QuestionnaireResponse": ("authored",),
    "RequestGroup": ("authored",), "RiskAssessment": ("date",), "ServiceRequest": ("occurrence", "authored"),
    "Specimen": ("collected",), "SupplyDelivery": ("occurrence",), "SupplyRequest": ("date",),
    "Task": ("period", "authored-on"), "VisionPrescription": ("datewritten",),
}  # fmt: skip
"""The parameters that say when it happened, the best first; where that is not told, the next speaks for it."""


def places_of(registry: Registry, resource_type: str) -> Places:
    codes = definitions().compartments["Patient"].get(resource_type, ())
    return Places(
        patients=_names(registry, resource_type, codes, "Patient"),
        moments=_names(registry, resource_type, CARE_DATES.get(resource_type, ()), None),
        is_searched=may_name_patients(resource_type),
    )


def _names(
    registry: Registry, resource_type: str, codes: tuple[str, ...] | list[str], target: str | None
) -> tuple[str, ...]:
    found = [registry.find(resource_type, code) for code in codes]
    return tuple(
        dict.fromkeys(
            source.name for each in found if each for source in each.sources if source.target in (None, target)
        )
    )
