"""The form of an answer follows `_format`, then Accept, as RFC 9110 weighs it."""

from __future__ import annotations

import pytest

from server.fhir.subset import Subset, Summary
from server.fhir_rest.formats import Format, Presentation, for_problem, presentation
from server.kernel.problem import Kind, Problem
from tests.server.fhir_rest.calls import call

JSON, XML = Presentation(Format.JSON), Presentation(Format.XML)
PAGE = Presentation(is_pretty=True, is_page=True)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/fhir+json", JSON),
        ("application/json", JSON),
        ("text/json", JSON),
        ("application/json+fhir", JSON),
        ("application/fhir+xml", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("application/xml+fhir", XML),
        ("application/fhir+xml; fhirVersion=4.0", XML),
        ("application/fhir+json;fhirVersion=3.0, application/fhir+xml;fhirVersion=4.0", XML),
        ("application/fhir+json;q=0.5, application/fhir+xml", XML),
        ("application/fhir+json;q=0, */*", XML),
        ("text/plain, */*;q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE),
    ],
)
def test_accept_chooses(accept: str | None, expected: Presentation) -> None:
    assert presentation(call(headers={"Accept": accept} if accept else {})) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_format=json", JSON),
        ("_format=xml", XML),
        ("_format=application/fhir%2Bxml", XML),
        ("_format=application/fhir+xml", XML),
        ("_format=application/xml", XML),
        ("_format=text/xml", XML),
        ("_format=html", PAGE),
        ("_format=xml&_pretty=true", Presentation(Format.XML, is_pretty=True)),
        ("_format=", XML),
        ("name=x", XML),
        ("_format=json&_summary=text", Presentation(subset=Subset(Summary.TEXT))),
    ],
)
def test_format_comes_before_accept(query: str, expected: Presentation) -> None:
    assert presentation(call(query=query, headers={"Accept": "application/fhir+xml"})) == expected


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "application/pdf", Kind.NOT_ACCEPTABLE),
        ("", "application/fhir+json; fhirVersion=5.0", Kind.NOT_ACCEPTABLE),
        ("_format=turtle", "*/*", Kind.NOT_ACCEPTABLE),
        ("_format=application/pdf", "*/*", Kind.NOT_ACCEPTABLE),
        ("_format=application/fhir%2Bjson;fhirVersion=3.0", "*/*", Kind.NOT_ACCEPTABLE),
        ("_pretty=maybe", "*/*", Kind.INVALID),
        ("_summary=maybe", "*/*", Kind.INVALID),
    ],
)
def test_what_cannot_be_given_is_refused(query: str, accept: str, kind: Kind) -> None:
    with pytest.raises(Problem) as caught:
        presentation(call(query=query, headers={"Accept": accept}))
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        ("_format=xml&_summary=text", "*/*", XML),
        ("_format=pdf", "application/fhir+xml", XML),
        ("_pretty=maybe", "application/fhir+xml", XML),
        ("", "application/pdf", JSON),
    ],
)
def test_a_refusal_has_the_form_that_comes_nearest(query: str, accept: str, expected: Presentation) -> None:
    assert for_problem(call(query=query, headers={"Accept": accept})) == expected


def test_a_long_accept_is_read_too() -> None:
    many = "application/pdf;level=" + "1" * 20 + ", "
    assert presentation(call(headers={"Accept": many * 40 + "application/fhir+xml"})) == XML
