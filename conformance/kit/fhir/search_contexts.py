"""Searches within a compartment and around a place (FHIR R4 3.1.1.2, compartment.html, Location)."""

from __future__ import annotations

from conformance.kit.fhir.search_chains import person, seen
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, expect_status, refused
from conformance.kit.fhir.shelf import Shelf, offered
from conformance.kit.verdict import Skipped

contexts = Section()


def _practice(fhir: Fhir) -> Shelf:
    shelf = Shelf(fhir, anna=person("Quell"), otto=person("Strom"))
    shelf.add("annas", seen(shelf["anna"]))
    shelf.add("ottos", seen(shelf["otto"]))
    shelf.add("performed", seen(shelf["otto"], performer=[{"reference": shelf["anna"]}]))
    shelf.add("form", {"resourceType": "Questionnaire", "status": "draft"})
    return shelf


@contexts.check("S160", "compartmentdefinition.html")
def searches_a_compartment(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    anna = shelf["anna"]
    offered(shelf.ask(f"{anna}/Observation"), "searching a compartment")
    shelf.finds_all(
        f"{anna}/Observation?", {"code=one": "annas performed", "code=two": "", "status=final": "annas performed"}
    )
    shelf.finds(f"{shelf['otto']}/Observation?code=one", "ottos performed")


@contexts.check("S160", "compartmentdefinition.html")
def searches_all_types_of_a_compartment(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    anna = shelf["anna"]
    offered(shelf.ask(f"{anna}/*"), "searching all types of a compartment")
    shelf.finds_all(
        f"{anna}/*?", {"_type=Observation": "annas performed", "_type=Observation,Questionnaire": "annas performed"}
    )


@contexts.check("S160", "compartmentdefinition.html")
def finds_nothing_of_types_outside_a_compartment(fhir: Fhir) -> None:
    shelf = _practice(fhir)
    offered(shelf.ask(f"{shelf['anna']}/Observation"), "searching a compartment")
    answer = shelf.ask(f"{shelf['anna']}/Questionnaire")
    if answer.status != 200:
        refused(answer, 400, 404)
        raise Skipped("types outside a compartment are refused")
    shelf.finds(f"{shelf['anna']}/Questionnaire", "")
    expect_status(shelf.ask("Patient/nobody-of-that-name/Observation"), 200, 404)


def place(latitude: float, longitude: float) -> Resource:
    return {"resourceType": "Location", "name": "somewhere", "position": {"latitude": latitude, "longitude": longitude}}


@contexts.check("S164", "location.html#positional")
def searches_around_a_place(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, near=place(39.91, 116.40), far=place(31.23, 121.47), nowhere={"resourceType": "Location", "name": "x"}
    )
    if "near" not in {each["name"] for each in fhir.offer("Location").get("searchParam", [])}:
        raise Skipped("near is not offered")
    shelf.finds_all(
        "Location?near=",
        {"39.9|116.4|10|km": "near", "39.9|116.4|10": "near", "39.9|116.4|2000|km": "near far", "0|0|10|km": ""},
    )
    shelf.refuses("Location?near=north|116.4", "Location?near=95|116.4|10|km")
