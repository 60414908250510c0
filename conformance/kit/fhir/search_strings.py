"""Searches by string and by URI: beginnings, folding, hierarchies and versions (FHIR R4 3.1.1.4.8 and 13)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource
from conformance.kit.fhir.shelf import Shelf
from conformance.kit.verdict import Skipped

strings = Section()


def family(name: str) -> Resource:
    return {"resourceType": "Patient", "name": [{"family": name}]}


def city(name: str) -> Resource:
    return {"resourceType": "Patient", "address": [{"city": name}]}


def value_set(url: str, version: str | None = None) -> Resource:
    return {"resourceType": "ValueSet", "status": "draft", "url": url, **({"version": version} if version else {})}


@strings.check("S70", "search.html#string")
def begins_a_string_without_regard_to_case_and_marks(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, mueller=family("Müller"), plain=family("Muller"), blanks=family("Van  der\tBerg"), irish=family("O'Neill")
    )
    shelf.finds_all(
        "Patient?family=",
        {
            "mul": "mueller plain",
            "MÜLL": "mueller plain",
            "uller": "",
            "van der berg": "blanks",
            "oneill": "irish",
            "O'N": "irish",
        },
    )


@strings.check("S71", "search.html#string")
def does_not_look_inside_unless_asked(fhir: Fhir) -> None:
    shelf = Shelf(fhir, seattle=city("Seattle"), flint=city("Flintstones"))
    shelf.finds_all(
        "Patient?",
        {"address-city=sea": "seattle", "address-city=intstones": "", "address-city:contains=intstones": "flint"},
    )


@strings.check("T13", "search.html#string")
def folds_every_script_alike_in_index_and_query(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, greek=family("ΑΘΗΝΆ"), cyrillic=family("Иванов"), chinese=family("王小明"), kana=family("ヤマダ"),
        sharp=family("Straße"), ligature=family("Œuvre"), composed=family("Zoë"), decomposed=family("Zoe\u0308"),
    )  # fmt: skip
    shelf.finds_all(
        "Patient?family=",
        {
            "αθηνα": "greek", "ИВАН": "cyrillic", "王": "chinese", "王小明": "chinese", "ヤマ": "kana",
            "strasse": "sharp", "STRAßE": "sharp", "œuvre": "ligature",
            "zoe": "composed decomposed", "Zoë": "composed decomposed", "Zoe\u0308": "composed decomposed",
        },
    )  # fmt: skip


@strings.check("S72", "search.html#modifiers")
def compares_exactly_where_asked(fhir: Fhir) -> None:
    shelf = Shelf(
        fhir, upper=family("Quell"), lower=family("quell"), long=family("Quelle"), decomposed=family("Zoe\u0308")
    )
    shelf.finds_all(
        "Patient?family:",
        {"exact=Quell": "upper", "exact=quell": "lower", "exact=Que": "", "contains=UEL": "upper lower long",
         "exact=Zoë": "decomposed"},
    )  # fmt: skip


@strings.check("S73", "search.html#string")
def searches_the_parts_of_names_and_addresses(fhir: Fhir) -> None:
    name = {
        "family": "Aquila",
        "given": ["Berenike"],
        "prefix": ["Countess"],
        "suffix": ["Esquire"],
        "text": "Zelda",
        "use": "usual",
    }
    address = {"line": ["Elm Row"], "city": "Fulda", "district": "Gera", "state": "Hesse", "postalCode": "36037",
               "country": "Iceland", "text": "Jena", "use": "home", "type": "postal"}  # fmt: skip
    shelf = Shelf(fhir, anna={"resourceType": "Patient", "name": [name], "address": [address]})
    shelf.finds_all("Patient?name=", dict.fromkeys(("aquila", "beren", "countess", "esq", "zelda"), "anna"))
    shelf.finds("Patient?name=usual", "")
    parts = ("elm", "fulda", "gera", "hesse", "36037", "iceland", "jena")
    shelf.finds_all("Patient?address=", {**dict.fromkeys(parts, "anna"), "home": "", "postal": ""})
    shelf.finds_all("Patient?", {"address-postalcode=360": "anna", "given=beren": "anna", "address-use=home": "anna"})


@strings.check("S74", "search.html#string")
def finds_the_parts_of_a_double_family_name(fhir: Fhir) -> None:
    shelf = Shelf(fhir, both=family("Carreno Quinones"))
    shelf.finds_all("Patient?", {"family=Carreno": "both", "family=Quinones": "both", "family=inones": ""})


@strings.check("S75", "search.html#string")
def searches_long_strings_to_their_end(fhir: Fhir) -> None:
    long = "word " * 120 + "terminus"
    shelf = Shelf(fhir, long=city(long), other=city("word " * 120 + "other"))
    shelf.finds_all(
        "Patient?",
        {
            "address-city:contains=terminus": "long",
            f"address-city:exact={long}": "long",
            "address-city=word": "long other",
        },
    )


@strings.check("S80", "search.html#uri")
def compares_uris_whole(fhir: Fhir) -> None:
    root = f"http://example.org/{fhir.unique()}"
    shelf = Shelf(fhir, top=value_set(root), leaf=value_set(f"{root}/Leaf"), lower=value_set(f"{root}/leaf"))
    urn = f"urn:oid:1.2.{int(shelf.token[-8:], 16)}"
    shelf.add("urn", value_set(f"{urn}.1"))
    shelf.finds_all(
        "ValueSet?url", {f"={root}": "top", f"={root}/Leaf": "leaf", f"={root}/": "", f"={urn}": "", f"={urn}.1": "urn"}
    )
    shelf.finds_all("ValueSet?url:", {f"below={root}/": "leaf lower", f"above={root}/Leaf/under": "top leaf"})


@strings.check("S81", "search.html#versions")
def searches_canonicals_with_and_without_version(fhir: Fhir) -> None:
    url = f"http://example.org/Questionnaire/{fhir.unique()}"

    def answered(canonical: str) -> Resource:
        return {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": canonical}

    shelf = Shelf(
        fhir, bare=answered(url), one=answered(f"{url}|1.0"), later=answered(f"{url}|1.2"), two=answered(f"{url}|2.0")
    )
    shelf.finds_all(
        "QuestionnaireResponse?questionnaire",
        {f"={url}": "bare one later two", f"={url}|1.0": "one", f":below={url}|1": "one later", f"={url}|3": ""},
    )


@strings.check("S82", "search.html#profile")
def searches_profiles_by_url_and_version(fhir: Fhir) -> None:
    url = f"http://example.org/StructureDefinition/{fhir.unique()}"

    def claiming(profile: str) -> Resource:
        return {"resourceType": "Basic", "code": {"text": "something"}, "meta": {"profile": [profile]}}

    shelf = Shelf(fhir)
    if fhir.post("/Basic", shelf.tagged(claiming(url))).status != 201:
        raise Skipped("profiles that are not known here may not be claimed")
    shelf = Shelf(fhir, bare=claiming(url), one=claiming(f"{url}|1.0"))
    shelf.finds_all("Basic?_profile=", {url: "bare one", f"{url}|1.0": "one", f"{url}|2.0": ""})


@strings.check("S82", "search.html#source")
def searches_by_source(fhir: Fhir) -> None:
    source = f"http://example.org/{fhir.unique()}"
    shelf = Shelf(fhir, sent={"resourceType": "Basic", "code": {"text": "x"}, "meta": {"source": f"{source}#m1"}})
    shelf.finds_all("Basic?_source=", {f"{source}%23m1": "sent", f"{source}%23m2": ""})
