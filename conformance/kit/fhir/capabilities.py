"""The capability statement: its form, and that what it declares works (FHIR R4 http.html#capabilities)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import XML, Fhir, Resource, body_of, expect_status
from conformance.kit.fhir.shelf import encoded
from conformance.kit.verdict import Skipped, expect

capabilities = Section()

_CLAUSE = "http.html#capabilities"
_SAMPLES = {
    "date": "ge2000-01-01", "number": "5", "quantity": "5", "string": "nothing-like-it", "token": "nothing-like-it",
    "uri": "http://example.org/nothing-like-it", "special": "0|0|1|km",
}  # fmt: skip
_PARTICULAR = ("composite", "token", "special")


@capabilities.check("K01", _CLAUSE)
def describes_itself_to_everybody(fhir: Fhir) -> None:
    answer = fhir.get("/metadata")
    expect_status(answer, 200)
    body_of(answer, "CapabilityStatement")
    for query in ("?mode=full", "?mode=normative", "?mode=no-such-mode"):
        body_of(expect_status(fhir.get(f"/metadata{query}"), 200), "CapabilityStatement")


@capabilities.check("K01", _CLAUSE)
def describes_itself_in_every_format_it_declares(fhir: Fhir) -> None:
    for name in fhir.capabilities["format"]:
        answer = fhir.get(encoded(f"/metadata?_format={name.replace('+', '%2B')}"), accept="*/*")
        expect_status(answer, 200)
    if any("xml" in each for each in fhir.capabilities["format"]):
        answer = fhir.get("/metadata", accept=XML)
        expect(answer.media_type == XML and b"<CapabilityStatement" in answer.body, "the statement is not given as XML")


@capabilities.check("K01", _CLAUSE)
def describes_its_terminology(fhir: Fhir) -> None:
    found = body_of(expect_status(fhir.get("/metadata?mode=terminology"), 200))
    if found["resourceType"] == "CapabilityStatement":
        raise Skipped("mode=terminology is not offered")
    expect(found["resourceType"] == "TerminologyCapabilities", f"mode=terminology gives a {found['resourceType']}")
    expect({"status", "date", "kind"} <= set(found), "the terminology capabilities lack what is required")


@capabilities.check("K02", "capabilitystatement.html")
def says_what_a_statement_has_to_say(fhir: Fhir) -> None:
    found = fhir.capabilities
    missing = {"status", "date", "kind", "fhirVersion", "format", "rest"} - set(found)
    expect(not missing, f"the statement lacks {' '.join(sorted(missing))}")
    expect(found["fhirVersion"] == "4.0.1", f"fhirVersion is {found['fhirVersion']}")
    expect({each["mode"] for each in found["rest"]} == {"server"}, "rest.mode is not server")
    if found["kind"] == "instance":
        expect(bool(found.get("implementation", {}).get("description")), "an instance lacks implementation.description")
    expect("software" not in found or bool(found["software"].get("name")), "the software has no name")


@capabilities.check("K02", "operation-resource-validate.html")
def gives_a_valid_statement(fhir: Fhir) -> None:
    answer = fhir.post("/CapabilityStatement/$validate", fhir.capabilities)
    if answer.status != 200:
        raise Skipped("$validate is not offered")
    wrong = [each for each in answer.json()["issue"] if each["severity"] in ("error", "fatal")]
    expect(not wrong, f"the statement is invalid by the server's own measure: {wrong[:2]}")


@capabilities.check("K03", _CLAUSE)
def lets_clients_keep_the_statement(fhir: Fhir) -> None:
    tag = fhir.get("/metadata").headers.get("etag")
    if not tag:
        raise Skipped("the statement has no ETag")
    again = fhir.get("/metadata", if_none_match=tag)
    expect(again.status == 304 and not again.body, f"If-None-Match of the statement gave {again.status}")
    expect_status(fhir.get("/metadata", if_none_match='W/"another"'), 200)


@capabilities.check("K03", "search.html#elements")
def gives_parts_of_the_statement(fhir: Fhir) -> None:
    part = body_of(expect_status(fhir.get("/metadata?_elements=fhirVersion"), 200))
    expect("fhirVersion" in part and "rest" not in part, "_elements does not cut the statement")
    summary = body_of(expect_status(fhir.get("/metadata?_summary=true"), 200))
    expect("fhirVersion" in summary, "_summary=true takes the version away")


@capabilities.check("K04", "capabilitystatement.html")
def describes_each_type_once(fhir: Fhir) -> None:
    types = Counter(each["type"] for each in fhir.capabilities["rest"][0]["resource"])
    expect(max(types.values()) == 1, "a type is described twice")
    for each in fhir.capabilities["rest"][0]["resource"]:
        names = Counter(parameter["name"] for parameter in each.get("searchParam", []))
        expect(not names or max(names.values()) == 1, f"a search parameter of {each['type']} is declared twice")
        expect(
            all(one.get("type") for one in each.get("searchParam", [])), f"a parameter of {each['type']} has no type"
        )
        expect(bool(each.get("interaction")), f"{each['type']} has no interactions")


@capabilities.check("K04", "capabilitystatement.html")
def says_how_it_versions_and_what_it_does_on_conditions(fhir: Fhir) -> None:
    patient = fhir.offer("Patient")
    wanted = {
        "versioning", "readHistory", "updateCreate", "conditionalCreate", "conditionalRead", "conditionalUpdate",
        "conditionalDelete",
    }  # fmt: skip
    expect(wanted <= set(patient), f"Patient lacks {' '.join(sorted(wanted - set(patient)))}")
    deletes = patient["conditionalDelete"]
    expect(deletes in ("not-supported", "single", "multiple"), f"conditionalDelete is {deletes}")


@capabilities.check("K05", "capabilitystatement.html")
def declares_what_the_whole_system_does(fhir: Fhir) -> None:
    rest = fhir.capabilities["rest"][0]
    declared = {each["code"] for each in rest.get("interaction", [])}
    tried = {"history-system": "/_history?_count=1", "search-system": "/?_type=Patient&_count=1"}
    for code, path in tried.items():
        works = fhir.get(path).status == 200
        expect(works is (code in declared), f"{code} is {'not ' * (code not in declared)}declared and works: {works}")
    for code in ("transaction", "batch"):
        bundle = {"resourceType": "Bundle", "type": code}
        works = fhir.post("/", bundle).status == 200
        expect(works is (code in declared), f"{code} is {'not ' * (code not in declared)}declared and works: {works}")
    for each in rest.get("operation", []):
        expect(bool(each.get("name")) and bool(each.get("definition")), "an operation lacks its name or definition")


@capabilities.check("K06", _CLAUSE)
def serves_every_interaction_it_declares(fhir: Fhir) -> None:
    for each in fhir.capabilities["rest"][0]["resource"]:
        kind, codes = each["type"], {one["code"] for one in each["interaction"]}
        if "search-type" in codes:
            expect_status(fhir.get(f"/{kind}?_count=1"), 200)
        if "read" in codes:
            expect(fhir.get(f"/{kind}/none-of-that-name").status == 404, f"reading what {kind} is not there is no 404")
        if "history-type" in codes:
            expect_status(fhir.get(f"/{kind}/_history?_count=1"), 200)


@capabilities.check("K06", _CLAUSE)
def serves_every_search_parameter_it_declares(fhir: Fhir) -> None:
    for kind, parameter in _declared(fhir):
        value = _SAMPLES.get(parameter["type"], "nothing-like-it")
        query = f"{parameter['name']}={value}"
        answer = fhir.get(encoded(f"/{kind}?{query}&_count=1"), prefer="handling=strict")
        # Of some types no one value is right for every parameter; a bad value is told apart from a bad name.
        wanted = (200, 400) if parameter["type"] in _PARTICULAR else (200,)
        expect(answer.status in wanted, f"{kind}?{query} gave {answer.status}")
        expect(b"is not known" not in answer.body, f"{kind}?{query}: declared and not known")


@capabilities.check("K06", _CLAUSE)
def serves_every_include_it_declares(fhir: Fhir) -> None:
    for each in fhir.capabilities["rest"][0]["resource"]:
        names = [("_include", name) for name in each.get("searchInclude", [])]
        names += [("_revinclude", name) for name in each.get("searchRevInclude", [])]
        for start in range(0, len(names), 60):
            query = "&".join(f"{name}={value}" for name, value in names[start : start + 60])
            answer = fhir.get(encoded(f"/{each['type']}?_count=1&_id=none&{query}"), prefer="handling=strict")
            expect(answer.status == 200, f"the includes declared for {each['type']} gave {answer.status}")


@capabilities.check("K06", _CLAUSE)
def serves_every_operation_it_declares(fhir: Fhir) -> None:
    """An operation that is there refuses an empty call in another way than one that is not."""
    rest = fhir.capabilities["rest"][0]
    named = [("", each["name"]) for each in rest.get("operation", [])]
    named += [(f"/{each['type']}", one["name"]) for each in rest["resource"] for one in each.get("operation", [])]
    for place, name in named:
        paths = [f"{place}/${name}", *([f"{place}/none-of-that-name/${name}"] if place else [])]
        answers = [fhir.post(path, {"resourceType": "Parameters"}) for path in paths]
        known = any(each.status not in (404, 405, 501) or b"no operation" not in each.body for each in answers)
        expect(known, f"{place}/${name} is declared and not there")


@capabilities.check("K06", _CLAUSE)
def tells_nothing_of_its_inner_places(fhir: Fhir) -> None:
    text = fhir.get("/metadata").body.decode()
    host = urlsplit(fhir.base).hostname or ""
    for inner in ("localhost", "127.0.0.1", "0.0.0.0", "file://", "/home/", "/root/", "/tmp/"):  # noqa: S104, S108
        if inner != host:
            expect(inner not in text, f"the statement names {inner}")


def _declared(fhir: Fhir) -> Iterator[tuple[str, Resource]]:
    for each in fhir.capabilities["rest"][0]["resource"]:
        for parameter in each.get("searchParam", []):
            yield each["type"], parameter
