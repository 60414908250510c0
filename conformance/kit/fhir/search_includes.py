"""What a page carries beside its matches (FHIR R4 3.1.1.5.4)."""

from __future__ import annotations

from conformance.kit.fhir.search_chains import organization, person, seen, ward
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, entries, link
from conformance.kit.fhir.shelf import Shelf, self_link
from conformance.kit.verdict import Skipped, expect

includes = Section()


@includes.check("S130", "search.html#include")
def includes_what_matches_refer_to(fhir: Fhir) -> None:
    shelf = ward(fhir)
    for query, names in {
        "Observation?code=one&_include=Observation:subject": "anna otto",
        "Observation?code=one&_include=Observation:subject:Patient": "anna otto",
        "Observation?code=one&_include=Observation:subject:Group": "",
        "Observation?code=one&_include=Observation:patient": "anna otto",
        "Patient?family=quell&_include=Patient:organization": "clinic",
        "Observation?code=one&_include=Observation:subject&_include=Observation:performer": "anna otto",
    }.items():
        shelf.includes(query, names)


@includes.check("S130", "search.html#revinclude")
def includes_what_refers_to_matches(fhir: Fhir) -> None:
    shelf = ward(fhir)
    for query, names in {
        "Patient?family=strom&_revinclude=Observation:subject": "otto1",
        "Patient?family=quell&_revinclude=Observation:patient": "anna1 anna2 nora2",
        "Organization?name=clinic&_revinclude=Patient:organization": "anna otto",
        "Patient?family=strom&_revinclude=Observation:subject:Patient": "otto1",
    }.items():
        shelf.includes(query, names)


@includes.check("S130", "search.html#include")
def passes_over_targets_that_are_not_here(fhir: Fhir) -> None:
    shelf = Shelf(fhir, gone=person("Gone"))
    shelf.add("foreign", seen("http://elsewhere.example.org/fhir/Patient/1"))
    shelf.add("logical", seen("x") | {"subject": {"identifier": {"value": "1"}}})
    shelf.add("lost", seen(shelf["gone"]))
    if fhir.delete(f"/{shelf['gone']}").status == 409:
        raise Skipped("what others refer to cannot be deleted")
    bundle = shelf.search("Observation?_include=Observation:subject")
    expect(sorted(shelf.names(bundle)) == ["foreign", "logical", "lost"], "a match is lost with what it refers to")
    expect(not entries(bundle, "include"), "something is included that is not here")


