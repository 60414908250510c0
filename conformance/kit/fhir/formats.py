"""JSON: primitive values, nulls, structure, contained resources and narrative (json.html, datatypes.html)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from conformance.kit.client import Response
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import XML, Fhir, Resource, body_of, expect_status, refused
from conformance.kit.verdict import expect

formats = Section()

_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
_DECIMALS = ("1.10", "1.0E+2", "0.700", "120", "-0.0", "1E-7", "100000000000000001.5", "0.1234567890123456789")


def raw(fhir: Fhir, resource_type: str, members: str) -> bytes:
    """A resource under the run's tag whose further members are JSON text."""
    head = json.dumps(fhir.draft(resource_type))
    return f"{head[:-1]},{members}}}".encode() if members else head.encode()


def _sent(fhir: Fhir, members: str, resource_type: str = "Patient") -> Response:
    return fhir.post(f"/{resource_type}", raw(fhir, resource_type, members), prefer="return=representation")


def _observed(fhir: Fhir, members: str) -> Response:
    return _sent(fhir, f'"status":"final","code":{{"text":"a"}},{members}', "Observation")


def _all_refused(fhir: Fhir, listed: Sequence[str]) -> None:
    for members in listed:
        answer = _sent(fhir, members)
        expect(answer.status in (400, 422), f"{members[:120]} gave {answer.status}")
        refused(answer, 400, 422)


def again(fhir: Fhir, made: Response, accept: str = "application/fhir+json") -> Response:
    """The resource just created, read."""
    resource = body_of(expect_status(made, 201))
    return expect_status(fhir.get(f"/{resource['resourceType']}/{resource['id']}", accept=accept), 200)


@formats.check("F01", "json.html#decimal")
def keeps_the_digits_of_decimals(fhir: Fhir) -> None:
    for text in _DECIMALS:
        made = _observed(fhir, f'"valueQuantity":{{"value":{text}}}')
        expect(
            f'"value":{text}}}'.encode() in again(fhir, made).body.replace(b" ", b""), f"{text} comes back otherwise"
        )
        as_xml = again(fhir, made, XML)
        expect(f'<value value="{text}"/>'.encode() in as_xml.body.replace(b" /", b"/"), f"{text} is otherwise in XML")
        back = fhir.post("/Observation", as_xml.body, XML, prefer="return=representation")
        expect(f'"value":{text}}}'.encode() in again(fhir, back).body.replace(b" ", b""), f"{text} is lost through XML")
    for bad in ("+1", "01", "1.", ".5", "NaN", "Infinity", '"1.0"', "0x10", "1e"):
        refused(_observed(fhir, f'"valueQuantity":{{"value":{bad}}}'), 400, 422)


@formats.check("F02", "json.html#primitive")
def wants_integers_and_booleans_of_their_own_kind(fhir: Fhir) -> None:
    for number in (0, -1, 2**31 - 1, -(2**31)):
        expect_status(_sent(fhir, f'"multipleBirthInteger":{number}'), 201)
    bad = [f'"multipleBirthInteger":{each}' for each in ("1.0", '"1"', "1e0", str(2**31), str(-(2**31) - 1), "true")]
    _all_refused(fhir, [*bad, '"active":"true"', '"active":1', '"active":0', '"gender":1', '"birthDate":1980'])


@formats.check("F03", "json.html#null")
def keeps_extensions_of_primitives_in_their_places(fhir: Fhir) -> None:
    extension = {"extension": [{"url": "https://example.org/x", "valueCode": "a"}]}
    members: tuple[Resource, ...] = (
        {"_birthDate": extension},
        {"birthDate": "1980", "_birthDate": {"id": "b", **extension}},
        {"name": [{"given": ["a", None, "c"], "_given": [None, extension, {"id": "x"}]}]},
        {"name": [{"_given": [extension, extension]}]},
        {"name": [{"given": ["a", "b"], "_given": [None, extension]}]},
    )
    for each in members:
        made = fhir.make("Patient", **each)
        for name, value in each.items():
            expect(made.get(name) == value, f"{name} is {json.dumps(made.get(name))}, sent {json.dumps(value)}")
    made = fhir.make("Patient", name=[{"given": [None, None], "_given": [extension, extension]}])
    expect(made["name"][0]["_given"] == [extension, extension], "an array of nulls loses its extensions")
    lists = '"name":[{"given":["a"],"_given":[null,{"id":"b"}]}]', '"name":[{"given":["a",null],"_given":[null,null]}]'
    _all_refused(fhir, [*lists, '"_birthDate":"a"', '"_birthDate":[null]', '"name":[{"given":["a"],"_given":{}}]'])


