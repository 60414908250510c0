"""The XML form says what the JSON form says, and refuses what FHIR's XML does not allow."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir import json_form
from server.fhir.xml_form import decode, encode
from server.kernel.problem import Kind, Problem
from tests.data.r4_examples import r4_examples
from tests.data.r4_schema import faults, r4_schema

HEAD = '<Patient xmlns="http://hl7.org/fhir">'
BREAKS_THE_SCHEMA = {"Questionnaire-qs1.json"}
"""Lacks a required element, as the README beside the examples says."""


def patient(inner: str) -> bytes:
    return f"{HEAD}{inner}</Patient>".encode()


def refusal(text: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(text)
    assert caught.value.kind is Kind.INVALID
    return caught.value


def test_elements_become_members_of_their_types() -> None:
    text = b"""<?xml version="1.0" encoding="UTF-8"?>
    <Observation xmlns="http://hl7.org/fhir">
      <id value="o1"/>
      <!-- passed over --><?so is=this?>
      <status value="final"/>
      <code><coding><code value="8867-4"/><userSelected value="true"/></coding></code>
      <valueQuantity><value value="1.10"/></valueQuantity>
      <component><code><text value="a"/></code><valueInteger value="-3"/></component>
    </Observation>"""
    assert decode(text) == {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"code": "8867-4", "userSelected": True}]},
        "valueQuantity": {"value": Decimal("1.10")},
        "component": [{"code": {"text": "a"}, "valueInteger": -3}],
    }
    assert str(decode(text)["valueQuantity"]["value"]) == "1.10"


def test_primitives_carry_ids_and_extensions() -> None:
    resource = {
        "resourceType": "Patient",
        "name": [
            {
                "given": ["Ada", None, "May"],
                "_given": [None, {"extension": [{"url": "http://x.test/a", "valueCode": "unknown"}]}, {"id": "g3"}],
                "_family": {"id": "f"},
            }
        ],
        "birthDate": "1980-05",
        "_birthDate": {"extension": [{"url": "http://x.test/b", "valueBoolean": False}]},
    }
    document = encode(resource)
    assert b'<given value="Ada"/><given><extension url="http://x.test/a">' in document
    assert b'<given value="May" id="g3"/>' in document
    assert decode(document) == resource


def test_a_list_of_primitives_without_values_is_left_out() -> None:
    extra = '<given><extension url="http://x.test/a"><valueCode value="masked"/></extension></given>'
    name = decode(patient(f"<name>{extra}</name>"))["name"][0]
    assert name == {"_given": [{"extension": [{"url": "http://x.test/a", "valueCode": "masked"}]}]}


def test_contained_and_bundled_resources_nest() -> None:
    resource = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Patient", "contained": [{"resourceType": "Basic", "id": "b"}]}}],
    }
    assert decode(encode(resource)) == resource


def test_elements_are_written_in_the_order_of_the_definition() -> None:
    document = encode({"resourceType": "Patient", "gender": "female", "active": True, "id": "p"})
    order = [document.index(each) for each in (b"<id", b"<active", b"<gender")]
    assert order == sorted(order)


def test_pretty_text_says_the_same_and_leaves_narratives_alone() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>a <b>b</b></p></div>'
    resource = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": div},
        "contained": [{"resourceType": "Basic", "id": "b"}],
        "name": [{"given": ["Ada"]}],
    }
    document = encode(resource, is_pretty=True)
    assert b"\n    <Basic>\n      <id" in document
    assert div.encode() in document
    assert decode(document) == resource


def test_white_space_in_strings_survives() -> None:
    resource = {"resourceType": "Patient", "name": [{"text": ' a\n\tb\r <&> "é" \U0001f9d1 '}]}
    assert decode(encode(resource)) == resource


def test_outer_blanks_of_other_types_are_trimmed() -> None:
    assert decode(patient('<active value=" true "/><birthDate value=" 1980 "/>')) == {
        "resourceType": "Patient",
        "active": True,
        "birthDate": "1980",
    }


def test_characters_xml_cannot_carry_do_not_break_a_document() -> None:
    document = encode({"resourceType": "Patient", "name": [{"text": "a\x01b\ud800\uffff"}]})
    assert decode(document)["name"][0]["text"] == "a\ufffdb\ufffd\ufffd"


def test_any_prefix_will_do() -> None:
    text = (
        '<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text>'
        '<f:status value="generated"/><h:div title="x">a<h:br/>b</h:div></f:text></f:Patient>'
    )
    div = '<div xmlns="http://www.w3.org/1999/xhtml" title="x">a<br/>b</div>'
    assert decode(text.encode())["text"]["div"] == div


@pytest.mark.parametrize(
    "div",
    [
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">a &gt; &#160; &quot;b&quot; <br /> <div title='/>'>in</div></div>",
        '<div xmlns="http://www.w3.org/1999/xhtml" ><!-- <div> --><![CDATA[</div>]]>x</div>',
        '<div xmlns="http://www.w3.org/1999/xhtml"/>',
    ],
)
def test_a_narrative_keeps_its_characters(div: str) -> None:
    text = f'<text><status value="generated"/>{div}</text>'
    resource = decode(patient(f"<contained><Patient>{text}</Patient></contained>"))
    assert resource["contained"][0]["text"]["div"] == div
    assert decode(encode(resource)) == resource


def test_a_narrative_that_is_no_xhtml_is_not_written() -> None:
    for div in ("<div>a</div>", "<div", "<!DOCTYPE div><div/>"):
        document = encode({"resourceType": "Patient", "text": {"status": "generated", "div": div}})
        assert b"div" not in document


def test_inline_data_beyond_the_parsers_limit_is_read() -> None:
    data = "QUJD" * 4_000_000
    resource = {"resourceType": "Binary", "contentType": "text/plain", "data": data}
    assert decode(encode(resource)) == resource


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (b"", "structure", None),
        (b"<Patient", "structure", None),
        (b"\xff\xfe<\x00", "structure", None),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><Patient/>', "structure", None),
        (b"<Patient/>", "structure", "Patient"),
        (b'<Patient xmlns="http://x.test"/>', "structure", "Patient"),
        (b'<Nothing xmlns="http://hl7.org/fhir"/>', "structure", "Nothing"),
        (patient('<colour value="red"/>'), "structure", "Patient.colour"),
        (patient("<name><given value='a'/><given value='b' x='y'/></name>"), "structure", "Patient.name[0].given[1]"),
        (patient('<gender value="male"/><active value="true"/>'), "structure", "Patient.active"),
        (patient('<active value="true"/><active value="true"/>'), "structure", "Patient.active"),
        (patient('<deceasedBoolean value="true"/><deceasedDateTime value="2020"/>'), "structure", "Patient.deceased"),
        (patient('<active value="yes"/>'), "value", "Patient.active"),
        (patient('<multipleBirthInteger value="1.0"/>'), "value", "Patient.multipleBirth"),
        (patient('<birthDate value=""/>'), "value", "Patient.birthDate"),
        (patient("<name/>"), "invariant", "Patient.name[0]"),
        (patient("<active/>"), "invariant", "Patient.active"),
        (patient("text"), "structure", "Patient"),
        (patient('<active value="true"/>text'), "structure", "Patient.active"),
        (patient('<active value="true">text</active>'), "structure", "Patient.active"),
        (patient("<contained/>"), "structure", "Patient.contained[0]"),
        (patient('<contained><Basic><id value="b"/></Basic><Basic/></contained>'), "structure", "Patient.contained[0]"),
        (patient("<contained><Basic><colour/></Basic></contained>"), "structure", "Patient.contained[0].colour"),
        (patient("<text><div>a</div></text>"), "structure", "Patient.text.div"),
        (
            b'<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            b' xsi:schemaLocation="a b"><active value="true"/></Patient>',
            "structure",
            "Patient",
        ),
    ],
)  # fmt: skip
def test_what_is_not_fhir_xml_is_refused_at_its_place(text: bytes, code: str, place: str | None) -> None:
    (issue,) = refusal(text).issues
    assert (issue.code, issue.location) == (code, place)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE Patient [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE Patient [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<?xml version="1.0"?><!-- a --> <!DOCTYPE Patient SYSTEM "http://127.0.0.1/x.dtd">',
    ],
)
def test_a_document_type_declaration_is_refused_unread(declaration: str) -> None:
    text = declaration.encode() + patient('<name><text value="&x;"/></name>')
    assert "document type declaration" in refusal(text).text


def test_depth_is_bounded() -> None:
    deep = '<extension url="http://x.test/a">'
    assert "deeply" in refusal(patient(deep * 60 + "</extension>" * 60)).text
    assert refusal(patient(deep * 100_000))


def test_what_was_read_from_xml_can_be_read_from_json() -> None:
    deep = '<extension url="http://x.test/a">'
    for levels in range(20, 40):
        text = patient(deep * levels + '<valueCode value="a"/>' + "</extension>" * levels)
        try:
            resource = decode(text)
        except Problem:
            continue
        assert json_form.decode(json_form.encode(resource)) == resource


XML_PIECES = st.lists(
    st.sampled_from(
        [
            HEAD, "</Patient>", "<name>", "</name>", '<given value="', '"/>', "<extension url='u'>", "</extension>",
            "<text>", '<div xmlns="http://www.w3.org/1999/xhtml">', "</div>", "<div/>", "</text>", "<!--", "-->",
            "<![CDATA[", "]]>", "&#0;", "&lt;", "<?xml version='1.0'?>", "<!DOCTYPE a>", "é", "\x00", "<contained>",
        ]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), XML_PIECES.map(str.encode), XML_PIECES.map(lambda each: patient(each))))
def test_whatever_comes_is_read_or_refused(text: bytes) -> None:
    try:
        resource = decode(text)
    except Problem:
        return
    assert decode(encode(resource)) == resource


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3)


@given(TEXT, DECIMALS, st.booleans(), st.integers(-(2**31), 2**31 - 1))
def test_values_survive_both_forms(text: str, number: Decimal, truth: bool, whole: int) -> None:
    extensions: list[dict[str, Any]] = [
        {"url": "http://x.test/e", "valueString": text},
        {"url": "http://x.test/e", "valueDecimal": number},
        {"url": "http://x.test/e", "valueBoolean": truth},
        {"url": "http://x.test/e", "valueInteger": whole},
    ]
    resource = {"resourceType": "Basic", "extension": extensions}
    again = decode(encode(resource))
    assert again == resource
    assert json_form.encode(again) == json_form.encode(resource)


def test_official_examples_are_the_same_in_both_forms_and_fit_the_schema(shared: Path) -> None:
    schema = r4_schema(shared)
    for name, text in r4_examples(shared):
        resource = json_form.decode(text)
        document = encode(resource)
        assert name in BREAKS_THE_SCHEMA or not faults(schema, document), name
        assert decode(document) == resource, name
        assert sorted(json_form.encode(decode(document))) == sorted(json_form.encode(resource)), name
