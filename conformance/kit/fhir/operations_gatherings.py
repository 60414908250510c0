"""Operations that gather: `$everything` of a patient or an encounter, and `$lastn` (FHIR R4 operations.html)."""

from __future__ import annotations

from conformance.kit.fhir.operations import need_operation
from conformance.kit.fhir.search_chains import organization, person, seen
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, link, refused
from conformance.kit.fhir.shelf import Shelf, offered, searchset
from conformance.kit.verdict import Skipped, expect

gatherings = Section()


def _chart(fhir: Fhir) -> Shelf:
    """A patient with what a chart holds: in the compartment, referred to from there, and about it."""
    shelf = Shelf(
        fhir, clinic=organization("Clinic"), doctor={"resourceType": "Practitioner", "name": [{"family": "Wert"}]}
    )
    shelf.add("anna", person("Quell", shelf["clinic"]))
    shelf.add("otto", person("Strom"))
    performer = [{"reference": shelf["doctor"]}]
    shelf.add("early", seen(shelf["anna"], effectiveDateTime="2020-03-01", performer=performer))
    shelf.add("late", seen(shelf["anna"], effectiveDateTime="2023-03-01"))
    shelf.add("undated", {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": shelf["anna"]},
                          "payor": [{"reference": shelf["clinic"]}]})  # fmt: skip
    shelf.add("ottos", seen(shelf["otto"], effectiveDateTime="2020-03-01"))
    origin = {"resourceType": "Provenance", "recorded": "2020-03-01T00:00:00Z"}
    agent = [{"who": {"reference": shelf["doctor"]}}]
    shelf.add("origin", {**origin, "target": [{"reference": shelf["early"]}], "agent": agent})
    return shelf


def _everything(shelf: Shelf, query: str = "") -> list[str]:
    path = f"/{shelf['anna']}/$everything{query}"
    bundles = shelf.fhir.pages(path)
    for each in bundles:
        expect(each.get("type") == "searchset", f"$everything gives a {each.get('type')}")
    return [name for each in bundles for name in shelf.names(each) + shelf.names(each, "include")]


def _gives(found: list[str], names: str) -> None:
    expect(sorted(found) == sorted(names.split()), f"$everything gives {' '.join(found)}, expected {names}")


