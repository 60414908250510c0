"""Bodies are bounded before they are read and decoded by what they say they are."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from server.fhir_rest.bodies import Bodies
from server.fhir_rest.prefer import Preferences, Return, preferences
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from tests.server.fhir_rest.calls import call

BODIES = Bodies(Offload(io_threads=1, cpu_threads=1), 1000)
JSON = b'{"resourceType":"Patient"}'
XML = b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'


def sent(content_type: str | None, *body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["Content-Type"] = content_type
    return asyncio.run(BODIES.resource(call("POST", headers=named, body=body or (b"",))))


def refused(content_type: str | None, *body: bytes, **headers: str) -> Kind:
    with pytest.raises(Problem) as caught:
        sent(content_type, *body, **headers)
    return caught.value.kind


@pytest.mark.parametrize("name", ["application/fhir+json", "application/json;charset=UTF-8", "text/json"])
def test_json_by_any_name(name: str) -> None:
    assert sent(name, JSON[:5], JSON[5:]) == {"resourceType": "Patient"}


@pytest.mark.parametrize("name", ["application/fhir+xml; fhirVersion=4.0", "text/xml", "application/xml"])
def test_xml_by_any_name(name: str) -> None:
    assert sent(name, XML) == {"resourceType": "Patient", "active": True}


def test_packed_bodies_are_unpacked() -> None:
    assert sent("application/fhir+json", gzip.compress(JSON), Content_Encoding="gzip") == {"resourceType": "Patient"}
    assert refused("application/fhir+json", JSON, Content_Encoding="br") is Kind.UNSUPPORTED_MEDIA


@pytest.mark.parametrize(
    "content_type",
    [None, "", "none", "text/plain", "application/fhir+json; charset=latin1", "application/fhir+json;fhirVersion=5.0"],
)
def test_another_type_is_refused(content_type: str | None) -> None:
    assert refused(content_type, JSON) is Kind.UNSUPPORTED_MEDIA


def test_a_body_over_the_limit_is_refused_unread() -> None:
    assert refused("application/fhir+json", Content_Length="1001") is Kind.TOO_LARGE
    assert refused("application/fhir+json", b" " * 600, b" " * 600) is Kind.TOO_LARGE
    assert refused("application/fhir+json", gzip.compress(b" " * 1001), Content_Encoding="gzip") is Kind.TOO_LARGE


def test_an_empty_body_is_no_resource() -> None:
    assert refused("application/fhir+json") is Kind.INVALID
    assert refused("application/fhir+xml") is Kind.INVALID
    assert asyncio.run(BODIES.optional(call("POST"))) is None


def test_a_form_is_read_and_nothing_else() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    posted = call("POST", headers=form, body=[b"name=M%C3%BCller+a&name=&b=1%7C2"])
    assert asyncio.run(BODIES.form(posted)) == [("name", "Müller a"), ("name", ""), ("b", "1|2")]
    assert asyncio.run(BODIES.form(call("POST"))) == []
    for headers, body, kind in (
        ({"Content-Type": "application/json"}, b"{}", Kind.UNSUPPORTED_MEDIA),
        (form, b"a=%ff", Kind.INVALID),
        (form, b"\xff", Kind.INVALID),
    ):
        with pytest.raises(Problem) as caught:
            asyncio.run(BODIES.form(call("POST", headers=headers, body=[body])))
        assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Preferences()),
        ("return=minimal", Preferences(Return.MINIMAL)),
        ('return="representation"; handling=strict', Preferences(Return.REPRESENTATION, is_strict=True)),
        ("respond-async, RETURN=operationoutcome", Preferences(Return.OUTCOME, is_async=True)),
        ("handling=lenient, handling=strict, return=nothing, wait=100", Preferences(is_lenient=True)),
    ],
)
def test_preferences(header: str | None, expected: Preferences) -> None:
    assert preferences(call(headers={"Prefer": header} if header else {})) == expected
