"""Confidentiality as an order, sensitivity as a hierarchy."""

from __future__ import annotations

import pytest

from server.access.labels import labels_of, level_of, with_ancestors

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ([], None),
        ([(CONFIDENTIALITY, "N")], 3 - 0),
        ([(CONFIDENTIALITY, "U")], 0),
        ([(CONFIDENTIALITY, "N"), (CONFIDENTIALITY, "V")], 5),
        ([(ACT_CODE, "PSY")], 4),
        ([(ACT_CODE, "ETHUD")], 4),
        ([(ACT_CODE, "PSY"), (CONFIDENTIALITY, "N")], 3),
        ([("urn:other", "V")], None),
        ([("", "R")], 4),
        ([(CONFIDENTIALITY, "X")], None),
    ],
)
def test_the_highest_level_counts_and_a_sensitivity_alone_is_restricted(
    labels: list[tuple[str, str]], level: int | None
) -> None:
    assert level_of([{"system": system, "code": code} for system, code in labels]) == level


@pytest.mark.parametrize(
    ("code", "covered"),
    [("ETHUD", {"ETHUD", "ETH", "SUD", "SPI"}), ("COGN", {"COGN", "BH", "SPI"}), ("HIV", {"HIV"}), ("x", {"x"})],
)
def test_a_label_is_also_what_covers_it(code: str, covered: set[str]) -> None:
    assert with_ancestors(code) == covered
    assert labels_of([{"code": code}, {"display": "no code"}]) == covered
