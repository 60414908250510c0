"""Media types, character sets, preferences and the general parameters (http.html#mime-type, #return, #parameters)."""

from __future__ import annotations

from conformance.kit.client import Response
from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import JSON, XML, Fhir, body_of, expect_status, refused
from conformance.kit.verdict import expect

negotiation = Section()

_JSON_TYPES = (JSON, "application/json", "text/json", "application/json+fhir")
_XML_TYPES = (XML, "application/xml", "text/xml", "application/xml+fhir")
_EMPTY_XML = b'<Patient xmlns="http://hl7.org/fhir"/>'


def _is_xml(answer: Response) -> bool:
    expect_status(answer, 200, 201)
    return answer.media_type == XML and answer.body.lstrip().startswith((b"<?xml", b"<Patient", b"<Bundle"))


def _is_json(answer: Response) -> bool:
    expect_status(answer, 200, 201)
    return answer.media_type == JSON and answer.body.lstrip().startswith(b"{")


@negotiation.check("R14", "http.html#return")
def answers_writes_as_preferred(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    version = 0

    def writes(prefer: str) -> list[Response]:
        nonlocal version
        version += 1
        changed = {**made, "name": [{"family": f"{fhir.token}{version}"}]}
        patch = [{"op": "replace", "path": "/name/0/family", "value": f"patched{version}"}]
        return [
            fhir.post("/Patient", fhir.draft("Patient"), prefer=prefer),
            fhir.put(path_of(made), changed, prefer=prefer),
            fhir.patch(path_of(made), patch, prefer=prefer),
        ]

    for answer in writes("return=minimal"):
        expect(not expect_status(answer, 200, 201).body, "return=minimal has a body")
    for answer in writes("return=representation"):
        body_of(expect_status(answer, 200, 201), "Patient")
    for answer in writes("return=OperationOutcome"):
        body_of(expect_status(answer, 200, 201), "OperationOutcome")
    refused(fhir.post("/Patient", b"{", prefer="return=minimal"), 400)


@negotiation.check("R14", "http.html#return")
def answers_transactions_as_preferred(fhir: Fhir) -> None:
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": fhir.draft("Patient")}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    minimal = body_of(fhir.post("", bundle, prefer="return=minimal"), "Bundle")["entry"][0]
    expect("resource" not in minimal, "return=minimal gives the resource")
    whole = body_of(fhir.post("", bundle, prefer="return=representation"), "Bundle")["entry"][0]
    expect(whole.get("resource", {}).get("resourceType") == "Patient", "return=representation gives no resource")


@negotiation.check("R15", "search.html#errors")
def reads_several_preferences(fhir: Fhir) -> None:
    refused(fhir.get("/Patient?no-such-parameter=a", prefer="handling=strict"), 400)
    expect_status(fhir.get("/Patient?no-such-parameter=a&_count=1", prefer="handling=lenient"), 200)
    expect_status(fhir.get("/Patient?_count=1", prefer="odd=thing, wait=10"), 200)
    refused(fhir.get("/Patient?no-such-parameter=a", prefer="odd, handling=strict; odd"), 400)
    answer = fhir.post("/Patient", fhir.draft("Patient"), prefer="handling=strict, return=minimal")
    expect(not expect_status(answer, 201).body, "the second of two preferences is not heeded")


@negotiation.check("R16", "http.html#mime-type")
def takes_every_name_of_its_formats(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    for media_type in _JSON_TYPES:
        expect(_is_json(fhir.get(path, accept=media_type)), f"Accept: {media_type} does not give {JSON}")
        expect_status(fhir.post("/Patient", fhir.draft("Patient"), media_type), 201)
    for media_type in _XML_TYPES:
        expect(_is_xml(fhir.get(path, accept=media_type)), f"Accept: {media_type} does not give {XML}")
        expect_status(fhir.post("/Patient", _EMPTY_XML, media_type), 201)


@negotiation.check("R17", "http.html#mime-type")
def takes_utf_8_and_its_own_version_only(fhir: Fhir) -> None:
    draft = fhir.draft("Patient")
    path = path_of(fhir.make("Patient"))
    for suffix in ("; charset=utf-8", ";charset=UTF-8", '; charset="utf-8"', "; fhirVersion=4.0"):
        expect_status(fhir.post("/Patient", draft, f"{JSON}{suffix}"), 201)
        expect_status(fhir.get(path, accept=f"{JSON}{suffix}"), 200)
    for suffix in ("; charset=iso-8859-1", "; charset=utf-16", "; fhirVersion=3.0", "; fhirVersion=5.0"):
        refused(fhir.post("/Patient", draft, f"{JSON}{suffix}"), 415)
    refused(fhir.get(path, accept=f"{JSON}; fhirVersion=3.0"), 406)
    content_type = fhir.get(path).headers["content-type"].lower()
    expect("charset" not in content_type or "utf-8" in content_type, f"Content-Type is {content_type}")


@negotiation.check("R19", "http.html#mime-type")
def refuses_formats_it_does_not_know(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    for accept in ("text/csv", "application/pdf", f"{JSON};q=0, */*;q=0"):
        refused(fhir.get(path_of(made), accept=accept), 406)
    for media_type in ("text/csv", "application/octet-stream", ""):
        refused(fhir.post("/Patient", made, media_type), 415)
        refused(fhir.put(path_of(made), made, media_type), 415)
        refused(fhir.patch(path_of(made), b"[]", media_type), 415)


@negotiation.check("R20", "http.html#mime-type")
def weighs_what_is_accepted(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    default = fhir.get(path, accept="").media_type
    expect(default in (JSON, XML), f"without Accept the answer is {default}")
    for accept in ("*/*", "application/*", "text/html;q=0, */*"):
        expect(fhir.get(path, accept=accept).media_type == default, f"Accept: {accept} does not give the default")
    expect(_is_xml(fhir.get(path, accept=f"{JSON};q=0.1, {XML};q=0.9")), "the higher quality does not win")
    expect(_is_json(fhir.get(path, accept=f"text/csv, {XML};q=0.2, {JSON};q=0.3")), "the higher quality does not win")


@negotiation.check("R21", "http.html#parameters")
def prefers_format_in_the_query_to_accept(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    for name in ("json", "application/json", "application/fhir+json", "application/fhir%2Bjson", "text/json"):
        expect(_is_json(fhir.get(f"{path}?_format={name}", accept=XML)), f"_format={name} does not give JSON")
    for name in ("xml", "text/xml", "application/xml", "application/fhir+xml", "application/fhir%2Bxml"):
        expect(_is_xml(fhir.get(f"{path}?_format={name}")), f"_format={name} does not give XML")
    answer = fhir.post("/Patient?_format=xml", fhir.draft("Patient"), prefer="return=representation")
    expect(_is_xml(answer), "_format does not tell the form of the answer to a create")


@negotiation.check("R22", "http.html#parameters")
def refuses_bad_general_parameters(fhir: Fhir) -> None:
    path = path_of(fhir.make("Patient"))
    refused(fhir.get(f"{path}?_format=csv"), 406)
    for query in ("_pretty=perhaps", "_summary=most", "_elements=no..such"):
        refused(fhir.get(f"{path}?{query}"), 400)
        refused(fhir.get(f"/Patient?_count=1&{query}"), 400)
    plain, pretty = (fhir.get(f"{path}?_pretty={value}") for value in ("false", "true"))
    expect(body_of(plain) == body_of(pretty), "_pretty changes the content")
    expect(len(pretty.body.splitlines()) > len(plain.body.splitlines()), "_pretty=true is not indented")
