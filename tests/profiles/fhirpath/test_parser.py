"""FHIRPath text to trees: precedence as the grammar has it, and no text that breaks the parser."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.fhirpath.engine import compile_expression, resource_node
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.parser import MAX_DEPTH, parse
from profiles.fhirpath.quantities import Quantity
from profiles.fhirpath.syntax import Binary, Call, Indexer, Literal, Member, Polarity, Series, TypeOperation
from profiles.fhirpath.tokens import MAX_LENGTH

WORDS = """
    Patient name given . where( exists() ( ) [ ] { } 1 0.5 'a' '\\' `b` @2014 @T12:00 @2014-01-01T %resource %`x $this
    $index = != ~ < | & + - * / div mod and or xor implies is as in contains System.String , // /* */ days iif(
    matches('(a+)+') descendants() repeat( aggregate( toQuantity() true false é
"""
PIECES = [*WORDS.split(), " ", "\x00"]


def test_a_path_nests_from_the_left() -> None:
    assert parse("a.b[0].c()") == Call(Indexer(Member(Member(None, "a"), "b"), Literal(0, "System.Integer")), "c", ())


def test_operators_bind_as_the_grammar_says() -> None:
    one, two, three = (Literal(number, "System.Integer") for number in (1, 2, 3))
    assert parse("1 + 2 * 3") == Binary("+", one, Binary("*", two, three))
    assert parse("(1 + 2) * 3") == Binary("*", Binary("+", one, two), three)
    assert parse("1 > 2 is Boolean") == Binary(">", one, TypeOperation("is", two, "Boolean"))
    assert parse("1 | 2 = 3") == Binary("=", Series("|", (one, two)), three)
    assert parse("a or b and c implies d") == Binary(
        "implies",
        Series("or", (Member(None, "a"), Series("and", (Member(None, "b"), Member(None, "c"))))),
        Member(None, "d"),
    )


def test_a_sign_takes_the_whole_path() -> None:
    assert parse("-1.a()") == Polarity("-", Call(Literal(1, "System.Integer"), "a", ()))


def test_a_long_union_is_one_level() -> None:
    tree = parse(" | ".join(f"'{number}'" for number in range(1000)))
    assert isinstance(tree, Series)
    assert len(tree.operands) == 1000


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("1.50", Literal(Decimal("1.50"), "System.Decimal")),
        ("@2014-01-25T14:30", Literal("2014-01-25T14:30", "System.DateTime")),
        ("@2014T", Literal("2014", "System.DateTime")),
        ("@2014-01", Literal("2014-01", "System.Date")),
        ("@T14:30", Literal("14:30", "System.Time")),
        ("4 days", Literal(Quantity(Decimal(4), "days", is_calendar=True), "System.Quantity")),
        ("4 'mg'", Literal(Quantity(Decimal(4), "mg"), "System.Quantity")),
        (r"'it\'s \u0041\n\\'", Literal("it's A\n\\", "System.String")),
        ("true", Literal(True, "System.Boolean")),
    ],
)
def test_literals(text: str, literal: Literal) -> None:
    assert parse(text) == literal


def test_names_of_operators_may_follow_a_dot() -> None:
    assert parse("expansion.contains.as.is") == Member(
        Member(Member(Member(None, "expansion"), "contains"), "as"), "is"
    )


@pytest.mark.parametrize(
    "text", ["", "1 +", "a.", "a[0", "f(", "(1", "{1}", "'open", "/* open", "a b", "@", "$that", "@T14:30Z"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(FhirPathError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "1" + "+1" * 5000, "a" + ".a" * 5000, "not(" * 4000, "a[" * 5000],
)
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(FhirPathError):
        compile_expression(text)


@pytest.mark.parametrize(
    ("opening", "inner", "closing", "cost"),
    [("(1+", "1", ")", 2), ("iif(true,", "1", ")", 1), ("name.where(", "true", ")", 1), ("(true and ", "true", ")", 2)],
)
def test_the_deepest_expression_allowed_can_be_evaluated(opening: str, inner: str, closing: str, cost: int) -> None:
    levels = MAX_DEPTH // cost - 2
    text = opening * levels + inner + closing * levels
    assert len(compile_expression(text).evaluate(resource_node({"resourceType": "Patient"}))) < 2


def test_length_is_bounded() -> None:
    with pytest.raises(FhirPathError):
        parse("1" + " " * MAX_LENGTH)


@settings(max_examples=300)
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    patient = resource_node({"resourceType": "Patient", "name": [{"given": ["Ann"]}], "birthDate": "1970"})
    try:
        compile_expression(text).evaluate(patient)
    except FhirPathError:
        return
