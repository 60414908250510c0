"""Resource types by what they tell: of patients, of people and places, of meaning, or of what was done and agreed.

What HL7 puts into the Patient compartment is clinical, and so is what no other class names: a type that is forgotten
here is kept as close as a record.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

from profiles.definitions import definitions


class Class(StrEnum):
    CLINICAL = "clinical"
    IDENTITY = "identity"
    """Who the patients are, and who acts for them."""
    DIRECTORY = "directory"
    """People who give care, where, and by what: nothing of patients."""
    DEFINITION = "definition"
    """What codes, questionnaires, parameters and profiles mean."""
    CONSENT = "consent"
    AUDIT = "audit"
    PROVENANCE = "provenance"
    SUBSCRIPTION = "subscription"
    CONTAINER = "container"
    """May hold anything of anybody: their content decides, as far as it can be told."""


_NAMED = {
    Class.IDENTITY: ("Patient", "RelatedPerson", "Person"),
    Class.DIRECTORY: (
        "Endpoint", "HealthcareService", "InsurancePlan", "Location", "Organization", "OrganizationAffiliation",
        "Practitioner", "PractitionerRole", "Slot",
    ),
    Class.DEFINITION: (
        "ActivityDefinition", "CapabilityStatement", "CatalogEntry", "ChargeItemDefinition", "CodeSystem",
        "CompartmentDefinition", "ConceptMap", "DeviceDefinition", "EffectEvidenceSynthesis", "EventDefinition",
        "Evidence", "EvidenceVariable", "ExampleScenario", "GraphDefinition", "ImplementationGuide", "Library",
        "Measure", "Medication", "MedicationKnowledge", "MedicinalProduct", "MedicinalProductAuthorization",
        "MedicinalProductContraindication", "MedicinalProductIndication", "MedicinalProductIngredient",
        "MedicinalProductInteraction", "MedicinalProductManufactured", "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical", "MedicinalProductUndesirableEffect", "MessageDefinition", "NamingSystem",
        "ObservationDefinition", "OperationDefinition", "PlanDefinition", "Questionnaire", "ResearchDefinition",
        "ResearchElementDefinition", "ResearchStudy", "RiskEvidenceSynthesis", "SearchParameter",
        "SpecimenDefinition", "StructureDefinition", "StructureMap", "Substance", "SubstanceNucleicAcid",
        "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation", "SubstanceSourceMaterial",
        "SubstanceSpecification", "TerminologyCapabilities", "TestScript", "ValueSet",
    ),
    Class.CONSENT: ("Consent",),
    Class.AUDIT: ("AuditEvent",),
    Class.PROVENANCE: ("Provenance",),
    Class.SUBSCRIPTION: ("Subscription",),
    Class.CONTAINER: ("Binary", "Bundle", "Group", "Parameters"),
}  # fmt: skip
_CLASSES = {name: each for each, names in _NAMED.items() for name in names}


def class_of(resource_type: str) -> Class:
    return _CLASSES.get(resource_type, Class.CLINICAL)


@cache
def in_compartment(resource_type: str) -> bool:
    """Whether a resource of the type can be in a Patient's compartment; a Group never counts as one patient's."""
    return resource_type != "Group" and bool(definitions().compartments["Patient"].get(resource_type))


@cache
def may_name_patients(resource_type: str) -> bool:
    """Whether a type without a compartment may still be about somebody."""
    is_public = class_of(resource_type) in (Class.DIRECTORY, Class.DEFINITION)
    return not is_public and not definitions().compartments["Patient"].get(resource_type)