@formats.check("F04", "json.html")
def refuses_json_that_is_no_fhir(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            *(
                '"active":null',
                '"name":[null]',
                '"name":[{"family":null}]',
                '"name":null',
                '"active":true,"active":true',
            ),
            *('"name":{"family":"a"}', '"active":[true]', '"name":[{"family":["a"]}]', '"name":"a"', '"name":[["a"]]'),
            *('"name":[]', '"name":[{}]', '"maritalStatus":{}', '"name":[{"family":""}]', '"extension":[]'),
            *('"active":true,', '"active":true /* a */', "// a\n", "'active':true", '"active":True'),
            *('"fhir_comments":["a"]', '"name":[{"fhir_comments":["a"],"family":"b"}]'),
            *('"contact":[{"name":{"family":"a"},"name":{"family":"b"}}]', '"active":true}{"a":1'),
        ),
    )


@formats.check("F06", "json.html#resources")
def finds_the_type_anywhere_and_keeps_the_order_of_lists(fhir: Fhir) -> None:
    body = {"name": [{"family": each} for each in "cab"], **fhir.draft("Patient")}
    body["resourceType"] = body.pop("resourceType")
    made = body_of(expect_status(fhir.post("/Patient", body, prefer="return=representation"), 201))
    expect([each["family"] for each in made["name"]] == ["c", "a", "b"], "the order of a list changed")
    del body["resourceType"]
    refused(fhir.post("/Patient", body), 400)
    refused(fhir.post("/Patient", {**body, "resourceType": ["Patient"]}), 400)


@formats.check("F09", "json.html")
def refuses_properties_it_does_not_know(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            *(
                '"colour":"red"',
                '"Name":[{"family":"a"}]',
                '"name":[{"Family":"a"}]',
                '"names":[]',
                '"valueString":"a"',
            ),
            *('"name":[{"period":{"begin":"2020"}}]', '"deceased":true', '"_name":[{"id":"a"}]', '"":1', '"_":{}'),
        ),
    )


@formats.check("F10", "json.html")
def takes_utf_8_with_or_without_a_mark(fhir: Fhir) -> None:
    text = '"name":[{"family":"王小明 😀 \\ud83d\\ude00 \\u00e9"}]'
    body = b"\xef\xbb\xbf" + raw(fhir, "Patient", text)
    answer = again(fhir, fhir.post("/Patient", body, prefer="return=representation"))
    expect(not answer.body.startswith(b"\xef\xbb\xbf"), "the answer begins with a byte order mark")
    expect(body_of(answer)["name"][0]["family"] == "王小明 😀 😀 é", "characters were lost")
    for bad in (b"\xff", b"\xc3\x28", b"\xed\xa0\x80"):
        refused(
            fhir.post("/Patient", raw(fhir, "Patient", '"name":[{"family":"X"}]').replace(b'"X"', b'"%s"' % bad)), 400
        )
    refused(fhir.post("/Patient", raw(fhir, "Patient", "").decode().encode("utf-16")), 400)
    _all_refused(
        fhir, [f'"name":[{{"family":"a{each}"}}]' for each in ("\\ud800", "\\udc00", "\\u0000", "\\u0007", "\x01")]
    )
    made = body_of(expect_status(_sent(fhir, '"contact":[{"name":{"text":"a\\tb\\r\\nc"}}]'), 201))
    expect(made["contact"][0]["name"]["text"] == "a\tb\r\nc", "tab, return and line feed are not kept")


