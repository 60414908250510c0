"""XML: namespaces, order, attributes, entities, and the same content as JSON (xml.html)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from conformance.kit.client import Response
from conformance.kit.fhir.formats import again
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import JSON, XML, Fhir, Resource, body_of, expect_status, refused
from conformance.kit.verdict import expect

formats_xml = Section()

_FHIR = "http://hl7.org/fhir"
_XHTML = "http://www.w3.org/1999/xhtml"
_TAG = '<meta><tag><system value="https://example.org/conformance-run"/><code value="{}"/></tag></meta>'


def _patient(fhir: Fhir, inner: str) -> bytes:
    return f'<Patient xmlns="{_FHIR}">{_TAG.format(fhir.token)}{inner}</Patient>'.encode()


def _sent(fhir: Fhir, body: bytes) -> Response:
    return fhir.post("/Patient", body, XML, prefer="return=representation")


def _all_refused(fhir: Fhir, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        answer = _sent(fhir, body)
        expect(answer.status in (400, 422), f"{body[:160].decode()} gave {answer.status}")
        refused(answer, 400, 422)


def _tree(answer: Response) -> ElementTree.Element:
    """An answer as a tree; it must hold no document type, so no entity can be in it."""
    expect(b"<!" not in answer.body.replace(b"<!--", b""), "the answer has a document type")
    return ElementTree.fromstring(answer.body)  # noqa: S314 - no document type, so nothing to expand


@formats_xml.check("F30", "xml.html")
def wants_the_namespace_of_fhir(fhir: Fhir) -> None:
    prefixed = f'<f:Patient xmlns:f="{_FHIR}"><f:active value="true"/></f:Patient>'.encode()
    made = body_of(expect_status(_sent(fhir, prefixed), 201))
    expect(made["active"] is True, "a prefix of the namespace is not understood")
    root = _tree(again(fhir, _sent(fhir, _patient(fhir, '<active value="true"/>')), XML))
    expect(root.tag == f"{{{_FHIR}}}Patient", f"the root is {root.tag}")
    _all_refused(
        fhir,
        (
            b'<Patient><active value="true"/></Patient>',
            b'<Patient xmlns="urn:hl7-org:v3"><active value="true"/></Patient>',
            b'<Patient xmlns="http://hl7.org/fhir/"/>',
            _patient(fhir, '<active xmlns="" value="true"/>'),
            _patient(fhir, '<x:active xmlns:x="urn:x" value="true"/>'),
            f'<html xmlns="{_XHTML}"/>'.encode(),
            f'<Nothing xmlns="{_FHIR}"/>'.encode(),
        ),
    )


@formats_xml.check("F31", "xml.html")
def reads_no_document_type(fhir: Fhir) -> None:
    external = '<!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    nested = '<!DOCTYPE Patient [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">]>'
    remote = '<!DOCTYPE Patient SYSTEM "http://127.0.0.1:9/x.dtd">'
    body = _patient(fhir, '<name><family value="&x;"/></name>').decode()
    plain = _patient(fhir, "").decode()
    _all_refused(fhir, [f"{head}{body}".encode() for head in (external, nested)])
    _all_refused(fhir, [f"{head}{plain}".encode() for head in (external, nested, remote, "<!DOCTYPE Patient>")])
    refused(fhir.post("", f"{nested}<Bundle xmlns='{_FHIR}'><type value='batch'/></Bundle>".encode(), XML), 400, 422)
    refused(fhir.put(f"/Patient/{fhir.unique()}", f"{external}{body}".encode(), XML), 400, 422)
    _all_refused(
        fhir, [_patient(fhir, f'<text><status value="generated"/>{external}<div xmlns="{_XHTML}">a</div></text>')]
    )


@formats_xml.check("F32", "xml.html")
def keeps_the_order_of_the_definition(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            _patient(fhir, '<gender value="male"/><active value="true"/>'),
            _patient(fhir, '<name><given value="a"/><family value="b"/></name>'),
            _patient(fhir, '<active value="true"/><active value="true"/>'),
        ),
    )
    answer = fhir.post(
        "/Patient", {"gender": "male", "birthDate": "1980", "active": True, **fhir.draft("Patient")}, accept=JSON
    )
    names = [each.tag.rpartition("}")[2] for each in _tree(again(fhir, answer, XML))]
    expect(names == ["id", "meta", "active", "gender", "birthDate"], f"the elements are {names}")


@formats_xml.check("F33", "xml.html")
def takes_only_the_attributes_of_fhir(fhir: Fhir) -> None:
    _all_refused(
        fhir,
        (
            *(
                _patient(fhir, f"<active {each}/>")
                for each in ('value="true" other="a"', 'value=""', "", 'Value="true"')
            ),
            _patient(fhir, '<active value="true">text</active>'),
            _patient(fhir, '<name value="a"><family value="b"/></name>'),
            _patient(fhir, 'text<active value="true"/>'),
            _patient(fhir, "<name/>"),
            _patient(fhir, '<name id=""><family value="b"/></name>'),
            _patient(fhir, '<colour value="red"/>'),
        ),
    )
    located = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir a.xsd">'
    refused(_sent(fhir, _patient(fhir, "").replace(b">", located.encode(), 1)), 400, 422)
    inner = '<!-- a --><?pi a?><extension url="u:a" id="i"><valueCode id="j" value="b"/></extension><!-- b -->'
    made = body_of(expect_status(_sent(fhir, _patient(fhir, inner)), 201))
    expected = [{"id": "i", "url": "u:a", "valueCode": "b", "_valueCode": {"id": "j"}}]
    expect(made["extension"] == expected, f"extension is {made['extension']}")


@formats_xml.check("F34", "xml.html")
def trims_codes_and_keeps_strings(fhir: Fhir) -> None:
    inner = '<name><text value="a&#10;b&#9;c"/></name><gender value=" male "/><birthDate value="1980 "/>'
    answer = _sent(fhir, _patient(fhir, inner))
    if answer.status != 201:
        refused(answer, 400, 422)
        answer = _sent(fhir, _patient(fhir, inner.replace('" male "', '"male"').replace("1980 ", "1980")))
    made = body_of(expect_status(answer, 201))
    expect((made["gender"], made["birthDate"]) == ("male", "1980"), "codes and dates are not trimmed")
    expect(made["name"][0]["text"] == "a\nb\tc", f"the string is {made['name'][0]['text']!r}")
    text = _tree(again(fhir, answer, XML)).find(f".//{{{_FHIR}}}text")
    expect(text is not None and text.get("value") == "a\nb\tc", "a line feed in a string does not survive XML")


@formats_xml.check("F35", "xml.html")
def says_the_same_in_xml_as_in_json(fhir: Fhir) -> None:
    for sent in _varied(fhir):
        kind = str(sent["resourceType"])
        made = fhir.created(sent)
        as_xml = expect_status(fhir.get(f"/{kind}/{made['id']}", accept=XML), 200)
        back = fhir.post(f"/{kind}", as_xml.body, XML, prefer="return=representation")
        got = body_of(expect_status(back, 201))
        expect(
            {**got, "id": "", "meta": ""} == {**made, "id": "", "meta": ""}, f"{kind} is changed by a way through XML"
        )


def _varied(fhir: Fhir) -> list[Resource]:
    """Resources with what the two forms write differently: choices, contained ones, null places, narrative, nesting."""
    extension = {"extension": [{"url": "https://example.org/x", "valueCode": "a"}]}
    div = f'<div xmlns="{_XHTML}" lang="de">a &lt; b &amp; <b class="x">ö</b><br/></div>'
    item = {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueBoolean": False}, {"valueDecimal": 1}]}]}
    return [
        fhir.draft(
            "Patient",
            language="de",
            text={"id": "t", "status": "generated", "div": div},
            extension=[{"url": "u:a", "extension": [{"url": "b", "valuePeriod": {"start": "2020"}}]}],
            name=[{"given": ["a", None, "c"], "_given": [None, extension, {"id": "x"}]}, {"text": " x\n\t<&>\"' "}],
            birthDate="1980",
            _birthDate={"id": "b", **extension},
            deceasedDateTime="2020-01-01T00:00:00.120+01:00",
            contact=[{"name": {"family": "Kin"}, "gender": "male"}, {"telecom": [{"system": "phone", "value": "1"}]}],
        ),
        fhir.draft(
            "Observation",
            status="final",
            contained=[{"resourceType": "Patient", "id": "p", "text": {"status": "generated", "div": div}}],
            code={"text": "a"},
            subject={"reference": "#p"},
            component=[{"code": {"text": "b"}, "valueQuantity": {"value": -0.5}}, {"code": {"text": "c"}}],
        ),
        fhir.draft("QuestionnaireResponse", status="completed", item=[item]),
        fhir.draft(
            "Parameters", parameter=[{"name": "a", "resource": {"resourceType": "Basic", "code": {"text": "a"}}}]
        )
        if "Parameters" in {each["type"] for each in fhir.capabilities["rest"][0]["resource"]}
        else fhir.draft("Basic", code={"text": "a"}),
        fhir.draft("Binary", contentType="text/plain", data="aGVsbG8="),
    ]