@gatherings.check("O20", "operation-patient-everything.html")
def gives_the_whole_chart(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Patient")
    _gives(_everything(_chart(fhir)), "anna clinic doctor early late undated origin")


@gatherings.check("T28", "operation-patient-everything.html")
def tells_of_charts_that_are_not_there(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Patient")
    refused(fhir.get("/Patient/nobody-of-that-name/$everything"), 404)
    shelf = Shelf(fhir, gone=person("Gone"))
    shelf.remove("gone")
    refused(fhir.get(f"/{shelf['gone']}/$everything"), 404, 410)


@gatherings.check("O21", "operation-patient-everything.html")
def narrows_a_chart_by_time_and_type(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Patient")
    shelf = _chart(fhir)
    _gives(_everything(shelf, "?start=2022-01-01"), "anna clinic late undated")
    _gives(
        [each for each in _everything(shelf, "?end=2022-01-01") if each != "origin"], "anna clinic doctor early undated"
    )
    _gives(_everything(shelf, "?_type=Observation"), "early late")
    _gives(_everything(shelf, "?_type=Patient,Practitioner"), "anna doctor")
    updated = fhir.read(f"/{shelf['undated']}")["meta"]["lastUpdated"].replace("+", "%2B")
    _gives([each for each in _everything(shelf, f"?_since={updated}") if each != "origin"], "undated")


@gatherings.check("O22", "operation-patient-everything.html")
def gives_a_chart_page_by_page(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Patient")
    shelf = _chart(fhir)
    first = searchset(fhir.get(f"/{shelf['anna']}/$everything?_count=3"), "$everything")
    expect(len(first["entry"]) <= 3 and link(first, "next") is not None, "_count does not make pages")
    _gives(_everything(shelf, "?_count=3"), "anna clinic doctor early late undated origin")


@gatherings.check("O20", "operation-encounter-everything.html")
def gives_all_of_an_encounter(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Encounter")
    shelf = Shelf(fhir, anna=person("Quell"))
    visit = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    shelf.add("visit", {**visit, "subject": {"reference": shelf["anna"]}})
    shelf.add("other", {**visit, "subject": {"reference": shelf["anna"]}})
    shelf.add("seen", seen(shelf["anna"], encounter={"reference": shelf["visit"]}))
    shelf.add("elsewhere", seen(shelf["anna"], encounter={"reference": shelf["other"]}))
    bundle = searchset(fhir.get(f"/{shelf['visit']}/$everything"), "$everything")
    _gives(shelf.names(bundle) + shelf.names(bundle, "include"), "visit seen anna")
    refused(fhir.get("/Encounter/none-of-that-name/$everything"), 404)


@gatherings.check("O20", "operation-patient-everything.html")
def gives_the_charts_of_all_patients(fhir: Fhir) -> None:
    need_operation(fhir, "everything", "Patient")
    shelf = _chart(fhir)
    answer = fhir.get("/Patient/$everything?_count=1000&_type=Observation,Patient")
    if answer.status in (400, 403, 404, 405, 422, 501):
        raise Skipped("$everything is not offered of all patients")
    found = [shelf.names(each) for each in fhir.pages("/Patient/$everything?_count=1000&_type=Observation,Patient")]
    missing = {"anna", "otto", "early", "late", "ottos"} - {name for each in found for name in each}
    expect(not missing, f"$everything of all patients lacks {' '.join(sorted(missing))}")


# $lastn


def _lastn(shelf: Shelf, query: str) -> list[str]:
    answer = shelf.fhir.get(shelf.path(f"Observation/$lastn?patient={shelf['anna']}&{query}"))
    return sorted(shelf.names(searchset(offered(answer, "$lastn"), "$lastn")))


def _coded(anna: str, moment: str, *codes: str, **members: object) -> Resource:
    codings = [{"system": "http://example.org/codes", "code": code} for code in codes]
    return seen(anna) | {"code": {"coding": codings}, "effectiveDateTime": moment} | members


@gatherings.check("O30", "operation-observation-lastn.html")
def wants_a_patient_and_a_code(fhir: Fhir) -> None:
    need_operation(fhir, "lastn", "Observation")
    shelf = Shelf(fhir, anna=person("Quell"))
    refused(fhir.get(f"/Observation/$lastn?patient={shelf['anna']}"), 400)
    refused(fhir.get("/Observation/$lastn?category=vital-signs"), 400)
    expect(_lastn(shelf, "code=none-of-it") == [], "what there is none of is an error")


@gatherings.check("O31", "operation-observation-lastn.html")
def gives_the_latest_of_each_code(fhir: Fhir) -> None:
    need_operation(fhir, "lastn", "Observation")
    shelf = Shelf(fhir, anna=person("Quell"))
    anna = shelf["anna"]
    for day in (1, 2, 3):
        shelf.add(f"a{day}", _coded(anna, f"2020-01-0{day}", "a"))
        shelf.add(f"b{day}", _coded(anna, f"2020-01-0{day}", "b"))
    expect(_lastn(shelf, "code=a,b") == ["a3", "b3"], "$lastn does not give one of each code by default")
    expect(_lastn(shelf, "code=a,b&max=2") == ["a2", "a3", "b2", "b3"], "max=2 does not give two of each")
    expect(_lastn(shelf, "code=a&date=lt2020-01-03") == ["a2"], "$lastn does not heed other parameters")
    shelf.add("both", _coded(anna, "2020-01-04", "a", "b"))
    expect(_lastn(shelf, "code=a,b") == ["both"], "codes that stand together in one Observation are not one group")


@gatherings.check("O32", "operation-observation-lastn.html")
def gives_all_that_tie_for_the_last_place(fhir: Fhir) -> None:
    need_operation(fhir, "lastn", "Observation")
    shelf = Shelf(fhir, anna=person("Quell"))
    anna, same = shelf["anna"], "2020-01-02T08:00:00Z"
    shelf.add("old", _coded(anna, "2020-01-01", "a"))
    shelf.add("one", _coded(anna, same, "a"))
    shelf.add("two", _coded(anna, same, "a", status="entered-in-error"))
    expect(_lastn(shelf, "code=a") == ["one", "two"], "a tie at the cut is not given whole")
    expect(_lastn(shelf, "code=a&status=final") == ["one"], "a filter does not narrow $lastn")


@gatherings.check("O31", "operation-observation-lastn.html")
def groups_what_has_only_a_text_by_it(fhir: Fhir) -> None:
    need_operation(fhir, "lastn", "Observation")
    shelf = Shelf(fhir, anna=person("Quell"))
    category = [{"coding": [{"system": "http://example.org/kinds", "code": "note"}]}]
    for name, text, day in (("x1", "Pain", 1), ("x2", "Pain", 2), ("y1", "Itch", 1)):
        worded = {"code": {"text": text}, "effectiveDateTime": f"2020-01-0{day}", "category": category}
        shelf.add(name, seen(shelf["anna"]) | worded)
    expect(_lastn(shelf, "category=note") == ["x2", "y1"], "texts are not grouped")
