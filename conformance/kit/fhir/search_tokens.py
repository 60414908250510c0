"""Searches by token: parts, modifiers, case, value sets (FHIR R4 3.1.1.4.10)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource
from conformance.kit.fhir.shelf import Shelf
from conformance.kit.verdict import Skipped, expect

tokens = Section()

_GENDER = "http://hl7.org/fhir/administrative-gender"


def coded(*codings: Resource, **members: object) -> Resource:
    code = {"coding": list(codings)} if codings else {"text": "nothing coded"}
    return {"resourceType": "Observation", "status": "final", "code": code, **members}


def coding(code: str | None = None, system: str | None = None, display: str | None = None) -> Resource:
    return {key: value for key, value in (("system", system), ("code", code), ("display", display)) if value}


def patient(**members: object) -> Resource:
    return {"resourceType": "Patient", "active": True, **members}


def known(value: str, system: str | None = None, **members: object) -> Resource:
    return patient(identifier=[{"value": value, **({"system": system} if system else {}), **members}])


@tokens.check("S50", "search.html#token")
def reads_the_parts_of_a_token(fhir: Fhir) -> None:
    a, b = "http://example.org/a", "http://example.org/b"
    shelf = Shelf(
        fhir,
        a1=coded(coding("one", a)),
        b1=coded(coding("one", b)),
        bare=coded(coding("one")),
        a2=coded(coding("two", a)),
    )
    shelf.finds_all(
        "Observation?code=",
        {
            "one": "a1 b1 bare", f"{a}|one": "a1", "|one": "bare", f"{a}|": "a1 a2", f"{a}|one,{b}|one": "a1 b1",
            f"{a}|none": "", "http://example.org/c|": "",
        },
    )  # fmt: skip


@tokens.check("S51", "search.html#token")
def searches_every_coded_type(fhir: Fhir) -> None:
    system = "http://example.org/s"
    shelf = Shelf(
        fhir,
        two=coded(coding("first", system), coding("second", system)),
        man=known("A1", system, use="official") | {"gender": "male"},
        gone=patient(active=False, telecom=[{"system": "phone", "value": "12345"}]),
    )
    shelf.finds_all("Observation?", {f"code={system}|second": "two", "code=first": "two", "status=final": "two"})
    shelf.finds_all(
        "Patient?",
        {
            f"identifier={system}|A1": "man", "gender=male": "man", f"gender={_GENDER}|male": "man",
            "gender=http://example.org/other|male": "", "active=false": "gone", "active=true": "man",
            "phone=12345": "gone", "telecom=12345": "gone",
        },
    )  # fmt: skip


@tokens.check("S53", "search.html#token")
def heeds_case_where_it_matters(fhir: Fhir) -> None:
    system = "http://example.org/s"
    shelf = Shelf(fhir, upper=known("AbC", system), lower=known("abc", "http://example.org/S"))
    shelf.finds_all(
        "Patient?",
        {
            f"identifier={system}|ABC": "upper",
            "identifier=http://example.org/S|": "lower",
            f"_id={shelf.id('upper')}": "upper",
        },
    )
    if (swapped := shelf.id("upper").swapcase()) != shelf.id("upper"):
        shelf.finds(f"Patient?_id={swapped}", "")


@tokens.check("S54", "search.html#token")
def negates_over_all_values_and_none(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        man=patient(gender="male"),
        woman=patient(gender="female"),
        unsaid=patient(),
    )
    shelf.finds_all(
        "Patient?gender:not=",
        {
            "male": "woman unsaid",
            "male,female": "unsaid",
            "male&gender:not=female": "unsaid",
            "unknown": "man woman unsaid",
        },
    )


@tokens.check("T05", "search.html#token")
def negates_lists_as_sets(fhir: Fhir) -> None:
    system = "http://example.org/s"
    shelf = Shelf(
        fhir, both=coded(coding("a", system), coding("b", system)), one=coded(coding("b", system)), none=coded()
    )
    shelf.finds_all(
        "Observation?code:not=",
        {f"{system}|a": "one none", "b": "none", f"{system}|a,{system}|b": "none", f"{system}|c": "both one none"},
    )


@tokens.check("S55", "search.html#token")
def searches_the_words_beside_a_code(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir,
        text={"resourceType": "Observation", "status": "final", "code": {"text": "Headache, severe"}},
        display=coded(coding("x1", "http://example.org/s", "Headache")),
        code=coded(coding("headache", "http://example.org/s")),
    )
    shelf.finds_all(
        "Observation?code:text=", {"headache": "text display", "HEAD": "text display", "x1": "", "ache": ""}
    )
    shelf.add("typed", known("1", None, type={"text": "Passport"}))
    shelf.finds("Patient?identifier:text=pass", "typed")


@tokens.check("S56", "search.html#token")
def searches_identifiers_of_a_type(fhir: Fhir) -> None:
    types = "http://terminology.hl7.org/CodeSystem/v2-0203"

    def two(**numbers: str) -> Resource:
        return patient(
            identifier=[
                {"type": {"coding": [coding(kind, types)]}, "value": number} for kind, number in numbers.items()
            ]
        )

    shelf = Shelf(fhir, right=two(MR="446053", SS="1"), crossed=two(MR="1", SS="446053"))
    shelf.finds_all("Patient?identifier:of-type=", {f"{types}|MR|446053": "right", f"{types}|SS|446053": "crossed"})
    shelf.refuses(f"Patient?identifier:of-type={types}|MR", "Patient?identifier:of-type=446053")


@tokens.check("S57", "search.html#token")
def searches_by_value_set(fhir: Fhir) -> None:
    statuses = "http://hl7.org/fhir/ValueSet/administrative-gender"
    shelf = Shelf(fhir, man=patient(gender="male"), unsaid=patient())
    if shelf.ask(f"Patient?gender:in={statuses}").status == 400:
        raise Skipped("value sets are not searched by")
    shelf.finds(f"Patient?gender:in={statuses}", "man")
    shelf.finds(f"Patient?gender:not-in={statuses}", "unsaid")
    shelf.refuses("Patient?gender:in=http://example.org/no-such-set", "Patient?gender:not-in=http://example.org/none")


@tokens.check("S57", "search.html#token")
def searches_by_a_value_set_of_its_own(fhir: Fhir) -> None:
    system, url = "http://example.org/s", f"http://example.org/ValueSet/{fhir.unique()}"
    shelf = Shelf(fhir, a=coded(coding("a", system)), b=coded(coding("b", system)))
    include = [{"system": system, "concept": [{"code": "a"}]}]
    shelf.add("set", {"resourceType": "ValueSet", "status": "active", "url": url, "compose": {"include": include}})
    if shelf.ask(f"Observation?code:in={url}").status == 400:
        raise Skipped("stored value sets are not searched by")
    shelf.finds_all("Observation?", {f"code:in={url}": "a", f"code:not-in={url}": "b", f"code:in={shelf['set']}": "a"})


@tokens.check("S58", "search.html#token")
def searches_below_a_code(fhir: Fhir) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
    shelf = Shelf(
        fhir,
        mother={
            "resourceType": "RelatedPerson",
            "patient": {"display": "x"},
            "relationship": [{"coding": [coding("MTH", system)]}],
        },
        parent={
            "resourceType": "RelatedPerson",
            "patient": {"display": "x"},
            "relationship": [{"coding": [coding("PRN", system)]}],
        },
        friend={
            "resourceType": "RelatedPerson",
            "patient": {"display": "x"},
            "relationship": [{"coding": [coding("FRND", system)]}],
        },
    )
    if shelf.ask(f"RelatedPerson?relationship:below={system}|PRN").status == 400:
        raise Skipped("subsumption is not searched by")
    shelf.finds_all(
        "RelatedPerson?",
        {f"relationship:below={system}|PRN": "mother parent", f"relationship:above={system}|MTH": "mother parent"},
    )


@tokens.check("S58", "search.html#mimetype")
def searches_below_a_media_type(fhir: Fhir) -> None:
    def document(kind: str) -> Resource:
        content = [{"attachment": {"contentType": kind, "title": "x"}}]
        return {"resourceType": "DocumentReference", "status": "current", "content": content}

    shelf = Shelf(
        fhir, plain=document("text/xml"), sized=document("text/xml; charset=UTF-8"), pdf=document("application/pdf")
    )
    if shelf.ask("DocumentReference?contenttype:below=text/xml").status == 400:
        raise Skipped("media types are not searched below")
    shelf.finds_all("DocumentReference?contenttype:below=", {"text/xml": "plain sized", "text": "plain sized"})


@tokens.check("S59", "search.html#token")
def finds_long_values_exactly(fhir: Fhir) -> None:
    long = "x" * 900
    shelf = Shelf(fhir, one=known(long + "1"), two=known(long + "2"), urn=known("1", "http://example.org/a?b=c#d"))
    shelf.finds_all(
        "Patient?identifier=",
        {long + "1": "one", long: "", "http://example.org/a%3Fb%3Dc%23d|1": "urn", "http://example.org/a|1": "",
         "http://example.org/a/|1": ""},
    )  # fmt: skip


@tokens.check("S52", "search.html#token")
def refuses_systems_where_there_are_none(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=patient(telecom=[{"system": "phone", "value": "12345"}]))
    shelf.refuses("Patient?active=http://example.org/s|true", "Patient?phone=http://example.org/s|12345")


@tokens.check("S161", "search.html#id")
def searches_by_id(fhir: Fhir) -> None:
    shelf = Shelf(fhir, a=patient(), b=patient(), c=patient())
    a, b = shelf.id("a"), shelf.id("b")
    shelf.finds_all(
        "Patient?_id=", {a: "a", f"{a},{b}": "a b", f"{a},{a}": "a", f"{a}&_id={b}": "", f"Patient/{a}x": ""}
    )


@tokens.check("S161", "search.html#tag")
def searches_by_tag_and_label(fhir: Fhir) -> None:
    system = "http://example.org/labels"
    shelf = Shelf(
        fhir,
        tagged=patient(meta={"tag": [coding("red", system)]}),
        closed=patient(meta={"security": [coding("R", system)]}),
    )
    shelf.finds_all(
        "Patient?",
        {f"_tag={system}|red": "tagged", "_security=R": "closed", f"_security={system}|R": "closed", "_tag=R": ""},
    )


@tokens.check("S161", "search.html#list")
def searches_the_members_of_a_list(fhir: Fhir) -> None:
    shelf = Shelf(fhir, a=patient(), b=patient(), c=patient())
    items = [{"item": {"reference": shelf[each]}} for each in ("a", "b")]
    shelf.add("list", {"resourceType": "List", "status": "current", "mode": "working", "entry": items})
    answer = shelf.ask(f"Patient?_list={shelf.id('list')}", strict=True)
    if answer.status == 400:
        raise Skipped("_list is not offered")
    expect(sorted(shelf.names(answer.json())) == ["a", "b"], "_list does not give the members of the list")
