"""Numbers as texts: order, implicit precision, prefixes (S30 to S35)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.index.numbers import above, below, compared, number_text, stated
from storage.query import matches
from tests.server.fhir.index.asking import found, is_found, names

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(lambda each: each.adjusted() < 4000)


@given(DECIMALS, DECIMALS)
def test_texts_sort_as_the_numbers_do(one: Decimal, other: Decimal) -> None:
    first, second = number_text(one), number_text(other)
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@given(DECIMALS, DECIMALS)
def test_a_bound_just_below_or_above_parts_a_number_from_all_others(one: Decimal, other: Decimal) -> None:
    bound, text = number_text(one), number_text(other)
    assert (text <= below(bound)) == (other < one)
    assert (text >= above(bound)) == (other > one)


SMALL = st.decimals(min_value=-1000, max_value=1000, places=3, allow_nan=False)
PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")


def holds(prefix: str, value: Decimal, asked: Decimal) -> bool:
    half = Decimal(5).scaleb(int(asked.as_tuple().exponent) - 1)
    equal = asked - half <= value < asked + half
    return {
        "eq": equal,
        "ne": not equal,
        "gt": value > asked,
        "sa": value > asked,
        "ge": value >= asked,
        "lt": value < asked,
        "eb": value < asked,
        "le": value <= asked,
        "ap": abs(value - asked) <= abs(asked) / 10,
    }[prefix]


@given(st.sampled_from(PREFIXES), SMALL, st.integers(-9999, 9999), st.integers(0, 3))
def test_every_prefix_means_what_it_says_of_decimals(prefix: str, value: Decimal, digits: int, places: int) -> None:
    asked = Decimal(digits).scaleb(-places)
    number = stated(f"{asked:f}")
    assert number is not None
    for lead in ("", "kg\x1f"):
        term = compared("n", prefix, number, lead)
        assert matches(term, {"n": frozenset({lead + number_text(value)})}) == holds(prefix, value, asked)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1.00e2", "99.5", "100.5"),
        ("1e2", "95", "105"),
        ("5.4e-3", "0.00535", "0.00545"),
        ("-2.0", "-2.05", "-1.95"),
        ("+7", "6.5", "7.5"),
        (".5", "0.45", "0.55"),
    ],
)
def test_a_number_stands_for_all_that_round_to_it(text: str, low: str, high: str) -> None:
    number = stated(text)
    assert number is not None
    assert (number.low, number.high) == (Decimal(low), Decimal(high))


@pytest.mark.parametrize("text", ["", "x", "1,5", "1e", "0x10", "NaN", "Infinity", "1_000", "١", "1" * 101, "1e99999"])
def test_what_is_no_number_is_told(text: str) -> None:
    assert stated(text) is None


def risk(probability: object) -> dict[str, object]:
    return {"prediction": [{"probabilityDecimal": probability}]}


RISKS = {"low": risk(0.5), "mid": risk(0.6), "high": risk(0.7)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("probability=0.6", "mid"),
        ("probability=0.60", "mid"),
        ("probability=ne0.6", "low high"),
        ("probability=ap0.58", "mid"),
        ("probability=ap0.62", "mid"),
        ("probability=ap0.5", "low"),
        ("probability=gt0.5", "mid high"),
        ("probability=le0.5,ge0.7", "low high"),
        ("probability=sa0.6", "high"),
        ("probability=eb0.6", "low"),
    ],
)
def test_a_decimal_parameter(asked: str, expected: str) -> None:
    assert found(asked, "RiskAssessment", RISKS) == names(expected)


@pytest.mark.parametrize(
    ("asked", "finds"),
    [("100", True), ("100.0", True), ("1e2", True), ("99", False), ("100.4", False), ("ne100", False), ("ne99", True)],
)
def test_a_whole_number_compares_exactly(asked: str, finds: bool) -> None:
    variant = {"coordinateSystem": 0, "variant": [{"start": 100, "end": 120}]}
    assert is_found(f"variant-start={asked}", "MolecularSequence", variant) is finds


def test_five_is_five_point_zero() -> None:
    assert is_found("probability=ge0.50", "RiskAssessment", risk(0.5))
    assert is_found("probability=le0.500", "RiskAssessment", risk(0.5))
