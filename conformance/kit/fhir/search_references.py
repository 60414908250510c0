"""Searches by reference: forms of the same reference, types, versions and identifiers (FHIR R4 3.1.1.4.12)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, expect_status
from conformance.kit.fhir.shelf import Shelf

references = Section()


def about(**subject: object) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "something"}, "subject": subject}


def referring(reference: str) -> Resource:
    return about(reference=reference)


def patient() -> Resource:
    return {"resourceType": "Patient", "active": True}


@references.check("S85", "search.html#reference")
def finds_every_form_of_a_reference(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=patient())
    anna, id_ = shelf["anna"], shelf.id("anna")
    shelf.add("relative", referring(anna))
    shelf.add("absolute", referring(f"{fhir.base}/{anna}"))
    for form in (id_, anna, f"{fhir.base}/{anna}"):
        shelf.finds(f"Observation?subject={form}", "relative absolute")
        shelf.finds(f"Observation?patient={form}", "relative absolute")
    shelf.finds_all("Observation?", {f"subject:Patient={id_}": "relative absolute", "subject=Patient/nobody": ""})


@references.check("S86", "search.html#reference")
def takes_foreign_addresses_literally(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=patient())
    id_, foreign = shelf.id("anna"), "http://elsewhere.example.org/fhir"
    shelf.add("here", referring(f"Patient/{id_}"))
    shelf.add("there", referring(f"{foreign}/Patient/{id_}"))
    shelf.finds_all(
        "Observation?subject=", {f"{foreign}/Patient/{id_}": "there", f"Patient/{id_}": "here", id_: "here"}
    )
    if fhir.base.startswith("http:"):
        shelf.finds(f"Observation?subject=https:{fhir.base[5:]}/Patient/{id_}", "here")
    shelf.finds(f"Observation?subject=patient/{id_}", "")


@references.check("S87", "search.html#reference")
def heeds_the_types_of_targets(fhir: Fhir) -> None:
    same = fhir.unique()
    shelf = Shelf(fhir)
    shelf.put("anna", {**patient(), "id": same})
    shelf.put("flock", {"resourceType": "Group", "type": "person", "actual": True, "id": same})
    shelf.add("person", referring(f"Patient/{same}"))
    shelf.finds(f"Observation?subject={same}", "person")
    shelf.add("flocks", referring(f"Group/{same}"))
    shelf.finds_all(
        "Observation?",
        {f"subject:Patient={same}": "person", f"subject:Group={same}": "flocks", f"patient={same}": "person",
         f"patient=Group/{same}": "", f"subject=Group/{same}": "flocks"},
    )  # fmt: skip
    answer = shelf.ask(f"Observation?subject={same}")
    expect_status(answer, 200, 400)


@references.check("S88", "search.html#versions")
def finds_versioned_references_by_what_they_are_about(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=patient())
    anna = shelf["anna"]
    shelf.add("versioned", referring(f"{anna}/_history/1"))
    shelf.add("plain", referring(anna))
    shelf.finds_all("Observation?subject=", {anna: "versioned plain", f"{anna}/_history/1": "versioned"})


@references.check("S89", "search.html#reference")
def searches_logical_references_by_identifier(fhir: Fhir) -> None:
    system = "http://example.org/ids"
    shelf = Shelf(
        fhir,
        logical=about(type="Patient", identifier={"system": system, "value": "77"}),
        other=about(identifier={"system": "http://example.org/else", "value": "77"}),
    )
    shelf.add("anna", {**patient(), "identifier": [{"system": system, "value": "77"}]})
    shelf.add("literal", referring(shelf["anna"]))
    shelf.finds_all(
        "Observation?",
        {f"subject:identifier={system}|77": "logical", "subject:identifier=77": "logical other",
         f"subject:Patient.identifier={system}|77": "literal"},
    )  # fmt: skip
    shelf.includes("Observation?subject:identifier=77&_include=Observation:subject", "")
    shelf.refuses("QuestionnaireResponse?questionnaire:identifier=77")
