"""How a search is asked and refused: places, names, values, escapes, and what is said of them (FHIR R4 3.1.1)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import TAGS, Fhir, Resource, entries, matches
from conformance.kit.fhir.shelf import Shelf, offered, searchset, self_link
from conformance.kit.verdict import expect

requests = Section()


def person(family: str, *given: str, **members: object) -> Resource:
    name = {"family": family, **({"given": list(given)} if given else {})}
    return {"resourceType": "Patient", "name": [name], **members}


def _used(bundle: Resource) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(self_link(bundle)).query, keep_blank_values=True)


@requests.check("S01", "http.html#search")
def searches_by_get_and_by_post_alike(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell", "Anna"), berta=person("Quell", "Berta"), clara=person("Strom", "Clara"))
    tag = ("_tag", f"{TAGS}|{shelf.token}")
    posted = fhir.form("/Patient/_search", [("family", "quell"), tag])
    expect(sorted(shelf.names(searchset(posted, "POST"))) == ["anna", "berta"], "POST finds other than GET does")
    shelf.finds("Patient?family=quell", "anna berta")
    both = fhir.form("/Patient/_search?given=anna", [("family", "quell"), tag])
    expect(shelf.names(searchset(both, "POST")) == ["anna"], "parameters of URL and body are not joined")


@requests.check("S03", "http.html#search")
def searches_several_types_at_once(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"), group={"resourceType": "Group", "type": "person", "actual": True})
    offered(shelf.ask("?_type=Patient,Group"), "searching all types")
    shelf.finds("?_type=Patient,Group", "anna group")
    shelf.finds("?_type=Group", "group")
    shelf.finds("?", "anna group")
    shelf.finds(f"?_id={shelf.id('anna')}", "anna")
    shelf.refuses("?_type=Patient,Group&birthdate=2000", "?_type=Patient,Sofa")


@requests.check("S03", "http.html#search")
def searches_several_types_by_post(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    answer = fhir.form("/_search", [("_type", "Patient"), ("_tag", f"{TAGS}|{shelf.token}")])
    bundle = searchset(offered(answer, "POST [base]/_search"), "POST [base]/_search")
    expect(shelf.names(bundle) == ["anna"], "POST [base]/_search does not find the resource")


@requests.check("S04", "search.html#errors")
def ignores_unknown_parameters_and_says_so(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    bundle = shelf.search("Patient?shoesize=43")
    expect(shelf.names(bundle) == ["anna"], "an unknown parameter changes the result")
    expect("shoesize" not in dict(_used(bundle)), "the self link shows a parameter that was not used")
    expect("_tag" in dict(_used(bundle)), "the self link does not show the parameters that were used")
    remarks = entries(bundle, "outcome")
    expect(len(remarks) == 1, "no outcome entry tells of the parameter that was left out")
    expect(remarks[0]["resource"]["issue"][0]["severity"] in ("warning", "information"), "the remark is an error")


@requests.check("S04", "search.html#errors")
def refuses_unknown_parameters_under_strict_handling(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    shelf.refuses("Patient?shoesize=43", "Patient?_include=Patient:shoe", "Patient?_sort=shoesize", strict=True)
    lenient = shelf.ask("Patient?shoesize=43", prefer="handling=lenient")
    expect(lenient.status == 200, f"lenient handling gave {lenient.status}")


@requests.check("S05", "search.html#modifiers")
def refuses_unknown_modifiers(fhir: Fhir) -> None:
    shelf = Shelf(fhir)
    shelf.refuses(
        "Patient?family:loud=a", "Patient?gender:contains=male", "Patient?birthdate:exact=2000",
        "Patient?general-practitioner:Sofa=1", "Patient?_id:text=a", "Patient?family:=a",
    )  # fmt: skip


@requests.check("S06", "search.html#errors")
def tells_bad_values_from_those_that_match_nothing(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell", active=True))
    shelf.refuses(
        "Patient?birthdate=soon",
        "RiskAssessment?probability=much",
        "Observation?value-quantity=gtmuch",
        "Patient?active=perhaps",
        "Patient?family:missing=perhaps",
    )
    shelf.finds_all(
        "Patient?",
        {"_id=nobody-of-that-name": "", "gender=nothing-like-it": "", "general-practitioner=Practitioner/none": ""},
    )


@requests.check("S07", "search.html#errors")
def ignores_empty_values(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"), nameless={"resourceType": "Patient", "active": True})
    shelf.finds_all(
        "Patient?", {"family=": "anna nameless", "birthdate=": "anna nameless", "family=&active=true": "nameless"}
    )


@requests.check("S08", "bundle.html")
def answers_an_empty_search(fhir: Fhir) -> None:
    bundle = Shelf(fhir).search("Patient?family=nobody")
    expect(bundle.get("total") == 0, f"the total of nothing is {bundle.get('total')}")
    expect("entry" not in bundle, "an empty page has a member entry")
    expect("family=nobody" in self_link(bundle), "the self link does not show the search")


@requests.check("S09", "http.html#search")
def gives_each_resource_once_by_absolute_address(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell", "Anna", "Quella"))
    shelf.add("sister", person("Quell", link=[{"other": {"reference": shelf["anna"]}, "type": "seealso"}]))
    bundle = shelf.search("Patient?name=quell&_include=Patient:link")
    expect(sorted(shelf.names(bundle)) == ["anna", "sister"], "a match that is also included is no match any more")
    expect(not shelf.names(bundle, "include"), "a resource is there twice")
    for each in bundle["entry"]:
        address = f"/Patient/{each['resource']['id']}"
        url = str(each.get("fullUrl"))
        expect(url.startswith(("http://", "https://")) and url.endswith(address), f"fullUrl is {url}")


@requests.check("S09", "http.html#search")
def finds_current_versions_only(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Before"))
    shelf.put("anna", {**person("After"), "id": shelf.id("anna")})
    shelf.finds_all("Patient?", {"family=before": "", "family=after": "anna"})
    shelf.remove("anna")
    shelf.finds_all("Patient?", {"family=after": "", f"_id={shelf.id('anna')}": ""})


@requests.check("S10", "search.html#combining")
def joins_repetitions_and_parts_lists(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        both=person("Quell", "Anna", "Berta"),
        one=person("Quell", "Anna"),
        other=person("Quell", "Clara"),
    )
    shelf.finds_all(
        "Patient?",
        {
            "given=anna&given=berta": "both",
            "given=anna,clara": "both one other",
            "given=anna,clara&given=berta": "both",
        },
    )


@requests.check("S11", "search.html#escaping")
def reads_escaped_separators_as_letters(fhir: Fhir) -> None:
    def known(value: str) -> Resource:
        return {"resourceType": "Patient", "identifier": [{"system": "http://example.org/ids", "value": value}]}

    shelf = Shelf(
        fhir,
        comma=known("a,b"),
        pipe=known("a|b"),
        dollar=known("a$b"),
        slash=known("a\\b"),
        a=known("a"),
        b=known("b"),
    )
    shelf.finds_all(
        "Patient?identifier=",
        {
            "a\\,b": "comma", "a,b": "a b", "a\\|b": "pipe", "http://example.org/ids|a\\|b": "pipe",
            "a\\$b": "dollar", "a\\\\b": "slash", "a\\,b,b": "comma b", "a%5C%2Cb": "comma",
        },
    )  # fmt: skip
    shelf.refuses("Patient?identifier=a\\b", "Patient?identifier=a\\")


@requests.check("T12", "search.html#escaping")
def reads_escapes_in_strings_quantities_and_chains(fhir: Fhir) -> None:
    shelf = Shelf(fhir, trap=person("Trap, Ltd"), tail=person("Tail,"))
    shelf.add("seen", {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"},
                       "subject": {"reference": shelf["trap"]}})  # fmt: skip
    shelf.finds_all("Patient?", {"family:exact=Trap\\, Ltd": "trap", "family:exact=Tail\\,": "tail"})
    shelf.finds("Encounter?subject:Patient.family:exact=Trap\\, Ltd", "seen")


@requests.check("S12", "http.html#general")
def decodes_what_is_percent_encoded(fhir: Fhir) -> None:
    shelf = Shelf(fhir, blank=person("Van Dyck"), plus=person("C+D"), accent=person("Łódź"))
    shelf.finds_all(
        "Patient?family:exact=",
        {"Van+Dyck": "blank", "Van%20Dyck": "blank", "C%2BD": "plus", "%C5%81%C3%B3d%C5%BA": "accent"},
    )


@requests.check("S13", "search.html#query")
def refuses_named_queries_it_does_not_know(fhir: Fhir) -> None:
    Shelf(fhir).refuses("Patient?_query=no-such-query")


@requests.check("S162", "search.html#text")
def ignores_or_serves_text_search_as_it_declares(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    declared = {each["name"] for each in fhir.offer("Patient").get("searchParam", [])}
    for name in ("_text", "_content", "_filter"):
        answer = shelf.ask(f"Patient?{name}=nothing-like-it", strict=True)
        wanted = 200 if name in declared else 400
        expect(answer.status == wanted, f"{name} gave {answer.status}, declared as it is expected {wanted}")


@requests.check("S163", "search.html#contained")
def says_when_contained_resources_are_not_searched(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    answer = shelf.ask("Patient?_contained=true", strict=True)
    if answer.status == 200:
        expect(not matches(answer.json()), "a search within contained resources gives one that is not contained")
    else:
        expect(answer.status == 400, f"_contained=true gave {answer.status}")
