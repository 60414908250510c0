"""The Native DICOM Model both ways, and what hostile XML comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from server.dicom.native_xml import NAMESPACE, from_xml, to_xml
from server.kernel.problem import Kind, Problem
from tests.data.datasets import datasets

NS = {"n": NAMESPACE}
EXAMPLE: dict[str, Any] = {
    "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
    "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["<&>"]}}, {}]},
    "00091002": {"vr": "UN", "InlineBinary": "z0x9c8v7"},
    "00100010": {
        "vr": "PN",
        "Value": [{"Alphabetic": "Wang^XiaoDong^^Dr", "Ideographic": "王^小東"}],
    },
    "00180050": {"vr": "DS", "Value": [1.5]},
    "00200013": {"vr": "IS", "Value": [1]},
    "00280010": {"vr": "US", "Value": [512]},
    "00280011": {"vr": "US"},
    "7FE00010": {"vr": "OW", "BulkDataURI": "http://host/bulk/7FE00010"},
}


def document(body: str) -> bytes:
    return f'<NativeDicomModel xmlns="{NAMESPACE}">{body}</NativeDicomModel>'.encode()


def refusal(text: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        from_xml(text)
    return caught.value


def test_a_data_set_as_ps3_19_writes_it() -> None:
    root = etree.fromstring(to_xml(EXAMPLE))

    def one(path: str) -> etree._Element:
        (found,) = root.xpath(path, namespaces=NS)
        return found

    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
    assert one("n:DicomAttribute[@tag='00080005']").get("keyword") == "SpecificCharacterSet"
    empty = one("n:DicomAttribute[@tag='00080008']/n:Value[@number='2']")
    assert (empty.text, len(empty)) == (None, 0)
    assert one("n:DicomAttribute[@tag='00081032']/n:Item[@number='1']/n:DicomAttribute/n:Value").text == "<&>"
    assert len(one("n:DicomAttribute[@tag='00081032']/n:Item[@number='2']")) == 0
    name = one("n:DicomAttribute[@keyword='PatientName']/n:PersonName[@number='1']/n:Alphabetic")
    assert [(etree.QName(part).localname, part.text) for part in name] == [
        ("FamilyName", "Wang"),
        ("GivenName", "XiaoDong"),
        ("NamePrefix", "Dr"),
    ]
    assert one("n:DicomAttribute[@tag='7FE00010']/n:BulkData").get("uri") == "http://host/bulk/7FE00010"
    assert one("n:DicomAttribute[@tag='00091002']/n:InlineBinary").text == "z0x9c8v7"
    assert len(one("n:DicomAttribute[@tag='00280011']")) == 0


def test_private_attributes_name_their_creator_and_not_their_block() -> None:
    dataset = {
        "00091000": {"vr": "LO"},
        "00090011": {"vr": "LO", "Value": ["ME"]},
        "00091101": {"vr": "SH", "Value": ["x"]},
    }
    node = etree.fromstring(to_xml(dict(sorted(dataset.items())))).find("n:DicomAttribute[@privateCreator]", NS)

    assert node is not None
    assert (node.get("tag"), node.get("privateCreator"), node.get("keyword")) == ("00090001", "ME", None)


def test_private_attributes_find_a_block_of_their_creator() -> None:
    body = """
      <DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute>
      <DicomAttribute tag="00090001" vr="SH" privateCreator="ME"><Value number="1">x</Value></DicomAttribute>
      <DicomAttribute tag="00090002" vr="SH" privateCreator="OTHER"><Value number="1">y</Value></DicomAttribute>"""

    assert from_xml(document(body)) == {
        "00090010": {"vr": "LO", "Value": ["OTHER"]},
        "00090011": {"vr": "LO", "Value": ["ME"]},
        "00091002": {"vr": "SH", "Value": ["y"]},
        "00091101": {"vr": "SH", "Value": ["x"]},
    }


def test_the_example_comes_back() -> None:
    assert from_xml(to_xml(EXAMPLE)) == EXAMPLE


@given(datasets)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_data_set_comes_back(dataset: dict[str, Any]) -> None:
    assert from_xml(to_xml(dataset)) == dataset


def test_numbers_and_not_positions_order_values() -> None:
    body = """<DicomAttribute tag="00080008" vr="CS"><Value number="3">C</Value><Value number="1">A</Value>
              </DicomAttribute>"""

    assert from_xml(document(body))["00080008"]["Value"] == ["A", None, "C"]


def test_control_characters_that_xml_lacks_are_replaced() -> None:
    text = to_xml({"00104000": {"vr": "LT", "Value": ["a\x00b\x0bc\nd\ufffe"]}})

    assert from_xml(text)["00104000"]["Value"] == ["a\ufffdb\ufffdc\nd\ufffd"]


def test_a_namespace_is_not_insisted_on() -> None:
    text = b'<NativeDicomModel><DicomAttribute tag="0010002a" vr="LO"/></NativeDicomModel>'

    assert from_xml(text) == {"0010002A": {"vr": "LO"}}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<",
        b"<other/>",
        b"\xff\xfe\x00",
        document('<DicomAttribute tag="0010" vr="LO"/>'),
        document('<DicomAttribute vr="LO"/>'),
        document('<DicomAttribute tag="00100020"/>'),
        document('<DicomAttribute tag="00100020" vr="XX"/>'),
        document('<DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="00100020" vr="LO"/>'),
        document('<DicomAttribute tag="00280010" vr="US"><Value number="1">x</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00280010" vr="FD"><Value number="1">1,5</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00280010" vr="US"><Value number="0">1</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00280010" vr="US"><Value number="x">1</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00280010" vr="US"><Value number="99999999">1</Value></DicomAttribute>'),
        document('<DicomAttribute tag="0040A730" vr="SQ"><Item number="1"><DicomAttribute/></Item></DicomAttribute>'),
        document("".join(f'<DicomAttribute tag="000900{n:02X}" vr="LO"/>' for n in range(16, 256))
                 + '<DicomAttribute tag="00090001" vr="LO" privateCreator="ME"/>'),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(text: bytes) -> None:
    assert refusal(text).kind == Kind.INVALID


def test_document_types_and_entities_are_refused() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'.encode() + document("&l11;")
    outside = b'<!DOCTYPE x SYSTEM "file:///etc/hostname">' + document("")
    leak = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>' + document("&f;")

    for text in (bomb, outside, leak):
        assert refusal(text).kind == Kind.INVALID


def test_depth_is_bounded() -> None:
    nested = document('<DicomAttribute tag="0040A730" vr="SQ"><Item number="1">' * 70 + "</Item></DicomAttribute>" * 70)
    deepest = document(
        '<DicomAttribute tag="0040A730" vr="SQ"><Item number="1">' * 100_000 + "</Item></DicomAttribute>" * 100_000
    )

    assert "deep" in refusal(nested).text
    assert refusal(deepest).kind == Kind.INVALID


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(body: str) -> None:
    for text in (body.encode("utf-8", "surrogatepass"), document(body)):
        try:
            from_xml(text)
        except Problem as problem:
            assert problem.kind in (Kind.INVALID, Kind.TOO_LARGE)  # noqa: PT017 - any other exception is the failure
