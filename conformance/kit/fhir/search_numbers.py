"""Searches by number and by quantity: precision, prefixes, units (FHIR R4 3.1.1.4.6 and 14)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource
from conformance.kit.fhir.shelf import Shelf
from conformance.kit.verdict import Skipped

numbers = Section()

UCUM = "http://unitsofmeasure.org"


def risk(probability: str | float) -> Resource:
    return {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"display": "somebody"},
        "prediction": [{"probabilityDecimal": probability}],
    }


def measured(value: float, unit: str | None = None, code: str | None = None, system: str | None = UCUM) -> Resource:
    quantity: Resource = {"value": value}
    if unit:
        quantity["unit"] = unit
    if code:
        quantity |= {"code": code} | ({"system": system} if system else {})
    return {"resourceType": "Observation", "status": "final", "code": {"text": "something"}, "valueQuantity": quantity}


def variant(start: int) -> Resource:
    return {"resourceType": "MolecularSequence", "coordinateSystem": 0, "variant": [{"start": start, "end": start + 1}]}


@numbers.check("S30", "search.html#number")
def heeds_the_precision_of_a_number(fhir: Fhir) -> None:
    shelf = Shelf(fhir, low=risk(99.5), exact=risk(100), near=risk(99.996), under=risk(99.4), above=risk(99.994))
    shelf.finds_all(
        "RiskAssessment?probability=",
        {
            "100": "low exact near above",
            "100.00": "exact near",
            "1.00e2": "low exact near above",
            "eq100": "low exact near above",
            "ne100": "under",
            "ne100.00": "low under above",
        },
    )


@numbers.check("S31", "search.html#number")
def takes_an_exponent_as_in_the_example(fhir: Fhir) -> None:
    shelf = Shelf(fhir, low=risk(94.9), lower=risk(95), upper=risk(99.9))
    shelf.finds("RiskAssessment?probability=1e2", "lower upper")


@numbers.check("S32", "search.html#number")
def compares_exactly_with_prefixes(fhir: Fhir) -> None:
    shelf = Shelf(fhir, below=risk(0.58), exact=risk(0.6), over=risk(0.62), far=risk(0.5), high=risk(0.7))
    shelf.finds_all(
        "RiskAssessment?probability=",
        {
            "gt0.6": "over high",
            "ge0.6": "exact over high",
            "lt0.6": "below far",
            "le0.6": "below exact far",
            "sa0.6": "over high",
            "eb0.6": "below far",
            "ap0.6": "below exact over",
            "lt0.60": "below far",
        },
    )


@numbers.check("S34", "search.html#number")
def compares_integers_exactly(fhir: Fhir) -> None:
    fhir.need("MolecularSequence", "create")
    shelf = Shelf(fhir, five=variant(5), fifty=variant(50), fiftyone=variant(51))
    shelf.finds_all(
        "MolecularSequence?variant-start=",
        {"5": "five", "50": "fifty", "50.0": "fifty", "50.5": "", "gt50": "fiftyone", "ge50": "fifty fiftyone"},
    )


@numbers.check("S35", "search.html#number")
def compares_decimals_by_value(fhir: Fhir) -> None:
    shelf = Shelf(fhir, five=risk(5), tenth=risk(0.1), third=risk(0.3), tiny=risk(1e-7))
    shelf.finds_all(
        "RiskAssessment?probability=",
        {
            "5.000": "five",
            "0.1000000000000000000": "tenth",
            "le0.30": "tenth third tiny",
            "ge0.3": "five third",
            "0.0000001": "tiny",
            "gt0.29999999999999999999": "five third",
        },
    )


@numbers.check("T09", "search.html#quantity")
def heeds_the_precision_of_a_quantity(fhir: Fhir) -> None:
    shelf = Shelf(fhir, low=measured(5.35, "mg", "mg"), high=measured(5.45, "mg", "mg"), mid=measured(5.4, "mg", "mg"))
    shelf.finds_all(
        "Observation?value-quantity=",
        {"5.4|http://unitsofmeasure.org|mg": "low mid", "5.40|http://unitsofmeasure.org|mg": "mid", "5.4": "low mid"},
    )


@numbers.check("S40", "search.html#quantity")
def reads_the_parts_of_a_quantity(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        coded=measured(7, "milligrams", "mg"),
        worded=measured(7, "mg"),
        bare=measured(7),
        strange=measured(7, "mg", "mg", "http://example.org/units"),
        gram=measured(7, "g", "g"),
    )
    shelf.finds_all(
        "Observation?value-quantity=",
        {
            "7": "coded worded bare strange gram",
            "7|http://unitsofmeasure.org|mg": "coded",
            "7|http://unitsofmeasure.org|milligrams": "",
            "7||mg": "coded worded strange",
            "7||milligrams": "coded",
            "7|http://unitsofmeasure.org": "coded gram",
            "gt6.9||g": "gram",
            "le7|http://example.org/units|mg": "strange",
            "ne7||mg": "",
        },
    )
    shelf.refuses("Observation?value-quantity=7|a|b|c", "Observation?value-quantity=|http://unitsofmeasure.org|mg")


@numbers.check("S42", "search.html#quantity")
def compares_units_by_what_they_mean(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, grams=measured(1.5, "g", "g"), milligrams=measured(1500, "mg", "mg"), inch=measured(1, "in", "[in_i]")
    )
    if len(shelf.names(shelf.search("Observation?value-quantity=ge1.5|http://unitsofmeasure.org|g"))) == 1:
        raise Skipped("units are not converted")
    shelf.finds_all(
        "Observation?value-quantity=",
        {
            "1.5|http://unitsofmeasure.org|g": "grams milligrams",
            "1500|http://unitsofmeasure.org|mg": "grams milligrams",
            "2.54|http://unitsofmeasure.org|cm": "inch",
            "lt1|http://unitsofmeasure.org|kg": "grams milligrams",
            "1500": "milligrams",
        },
    )