@includes.check("S130", "search.html#include")
def tells_of_includes_it_does_not_know(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    shelf.refuses(
        "Patient?_include=Patient:shoe",
        "Patient?_include=Sofa:patient",
        "Patient?_revinclude=Observation:shoe",
        strict=True,
    )
    answer = shelf.ask("Patient?_include=Patient:shoe")
    if answer.status == 200:
        expect("shoe" not in self_link(answer.json()), "the self link shows an include that was not used")
        expect(bool(entries(answer.json(), "outcome")), "nothing tells of the include that was left out")
    else:
        expect(answer.status == 400, f"an unknown include gave {answer.status}")


@includes.check("S131", "search.html#iterate")
def iterates_only_where_asked(fhir: Fhir) -> None:
    shelf = ward(fhir)
    patient, clinic = "_include=Observation:subject", "Patient:organization"
    for query, names in {
        f"Observation?code=one&{patient}&_include={clinic}": "anna otto",
        f"Observation?code=one&{patient}&_include:iterate={clinic}": "anna otto clinic",
        f"Observation?code=one&_include:iterate={clinic}&{patient}": "anna otto clinic",
        f"Observation?code=one&{patient}&_include:iterate={clinic}&_include:iterate=Organization:partof":
            "anna otto clinic trust",
    }.items():  # fmt: skip
        shelf.includes(query, names)


@includes.check("T21", "search.html#iterate")
def mixes_iterating_includes_of_both_directions(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.includes(
        "Organization?name=clinic&_revinclude=Patient:organization&_revinclude:iterate=Observation:patient"
        "&_include:iterate=Organization:partof",
        "anna otto anna1 anna2 otto1 trust",
    )
    shelf.includes("Organization?name=trust&_revinclude:iterate=Organization:partof", "clinic")


@includes.check("S131", "search.html#iterate")
def ends_where_references_go_in_circles(fhir: Fhir) -> None:
    shelf = Shelf(fhir, a=organization("A"))
    shelf.add("b", organization("B", partOf={"reference": shelf["a"]}))
    shelf.put("a", organization("A", partOf={"reference": shelf["b"]}, id=shelf.id("a")))
    shelf.includes("Organization?name=a&_include:iterate=Organization:partof", "b")


@includes.check("S132", "search.html#include")
def includes_by_wildcard(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.add(
        "asked",
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "subject": {"reference": shelf["otto"]},
        },
    )
    if shelf.ask("Observation?_include=*", strict=True).status == 400:
        raise Skipped("wildcards are not offered")
    shelf.includes("Observation?code=one&_include=*", "anna otto")
    shelf.includes("Observation?code=one&_include=Observation:*", "anna otto")
    shelf.includes("Patient?family=strom&_revinclude=*", "otto1 asked")


@includes.check("T23", "search.html#versions")
def includes_the_version_that_is_named(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Before"))
    shelf.add("versioned", seen(f"{shelf['anna']}/_history/1"))
    shelf.put("anna", person("After", id=shelf.id("anna")))
    found = entries(shelf.search("Observation?_include=Observation:subject"), "include")
    expect(len(found) == 1, f"{len(found)} resources are included, expected 1")
    family = found[0]["resource"]["name"][0]["family"]
    expect(family == "Before", "not the version that the reference names is included")


@includes.check("S133", "search.html#versions")
def includes_canonicals_by_url_and_version(fhir: Fhir) -> None:
    url = f"http://example.org/Questionnaire/{fhir.unique()}"
    form = {"resourceType": "Questionnaire", "status": "active", "url": url}
    shelf = Shelf(fhir, one={**form, "version": "1"}, two={**form, "version": "2"})
    answered = {"resourceType": "QuestionnaireResponse", "status": "completed"}
    shelf.add("old", {**answered, "questionnaire": f"{url}|1"})
    included = "_include=QuestionnaireResponse:questionnaire"
    shelf.includes(f"QuestionnaireResponse?{included}", "one")
    shelf.add("any", {**answered, "questionnaire": url})
    shelf.includes(f"QuestionnaireResponse?_id={shelf.id('any')}&{included}", "two")


@includes.check("T19", "search.html#count")
def counts_matches_and_not_what_is_included(fhir: Fhir) -> None:
    shelf = ward(fhir)
    query = "Observation?_include=Observation:subject&_sort=_id&_total=accurate&_count=2"
    pages = shelf.pages(query)
    expect([len(entries(each, "match")) for each in pages] == [2, 2], "a page is not of two matches")
    expect({each.get("total") for each in pages} == {4}, "the total is not of the matches alone, or changes")
    for page in pages:
        wanted = {each["resource"]["subject"]["reference"] for each in entries(page, "match")}
        got = {f"Patient/{each['resource']['id']}" for each in entries(page, "include")}
        expect(got == wanted, "a page does not carry the includes of its own matches")


@includes.check("T20", "http.html#paging")
def keeps_the_whole_search_from_page_to_page(fhir: Fhir) -> None:
    shelf = ward(fhir)
    first = shelf.search("Observation?code=one&_include=Observation:subject&_elements=subject,status&_count=1")
    further = link(first, "next")
    expect(further is not None, "there is no link to the next page")
    second = fhir.bundle(fhir.client.path_of(further or ""))
    expect(len(entries(second, "match")) == 1, "the next page forgets _count or the filter")
    expect(len(entries(second, "include")) == 1, "the next page forgets _include")
    resource = entries(second, "match")[0]["resource"]
    expect("effectiveDateTime" not in resource and "subject" in resource, "the next page forgets _elements")
    labels = [each["code"] for each in resource["meta"].get("tag", [])]
    expect("SUBSETTED" in labels, "the next page forgets _elements")
