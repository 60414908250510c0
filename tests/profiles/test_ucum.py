"""UCUM expressions: which are valid, and what they convert into."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.ucum import canonical, canonical_unit, convert, is_valid
from profiles.ucum_units import ARBITRARY, METRIC, OTHER, PREFIXES, SCALES

VALID = (
    "mg", "mm[Hg]", "10*3/uL", "10*-3", "10^3/uL", "{score}", "/min", "mL/min/{1.73_m2}", "kg/m2", "m2{area}", "1", "%",
    "[in_i]", "Cel", "[degF]", "[pH]", "dB[SPL]", "k[IU]/mL", "umol/(24.h)", "mg/(kg.d)", "a", "mo", "[drp]", "m2.5",
    "B[10.nV]", "[m/s2/Hz^(1/2)]", "g%", "U/L", "meq/L", "mmol/mol{creat}", "cm[H2O]", "10.L/min", "L/min", "/{OIF}",
)  # fmt: skip
INVALID = (
    "", "mcg", "ea", "month", "mEq", "TAB", "pills", "m2+", "(m", "m)", "m//s", ".m", "m.", "/", "10-3", "{", "m{a}{b}",
    "2m", "m s", "[foo]", "mCel[", "µg", "{é}", "0", "dm[in_i]", "kmin", "m^2", "MM[HG]", "m999", "((", "m" * 300,
)  # fmt: skip


@pytest.mark.parametrize("code", VALID)
def test_an_expression_of_ucum_is_valid(code: str) -> None:
    assert is_valid(code)


@pytest.mark.parametrize("code", INVALID)
def test_anything_else_is_not(code: str) -> None:
    assert not is_valid(code)
    assert canonical(Decimal(1), code) is None


def test_every_unit_of_the_tables_can_be_read() -> None:
    entries = [each.strip().partition("=")[0] for each in (METRIC + OTHER).split(";")]
    codes = [*filter(None, entries), *ARBITRARY.split(), *SCALES.split()]
    assert len(codes) > 290
    assert [each for each in codes if not is_valid(each)] == []


@pytest.mark.parametrize(
    ("value", "code", "expected", "unit"),
    [
        ("120", "mm[Hg]", "15998640", "m-1.s-2.g"),
        ("70", "kg", "70000", "g"),
        ("154", "[lb_av]", "69853.22498", "g"),
        ("37", "Cel", "310.15", "K"),
        ("98.6", "[degF]", "310.15", "K"),
        ("1.10", "%", "0.0110", "1"),
        ("3", "[IU]/L", "3000", "m-3.[iU]"),
        ("5", "mmol/L", "3.01107038E+24", "m-3"),
        ("7.4", "[pH]", "7.4", "[pH]"),
        ("20", "dB[SPL]", "2", "B[SPL]"),
        ("1", "/min", "0.016666666666667", "s-1"),
        ("180", "deg", "3.1415926535898", "rad"),
    ],
)
def test_a_value_in_base_units(value: str, code: str, expected: str, unit: str) -> None:
    assert canonical(Decimal(value), code) == (Decimal(expected), unit)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("98.6", "[degF]", "Cel", "37"),
        ("37", "Cel", "[degF]", "98.6"),
        ("0", "[degRe]", "K", "273.15"),
        ("1", "[in_i]", "cm", "2.54"),
        ("100", "mg/dL", "g/L", "1"),
        ("16.5", "kPa", "mm[Hg]", "123.76051964417"),
        ("1", "L", "dm3", "1"),
        ("2", "h", "min", "120"),
        ("1", "U", "umol/min", "1"),
        ("60", "/min", "Hz", "1"),
        ("1", "[lb_av]", "g", "453.59237"),
    ],
)
def test_a_value_in_another_unit(value: str, source: str, target: str, expected: str) -> None:
    assert convert(Decimal(value), source, target) == Decimal(expected)


@pytest.mark.parametrize(
    ("source", "target"), [("m", "s"), ("[IU]", "[CFU]"), ("[pH]", "mol/L"), ("mg", "nonsense"), ("Cel/min", "K/min")]
)
def test_units_of_different_kinds_do_not_convert(source: str, target: str) -> None:
    assert convert(Decimal(1), source, target) is None


def test_spellings_of_one_unit_share_a_canonical_form() -> None:
    assert {canonical_unit(each) for each in ("mm[Hg]", "kPa", "N/m2", "[psi]")} == {"m-1.s-2.g"}


def test_values_beyond_any_range_are_no_fault() -> None:
    assert canonical(Decimal("1E+999999"), "kg") is not None
    assert canonical(Decimal("NaN"), "kg") is not None
    assert canonical(Decimal("sNaN"), "kg") is None
    assert canonical(Decimal("1"), "Ym64.Ym64.Ym64.Ym64") is not None


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=3), st.sampled_from(["mg", "ug", "kg", "[oz_av]", "t"]))
def test_conversion_there_and_back_keeps_the_value(value: Decimal, unit: str) -> None:
    there = convert(value, unit, "g")
    assert there is not None
    back = convert(there, "g", unit)
    assert back is not None
    assert abs(back - value) <= abs(value) * Decimal("1e-12")


@given(st.sampled_from(sorted(PREFIXES)), st.sampled_from(["m", "g", "L", "mol", "Pa", "[iU]"]))
def test_a_prefix_multiplies(prefix: str, unit: str) -> None:
    one, many = canonical(Decimal(1), unit), canonical(Decimal(1), prefix + unit)
    assert one
    assert many
    assert many[1] == one[1]
    assert abs(Fraction(many[0]) / Fraction(one[0]) / Fraction(PREFIXES[prefix]) - 1) < Fraction(1, 10**12)


@given(st.text(alphabet="mgkL10*^.-+/(){}[]%'_ iUHz2", max_size=40))
def test_no_text_is_a_fault(code: str) -> None:
    assert (canonical(Decimal(1), code) is not None) <= is_valid(code)


def test_a_known_unit_converts_in_microseconds() -> None:
    value = Decimal("120.5")
    canonical(value, "mm[Hg]")
    begun = thread_time()
    for _ in range(10_000):
        canonical(value, "mm[Hg]")
    assert (thread_time() - begun) / 10_000 < 20e-6