@formats.check("F11", "datatypes.html#string")
def bounds_depth_and_length(fhir: Fhir) -> None:
    deep = '"extension":[' + '{"url":"u:a","extension":[' * 3000 + "]}" * 3000 + "]"
    long = (f'"name":[{{"family":"{"a" * ((1 << 20) + 1)}"}}]', f'"multipleBirthInteger":{"9" * 5000}')
    for members in (deep, *long, '"contained":' + "[" * 5000 + "]" * 5000):
        refused(_sent(fhir, members), 400, 413, 422)
    for number in ("1" * 5000, "1E999999999", "1E-999999999"):
        refused(_observed(fhir, f'"valueQuantity":{{"value":{number}}}'), 400, 413, 422)
    expect_status(fhir.get("/metadata"), 200)


@formats.check("F13", "datatypes.html#primitive")
def refuses_blanks_around_codes_and_dates(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            *(
                '"gender":" male"',
                '"gender":"male "',
                '"birthDate":" 1980"',
                '"implicitRules":"a b"',
                '"language":"en "',
            ),
            *('"name":[{"family":"  "}]', '"name":[{"use":"of ficial  x"}]', '"photo":[{"url":" http://a"}]'),
        ),
    )
    made = fhir.make("Patient", name=[{"family": " a  b "}])
    expect(made["name"][0]["family"] == " a  b ", "blanks of a string are not kept")


@formats.check("F14", "datatypes.html#dateTime")
def gives_dates_back_as_precise_as_sent(fhir: Fhir) -> None:
    moments = "2020", "2020-02", "2020-02-29", "2020-02-29T23:59:59Z", "2020-02-29T10:00:00.10+05:30"
    for moment in (*moments, "2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00.123456789+14:00"):
        made = fhir.make("Observation", status="final", code={"text": "a"}, effectiveDateTime=moment)
        expect(made["effectiveDateTime"] == moment, f"{moment} comes back as {made['effectiveDateTime']}")
    bad = "2020-02-29T10:00:00", "2020-02-29T10:00Z", "2020-02-29T24:00:00Z", "2020-02-30", "2020-13", "20", "2020-1"
    for moment in (*bad, "2020-02-29T10:60:00Z", "2020-02-29 10:00:00Z", "2020-02-29T10:00:00+15:00", "2021-02-29"):
        refused(_observed(fhir, f'"effectiveDateTime":"{moment}"'), 400, 422)
    refused(_observed(fhir, '"issued":"2020-02-29"'), 400, 422)
    refused(_observed(fhir, '"valueTime":"24:00:00"'), 400, 422)


@formats.check("F15", "datatypes.html#base64Binary")
def reads_base64_uuids_and_oids(fhir: Fhir) -> None:
    for data in ("aGVsbG8=", "aGVs bG8=", "aGVs\nbG8="):
        expect_status(
            fhir.post("/Patient", fhir.draft("Patient", photo=[{"contentType": "text/plain", "data": data}])), 201
        )
    for data in ("aGVsbG8", "a", "!!!!"):
        refused(
            fhir.post("/Patient", fhir.draft("Patient", photo=[{"contentType": "text/plain", "data": data}])), 400, 422
        )
    fits = {"valueUuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "valueOid": "urn:oid:1.2.3.4.5"}
    uuids = "urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:1"
    for name, value in fits.items():
        fhir.make("Patient", extension=[{"url": "https://example.org/x", name: value}])
    for name, values in {"valueUuid": uuids, "valueOid": ("1.2.3", "urn:oid:1.02.3", "urn:oid:3.1")}.items():
        for value in values:
            members = json.dumps([{"url": "https://example.org/x", name: value}])
            refused(_sent(fhir, f'"extension":{members}'), 400, 422)


@formats.check("F16", "extensibility.html#ext-1")
def wants_one_value_of_a_choice_and_of_an_extension(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            '"deceasedBoolean":true,"deceasedDateTime":"2020"',
            '"deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}',
            '"extension":[{"valueString":"a"}]',
            '"extension":[{"url":"u:a"}]',
            '"extension":[{"url":"u:a","valueString":"a","valueCode":"b"}]',
            '"extension":[{"url":"u:a","valueString":"a","extension":[{"url":"b","valueCode":"c"}]}]',
        ),
    )
    fhir.make("Patient", extension=[{"url": "u:a", "extension": [{"url": "b", "valueCode": "c"}]}])


