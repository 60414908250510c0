"""What RAD-69 requests are understood, and which are refused as nobody could answer them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from server.ihe.imaging_request import MOST_IMAGES, MOST_STUDIES, ImageRequest, read_request
from server.kernel.problem import Problem
from tests.contract.manifest_world import EXPLICIT_LITTLE, request_body

ONE = ImageRequest("1.2", "1.2.3", "1.2.3.4", "9.9")


def refused(body: bytes) -> str:
    with pytest.raises(Problem) as problem:
        read_request(etree.fromstring(body))
    return str(problem.value.issues[0].code)


def test_each_image_is_asked_for_once_in_order() -> None:
    other = ImageRequest("1.2", "1.2.4", "1.2.4.1", "9.9", "urn:oid:1")
    asked = read_request(etree.fromstring(request_body([ONE, other, ONE], (EXPLICIT_LITTLE, EXPLICIT_LITTLE))))
    assert asked.images == (ONE, other)
    assert asked.transfer_syntaxes == (EXPLICIT_LITTLE,)


def test_names_are_known_in_either_namespace() -> None:
    body = request_body([ONE], (EXPLICIT_LITTLE,))
    assert read_request(etree.fromstring(body.replace(b"x:", b"i:"))).images == (ONE,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"1.2"', b'" "'),
        (b'seriesInstanceUID="1.2.3"', b""),
        (b">1.2.3.4<", b"><"),
        (b">9.9<", b">\n<"),
        (b"1.2.3.4", b"1" * 300),
        (b"StudyRequest", b"Request"),
    ],
)
def test_requests_without_the_names_of_an_image_are_refused(old: bytes, new: bytes) -> None:
    assert refused(request_body([ONE], (EXPLICIT_LITTLE,)).replace(old, new)) == "XDSIRequestError"


def test_requests_without_a_transfer_syntax_or_with_too_much_of_anything_are_refused() -> None:
    assert refused(request_body([ONE], ())) == "XDSRepositoryError"
    assert refused(request_body([ONE], (EXPLICIT_LITTLE, " "))) == "XDSRepositoryError"
    assert refused(request_body([ONE], tuple(f"1.{n}" for n in range(101)))) == "XDSIRequestError"
    studies = [replace(ONE, study_instance_uid=f"1.{n}") for n in range(MOST_STUDIES + 1)]
    assert refused(request_body(studies, (EXPLICIT_LITTLE,))) == "XDSIRequestError"
    many = [ONE] * (MOST_IMAGES + 1)
    assert refused(request_body(many, (EXPLICIT_LITTLE,))) == "XDSIRequestError"
