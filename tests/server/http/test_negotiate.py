"""Accept: what real clients send, what the standard says, and that no text is ever more than an unreadable range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.negotiate import MediaRange, Offer, choose, parse_accept, require
from server.kernel.problem import Kind, Problem

JSON = Offer("application/dicom+json")
XML = Offer("application/dicom+xml", multipart=True)
EXPLICIT, J2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90"
FILE = Offer("application/dicom", multipart=True, transfer_syntax=EXPLICIT)
FILE_J2K = Offer("application/dicom", multipart=True, transfer_syntax=J2K, default=False)
ALONE = Offer("application/dicom", transfer_syntax=EXPLICIT)


def header(text: str, *offers: Offer) -> Offer | None:
    return choose(("", text), offers)


def test_no_accept_at_all_takes_anything() -> None:
    assert header("", JSON, XML) is JSON


@pytest.mark.parametrize("text", ["*/*", "application/*", "*", "text/html, */*;q=0.8", "application/dicom+json"])
def test_a_wildcard_gives_the_first_offer(text: str) -> None:
    assert header(text, JSON, XML) is JSON


@pytest.mark.parametrize(
    "text",
    [
        'multipart/related; type="application/dicom+xml"',
        "multipart/related; type=application/dicom+xml",
        "Multipart/Related;Type=Application/DICOM+XML",
        'multipart/related; type="application/dicom+xml"; boundary=x; other=1',
        'multipart/related; charset=utf-8; type="application/dicom+xml"',
        "multipart/related",
        'multipart/related; type="*/*"',
        'multipart/related; type="application/*"',
        'multipart/related; type="application/"',
        "multipart/*",
    ],
)
def test_multipart_is_read_however_it_is_written(text: str) -> None:
    assert header(text, JSON, XML) is XML


@pytest.mark.parametrize(
    "text", ["image/png", "application/dicom+xml", 'multipart/related; type="image/png"', "text/*"]
)
def test_what_is_not_offered_is_not_acceptable(text: str) -> None:
    assert header(text, JSON, XML) is None
    with pytest.raises(Problem) as caught:
        require(("", text), (JSON, XML))
    assert caught.value.kind is Kind.NOT_ACCEPTABLE
    assert "application/dicom+json" in caught.value.text


def test_the_highest_weight_wins_and_of_equals_the_earlier_offer() -> None:
    xml = 'multipart/related; type="application/dicom+xml"'
    assert header(f"application/dicom+json;q=0.5, {xml};q=0.6", JSON, XML) is XML
    assert header(f"{xml}, application/dicom+json", JSON, XML) is JSON
    assert header("application/dicom+json;q=0, */*;q=.1", JSON, XML) is XML


def test_a_specific_range_overrules_a_general_one_whatever_its_weight() -> None:
    assert header("application/dicom+json;q=0.1, */*;q=0.9", JSON, XML) is XML
    assert header("*/*;q=0.9, application/*;q=0.1", JSON, XML) is XML


@pytest.mark.parametrize("weight", ["2", "-1", "x", "", "nan", "1e9", "0x1", "."])
def test_a_range_with_an_unreadable_weight_is_passed_over(weight: str) -> None:
    assert header(f"application/dicom+json;q={weight}, multipart/related;q=0.1", JSON, XML) is XML


@pytest.mark.parametrize("junk", ["///", "a b c", "=", '"', ";q=1", "application/dicom+json; =; x", "\x00/\x01", "é/ü"])
def test_unreadable_ranges_do_not_hide_readable_ones(junk: str) -> None:
    assert header(f"{junk}, application/dicom+json", JSON, XML) is JSON


def test_a_comma_inside_quotes_does_not_end_a_range() -> None:
    found = parse_accept('multipart/related; type="a/b"; x="1,2", text/html')
    assert {each.media_type for each in found} == {"a/b", "text/html"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('multipart/related; type="application/dicom"', FILE),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', FILE_J2K),
        (f'multipart/related; type="application/dicom"; transfer-syntax="{J2K}"', FILE_J2K),
        (f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}', FILE),
        (f'multipart/related; type="application/dicom"; transfer-syntax={J2K};q=0.2, */*;q=0.1', FILE_J2K),
        (f"application/dicom; transfer-syntax={EXPLICIT}", ALONE),
        ("application/dicom; transfer-syntax=*", ALONE),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.3', None),
    ],
)
def test_a_transfer_syntax_selects_and_its_absence_means_the_default(text: str, expected: Offer | None) -> None:
    assert header(text, FILE_J2K, FILE, ALONE) is expected


def test_weights_tell_transfer_syntaxes_apart() -> None:
    text = ", ".join(
        f'multipart/related; type="application/dicom"; transfer-syntax={uid};q={weight}'
        for uid, weight in (("*", "0.5"), (EXPLICIT, "0.9"))
    )
    assert header(text, FILE_J2K, FILE) is FILE


def test_the_query_parameter_comes_before_the_header() -> None:
    assert choose(('multipart/related; type="application/dicom+xml"', "application/dicom+json"), (JSON, XML)) is XML
    assert choose(("image/png", "application/dicom+json"), (JSON, XML)) is JSON
    assert choose(("image/png", ""), (JSON, XML)) is None


def test_a_plus_that_arrived_as_a_space_is_put_back() -> None:
    assert choose(("application/dicom json", "text/html"), (JSON, XML)) is JSON
    assert choose(("multipart/related; type=application/dicom xml", ""), (JSON, XML)) is XML


def test_a_name_of_a_former_edition_selects_the_offer() -> None:
    jls = Offer("image/jls", multipart=True, transfer_syntax="1.2.840.10008.1.2.4.80", aliases=("image/x-jls",))
    assert header('multipart/related; type="image/x-jls"', jls) is jls


def test_octets_in_any_transfer_syntax_may_be_a_codestream() -> None:
    coded = Offer("image/jp2", True, J2K, default=False, by_syntax=("application/octet-stream",))
    plain = Offer("application/octet-stream", True, EXPLICIT)
    octets = "multipart/related; type=application/octet-stream"
    assert header(f"{octets}; transfer-syntax=*", coded, plain) is coded
    assert header(octets, coded, plain) is plain


def test_what_is_read_is_bounded() -> None:
    assert len(parse_accept("text/html," * 10_000)) <= 64
    assert parse_accept("x" * 100_000 + "/y") == ()


@given(st.text(max_size=300) | st.text(alphabet='*/;,="q.01 multiparelcdogs-x\\+', max_size=200))
def test_any_text_is_read_or_passed_over(text: str) -> None:
    for each in parse_accept(text):
        assert isinstance(each, MediaRange)
        assert 0 <= each.weight <= 1
    choose((text, text), (JSON, XML, FILE, ALONE))