@formats.check("F17", "references.html#contained")
def checks_contained_resources(fhir: Fhir) -> None:
    def sent(*contained: Resource, reference: str = "#o") -> Response:
        members = {"contained": list(contained), "managingOrganization": {"reference": reference}}
        return fhir.post("/Patient", fhir.draft("Patient", **members), prefer="return=representation")

    organization: dict[str, Any] = {"resourceType": "Organization", "id": "o", "name": "a"}
    made = body_of(expect_status(sent(organization), 201))
    expect(made["contained"] == [organization], "a contained resource comes back changed")
    back = {"resourceType": "Provenance", "id": "p", "target": [{"reference": "#"}], "recorded": "2020-01-01T00:00:00Z"}
    back["agent"] = [{"who": {"display": "a"}}]
    expect_status(sent(organization, back), 201)
    for bad in (
        ({**organization, "contained": [{**organization, "id": "q"}]},),
        ({**organization, "meta": {"versionId": "1"}},),
        ({**organization, "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}},),
        ({**organization, "meta": {"security": [{"code": "R"}]}},),
        (organization, {**organization, "id": "unreferenced"}),
        (organization, organization),
        ({**organization, "id": "#o"},),
    ):
        refused(sent(*bad), 400, 422)
    refused(sent(organization, reference="#nowhere"), 400, 422)


@formats.check("F20", "narrative.html#rules")
def refuses_narrative_that_acts(fhir: Fhir) -> None:
    for inner in (
        *("<script>alert(1)</script>", '<p onclick="a()">a</p>', '<a href="javascript:a()">a</a>', "&nbsp;a"),
        *('<iframe src="a">a</iframe>', "<form><input/>a</form>", '<object data="a">a</object>', '<link href="a"/>a'),
        *('<base href="https://example.org"/>a', "<style>a{}</style>a", "<p>a", '<p style="background:url(a)">a</p>'),
        *('<a href="JaVaScRiPt:a()">a</a>', '<a href="&#106;avascript:a()">a</a>', '<img src="data:text/html,a"/>'),
    ):
        answer = fhir.post("/Patient", fhir.draft("Patient", text={"status": "generated", "div": _DIV.format(inner)}))
        if answer.status == 201:
            stored = fhir.read(fhir.client.path_of(answer.headers["location"]))["text"]["div"]
            expect(inner not in stored, f"{inner} is kept")
        else:
            refused(answer, 400, 422)
    for div in ("<div>a</div>", '<p xmlns="http://www.w3.org/1999/xhtml">a</p>', "a"):
        refused(fhir.post("/Patient", fhir.draft("Patient", text={"status": "generated", "div": div})), 400, 422)
    for inner in ("a<br/>b", '<img src="#a" alt="b"/>', '<a href="https://example.org">a</a>', "<b>a</b> &lt; &#233;"):
        fhir.make("Patient", text={"status": "generated", "div": _DIV.format(inner)})


@formats.check("F21", "narrative.html")
def gives_a_div_as_it_is(fhir: Fhir) -> None:
    div = _DIV.format("a &lt; b <b>ö</b>")
    made = fhir.make("Patient", text={"status": "generated", "div": div})
    expect(made["text"]["div"].startswith("<div") and made["text"]["div"].endswith("</div>"), "div is no div")
    for around in (f"<!-- a -->{div}", f"{div}a", f'<?xml version="1.0"?>{div}'):
        refused(fhir.post("/Patient", fhir.draft("Patient", text={"status": "generated", "div": around})), 400, 422)
