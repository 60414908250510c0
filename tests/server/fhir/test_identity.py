"""Ids, entity tags, criteria, and the order in which new ids sort."""

from __future__ import annotations

import pytest

from server.fhir.conditional import parse_criteria
from server.fhir.identity import is_id, new_id, parse_etags
from server.kernel.problem import Problem


@pytest.mark.parametrize("text", ["a", "A-1.b", "x" * 64])
def test_ids(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "x" * 65, "a/b", "a b", "ü", "a\n", None, 5])
def test_what_is_no_id(text: object) -> None:
    assert not is_id(text)


def test_new_ids_are_ids_and_sort_by_time() -> None:
    ids = [new_id(moment * 1000) for moment in range(1_700_000_000_000, 1_700_000_000_100)]
    assert ids == sorted(ids)
    assert all(is_id(each) and len(each) == 36 and each[14] == "7" and each[19] in "89ab" for each in ids)
    assert new_id(0) != new_id(0)


@pytest.mark.parametrize(
    ("text", "versions"),
    [('W/"1"', {"1"}), ('"1"', {"1"}), ('W/"1", "22" ,W/"x"', {"1", "22", "x"}), ("*", None), (" * ", None)],
)
def test_entity_tags(text: str, versions: set[str] | None) -> None:
    assert parse_etags(text).versions == versions


@pytest.mark.parametrize("text", ["", "1", "W/1", '"1" "2"', '"1",', 'w/"1"', '"a b"'])
def test_what_is_no_entity_tag(text: str) -> None:
    with pytest.raises(Problem):
        parse_etags(text)


def test_equal_criteria_share_a_guard_however_they_are_written() -> None:
    first = parse_criteria("Patient", "identifier=urn:x%7C1&name=a")
    second = parse_criteria("Patient", "Patient?name=a&identifier=urn:x|1&_format=json")
    assert first.guard == second.guard
    assert first.guard != parse_criteria("Group", "identifier=urn:x%7C1&name=a").guard
    assert parse_criteria("Patient", "?name=a+b").pairs == (("name", "a b"),)


@pytest.mark.parametrize("query", ["&".join(f"a{each}=1" for each in range(100)), "name=" + "x" * 9000, "name=%ff"])
def test_criteria_have_bounds(query: str) -> None:
    with pytest.raises(Problem):
        parse_criteria("Patient", query)
