"""Composite parameters and `:missing` (FHIR R4 3.1.1.4.4 and 16)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource
from conformance.kit.fhir.shelf import Shelf

composites = Section()

LOINC = "http://loinc.org"
SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"


def _code(code: str) -> Resource:
    return {"coding": [{"system": LOINC, "code": code}]}


def _amount(value: float) -> Resource:
    return {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}


def pressure(systolic: float, diastolic: float) -> Resource:
    parts = ((SYSTOLIC, systolic), (DIASTOLIC, diastolic))
    components = [{"code": _code(code), "valueQuantity": _amount(value)} for code, value in parts]
    return {"resourceType": "Observation", "status": "final", "code": _code("55284-4"), "component": components}


def single(code: str, value: float) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": _code(code), "valueQuantity": _amount(value)}


@composites.check("S100", "search.html#composite")
def wants_both_parts_of_one_component(fhir: Fhir) -> None:
    shelf = Shelf(fhir, high=pressure(150, 90), crossed=pressure(90, 150), root=single(SYSTOLIC, 150))
    shelf.finds_all(
        "Observation?",
        {
            f"component-code-value-quantity={LOINC}|{SYSTOLIC}$150": "high",
            f"component-code-value-quantity={SYSTOLIC}$gt140": "high",
            f"component-code-value-quantity={SYSTOLIC}$lt100": "crossed",
            f"combo-code-value-quantity={SYSTOLIC}$150": "high root",
            f"code-value-quantity={SYSTOLIC}$150|http://unitsofmeasure.org|mm[Hg]": "root",
            "code-value-quantity=55284-4$150": "",
        },
    )


@composites.check("T11", "search.html#composite")
def joins_composites_by_comma(fhir: Fhir) -> None:
    shelf = Shelf(fhir, high=pressure(150, 90), low=pressure(100, 60), normal=pressure(120, 80))
    both = f"{SYSTOLIC}$ge150,{DIASTOLIC}$le60"
    shelf.finds_all(
        "Observation?",
        {
            f"component-code-value-quantity={both}": "high low",
            f"component-code-value-quantity={SYSTOLIC}$ge120&component-code-value-quantity={DIASTOLIC}$le80": "normal",
        },
    )


@composites.check("S100", "search.html#composite")
def refuses_composites_that_are_malformed(fhir: Fhir) -> None:
    name = "Observation?component-code-value-quantity"
    Shelf(fhir).refuses(
        f"{name}={SYSTOLIC}", f"{name}={SYSTOLIC}$1$2", f"{name}:exact={SYSTOLIC}$1", f"{name}={SYSTOLIC}$much"
    )


@composites.check("T10", "search.html#composite")
def wants_both_parts_of_one_characteristic(fhir: Fhir) -> None:
    def group(**pairs: str) -> Resource:
        traits = [{"code": {"text": key, "coding": [{"code": key}]}, "exclude": False,
                   "valueCodeableConcept": {"coding": [{"code": value}]}} for key, value in pairs.items()]  # fmt: skip
        return {"resourceType": "Group", "type": "person", "actual": True, "characteristic": traits}

    shelf = Shelf(fhir, right=group(gender="female", owner="a"), crossed=group(gender="a", owner="female"))
    shelf.finds_all(
        "Group?characteristic-value=", {"gender$female": "right", "owner$female": "crossed", "none$female": ""}
    )


@composites.check("S103", "search.html#missing")
def tells_what_is_missing(fhir: Fhir) -> None:
    full: Resource = {
        "resourceType": "Patient", "gender": "male", "birthDate": "2000", "name": [{"family": "Quell"}],
        "generalPractitioner": [{"display": "somebody"}],
    }  # fmt: skip
    shelf = Shelf(fhir, full=full, empty={"resourceType": "Patient", "active": True})
    for name in ("gender", "birthdate", "family", "name", "general-practitioner"):
        shelf.finds_all(f"Patient?{name}:missing=", {"true": "empty", "false": "full"})
    shelf.finds_all("Patient?", {"gender=male&gender:missing=true": "", "active:missing=true": "full"})
    shelf.refuses("Patient?gender:missing=maybe", "Patient?gender:missing=1")


@composites.check("S103", "search.html#missing")
def takes_an_element_with_extensions_only_as_missing(fhir: Fhir) -> None:
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    shelf = Shelf(fhir, hollow={"resourceType": "Patient", "_birthDate": {"extension": [reason]}, "active": True})
    shelf.finds_all("Patient?birthdate:missing=", {"true": "hollow", "false": ""})


@composites.check("S103", "search.html#missing")
def tells_which_numbers_and_quantities_are_missing(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, valued=single(SYSTOLIC, 5), bare={"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    )
    shelf.finds_all("Observation?value-quantity:missing=", {"true": "bare", "false": "valued"})
    sequences = {"resourceType": "MolecularSequence", "coordinateSystem": 0}
    fhir.need("MolecularSequence", "create")
    shelf.add("placed", {**sequences, "variant": [{"start": 5}]})
    shelf.add("unplaced", sequences)
    shelf.finds_all("MolecularSequence?variant-start:missing=", {"true": "unplaced", "false": "placed"})
