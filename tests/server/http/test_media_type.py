"""Media types are read as clients write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.media_type import parse_media_type, quoted
from server.kernel.problem import Problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("application/dicom", ("application/dicom", {})),
        (" Application/DICOM+json ; ", ("application/dicom+json", {})),
        (
            'multipart/related; type="application/dicom"; boundary=abc',
            ("multipart/related", {"type": "application/dicom", "boundary": "abc"}),
        ),
        (
            "multipart/related;Type=application/dicom;BOUNDARY = a:b=c ;",
            ("multipart/related", {"type": "application/dicom", "boundary": "a:b=c"}),
        ),
        (r'a/b; x="one;\"two\\"; ; y=', ("a/b", {"x": 'one;"two\\', "y": ""})),
        ("*/*; q=0.5", ("*/*", {"q": "0.5"})),
        ("a/b; x=1; X=2", ("a/b", {"x": "1"})),
        ('multipart/related; type="*/*"', ("multipart/related", {"type": "*/*"})),
    ],
)
def test_types_and_parameters(text: str, expected: tuple[str, dict[str, str]]) -> None:
    assert parse_media_type(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dicom", "a/b c", 'a/b; x="open', "a/b; =1", "a/b; x", "a/b/c", "a/b" + ";" * 5000]
)
def test_what_is_no_media_type_is_a_problem(text: str) -> None:
    with pytest.raises(Problem):
        parse_media_type(text)


@given(st.text(max_size=100))
def test_any_text_gives_a_type_or_a_problem(text: str) -> None:
    try:
        kind, _ = parse_media_type(text)
    except Problem:
        return
    assert "/" in kind


@given(st.text(max_size=50))
def test_a_quoted_value_reads_back(value: str) -> None:
    assert parse_media_type(f"a/b; x={quoted(value)}") == ("a/b", {"x": value})
