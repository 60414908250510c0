"""Order, pages, counts and totals (FHIR R4 3.1.1.5.1 to 3 and 3.1.0.9)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from conformance.kit.fhir.search_requests import person
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import TAGS, Fhir, Resource, entries, expect_status, link
from conformance.kit.fhir.shelf import Shelf, searchset, self_link
from conformance.kit.verdict import Skipped, expect

pages = Section()


def crowd(fhir: Fhir, size: int, **members: object) -> Shelf:
    return Shelf(fhir, **{f"p{number}": person("Same", birthDate="1970-01-01", **members) for number in range(size)})


def _all_names(shelf: Shelf, bundles: list[Resource]) -> list[str]:
    return [name for each in bundles for name in shelf.names(each)]


@pages.check("S140", "search.html#sort")
def sorts_both_ways_and_by_several_keys(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        b=person("Berg", birthDate="1990-01-01"),
        a2=person("Abel", birthDate="1990-01-01"),
        a1=person("Abel", birthDate="1980-01-01"),
        c=person("Çelik", birthDate="1985-01-01"),
    )
    for order, names in {
        "family,birthdate": "a1 a2 b c",
        "-family,birthdate": "c b a1 a2",
        "birthdate,-family": "a1 c b a2",
        "-birthdate,family": "a2 b c a1",
        "_lastUpdated": "b a2 a1 c",
        "-_lastUpdated": "c a1 a2 b",
    }.items():
        shelf.sorts(f"Patient?_sort={order}", names)


@pages.check("S140", "search.html#sort")
def tells_of_sort_keys_it_does_not_know(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    shelf.refuses("Patient?_sort=shoesize", strict=True)
    bundle = shelf.search("Patient?_sort=shoesize,family")
    expect("shoesize" not in self_link(bundle), "the self link shows a sort key that was not used")
    expect(bool(entries(bundle, "outcome")), "nothing tells of the sort key that was left out")


@pages.check("T01", "search.html#sort")
def keeps_what_has_no_value_to_sort_by(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, none=person("None"), old=person("Old", birthDate="1950"), young=person("Young", birthDate="2010")
    )
    for order, sequence in (("birthdate", ["old", "young"]), ("-birthdate", ["young", "old"])):
        found = shelf.names(shelf.search(f"Patient?_sort={order}"))
        expect(sorted(found) == ["none", "old", "young"], f"_sort={order} loses resources")
        expect([each for each in found if each != "none"] == sequence, f"_sort={order} gives {' '.join(found)}")


@pages.check("S141", "search.html#sort")
def gives_what_has_no_value_last(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, none=person("None"), old=person("Old", birthDate="1950"), young=person("Young", birthDate="2010")
    )
    found = shelf.names(shelf.search("Patient?_sort=birthdate"))
    if found[0] == "none":
        raise Skipped("what has no value comes first, which the standard leaves open")
    shelf.sorts("Patient?_sort=-birthdate", "young old none")


@pages.check("S142", "search.html#sort")
def sorts_repeating_values_by_the_least_or_the_greatest(fhir: Fhir) -> None:
    shelf = Shelf(fhir, wide=person("Quell", "Anton", "Zeno"), narrow=person("Quell", "Berta", "Moritz"))
    shelf.sorts("Patient?_sort=given", "wide narrow")
    shelf.sorts("Patient?_sort=-given", "wide narrow")


@pages.check("S142", "search.html#sort")
def sorts_strings_without_regard_to_case_and_marks(fhir: Fhir) -> None:
    shelf = Shelf(fhir, three=person("Çelik"), one=person("abel"), four=person("dora"), two=person("Berg"))
    shelf.sorts("Patient?_sort=family", "one two three four")


@pages.check("T02", "http.html#paging")
def neither_repeats_nor_loses_equal_keys(fhir: Fhir) -> None:
    shelf = crowd(fhir, 7)
    for order in ("", "&_sort=birthdate", "&_sort=-birthdate", "&_sort=-_lastUpdated", "&_sort=family,-birthdate"):
        found = _all_names(shelf, shelf.pages(f"Patient?_count=2{order}"))
        expect(
            sorted(found) == sorted(f"p{number}" for number in range(7)),
            f"{order or 'unsorted'} gives {' '.join(found)}",
        )


@pages.check("T03", "http.html#paging")
def keeps_pages_stable_while_data_changes(fhir: Fhir) -> None:
    shelf = crowd(fhir, 6)
    first = shelf.search("Patient?_sort=family&_count=2")
    seen = shelf.names(first)
    shelf.remove(seen[0])
    shelf.add("early", person("Aaa"))
    bundles, further = [], link(first, "next")
    while further is not None:
        bundles.append(fhir.bundle(fhir.client.path_of(further)))
        further = link(bundles[-1], "next")
    rest = [name for name in _all_names(shelf, bundles) if name != "early"]
    expect(sorted(seen + rest) == [f"p{number}" for number in range(6)], f"the pages give {' '.join(seen + rest)}")


@pages.check("T27", "search.html#sort")
def finds_the_same_sorted_and_unsorted(fhir: Fhir) -> None:
    clinic = Shelf(fhir, clinic={"resourceType": "Organization", "name": "Clinic"})
    shelf = crowd(fhir, 3, managingOrganization={"reference": clinic["clinic"]})
    shelf.add("other", person("Other"))
    for query in ("organization.name=clinic", "birthdate=ge1960", "_include=Patient:organization&family=same"):
        plain = sorted(shelf.names(shelf.search(f"Patient?{query}")))
        expect(plain == ["p0", "p1", "p2"], f"{query} found {' '.join(plain)}")
        for order in ("family", "-birthdate", "_lastUpdated"):
            found = sorted(shelf.names(shelf.search(f"Patient?{query}&_sort={order}")))
            expect(found == plain, f"{query} finds other resources when sorted by {order}")


@pages.check("S150", "search.html#count")
def heeds_the_count(fhir: Fhir) -> None:
    shelf = crowd(fhir, 3)
    expect(len(entries(shelf.search("Patient?_count=2"), "match")) == 2, "_count=2 does not give two")
    shelf.refuses("Patient?_count=-1", "Patient?_count=many", "Patient?_count=1.5")
    expect_status(shelf.ask("Patient?_count=1000000"), 200)


@pages.check("S150", "search.html#count")
def counts_without_giving_entries(fhir: Fhir) -> None:
    shelf = crowd(fhir, 3)
    for query in ("Patient?_count=0", "Patient?_summary=count"):
        bundle = shelf.search(query)
        expect(bundle.get("total") == 3, f"{query} counts {bundle.get('total')}, expected 3")
        expect("entry" not in bundle, f"{query} gives entries")
        relations = {each["relation"] for each in bundle.get("link", [])}
        expect(relations <= {"self", "first"}, f"{query} gives the links {' '.join(sorted(relations))}")


@pages.check("S151", "search.html#total")
def gives_totals_as_asked(fhir: Fhir) -> None:
    shelf = crowd(fhir, 5)
    bundles = shelf.pages("Patient?_count=2&_total=accurate")
    expect([each.get("total") for each in bundles] == [5] * len(bundles), "the accurate total is not 5 on every page")
    shelf.refuses("Patient?_total=roughly")


@pages.check("S152", "search.html#conformance")
def links_to_itself_and_to_what_follows(fhir: Fhir) -> None:
    shelf = crowd(fhir, 3)
    bundle = shelf.search("Patient?family=same,a%5C,b&_count=2&_sort=birthdate")
    used = dict(parse_qsl(urlsplit(self_link(bundle)).query))
    expect(used.get("family") == "same,a\\,b", f"the self link says family={used.get('family')}")
    expect((used.get("_count"), used.get("_sort")) == ("2", "birthdate"), "the self link lacks _count or _sort")
    expect(" " not in self_link(bundle) and "|" not in self_link(bundle), "the self link is not percent-encoded")
    expect(link(shelf.pages("Patient?_count=2")[-1], "next") is None, "the last page links to a next one")
    again = fhir.bundle(fhir.client.path_of(self_link(bundle)))
    expect(shelf.names(again) == shelf.names(bundle), "the self link leads to another page")


@pages.check("S153", "http.html#paging")
def follows_a_posted_search_by_get(fhir: Fhir) -> None:
    shelf = crowd(fhir, 3)
    form = [("family", "same"), ("_count", "2"), ("_tag", f"{TAGS}|{shelf.token}")]
    first = searchset(fhir.form("/Patient/_search", form), "POST")
    further = link(first, "next")
    expect(further is not None, "there is no link to the next page")
    expect("same" not in (further or ""), "the link to the next page shows what was searched for")
    second = fhir.bundle(fhir.client.path_of(further or ""))
    expect(sorted(shelf.names(first) + shelf.names(second)) == ["p0", "p1", "p2"], "the second page is not the rest")


@pages.check("S153", "http.html#paging")
def keeps_the_format_from_page_to_page(fhir: Fhir) -> None:
    shelf = crowd(fhir, 2)
    query = shelf.path("Patient?_count=1&_format=json")
    further = link(searchset(fhir.get(query, accept="application/fhir+xml"), query), "next") or ""
    answer = fhir.get(fhir.client.path_of(further), accept="application/fhir+xml, */*;q=0.1")
    expect("json" in answer.media_type, f"the next page comes as {answer.media_type}")


@pages.check("S154", "http.html#paging")
def refuses_links_it_never_gave(fhir: Fhir) -> None:
    shelf = crowd(fhir, 3)
    further = link(shelf.search("Patient?_count=1"), "next") or ""
    path = fhir.client.path_of(further)
    expect_status(fhir.get(path[:-6] + ("AAAAAA" if path[-6:] != "AAAAAA" else "BBBBBB")), 400, 404, 410)
    expect_status(fhir.get(path[:-6]), 400, 404, 410)
