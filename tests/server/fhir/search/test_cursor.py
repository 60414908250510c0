"""Cursors come back as they went, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.search.cursor import Cursors, Place
from server.fhir.search.request import SearchRequest
from server.kernel.problem import Kind, Problem

CURSORS = Cursors(bytes(range(32)))
TEXTS = st.text(max_size=40)

places = st.builds(
    Place,
    st.builds(
        SearchRequest,
        st.none() | TEXTS,
        st.lists(st.tuples(TEXTS, TEXTS), max_size=5).map(tuple),
        st.none() | st.tuples(TEXTS, TEXTS),
    ),
    st.lists(TEXTS | st.integers(-(1 << 63), 1 << 63), max_size=4).map(tuple),
    st.none() | st.integers(0, 1 << 40),
)


@given(place=places, actor=TEXTS)
def test_a_place_comes_back_as_it_was(place: Place, actor: str) -> None:
    token = CURSORS.seal(place, actor)
    assert CURSORS.open(token, actor) == place
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def refused(cursors: Cursors, token: str, actor: str = "me", purpose: str = "search") -> bool:
    with pytest.raises(Problem) as caught:
        cursors.open(token, actor, purpose)
    return caught.value.kind is Kind.INVALID


def test_a_cursor_is_bound_to_actor_purpose_and_secret() -> None:
    token = CURSORS.seal(Place(SearchRequest("Patient", (("name", "a"),)), ("x",), 3), "me")
    assert refused(CURSORS, token, "you")
    assert refused(CURSORS, token, purpose="everything")
    assert refused(CURSORS, token, "", "search\0me")
    assert refused(Cursors(bytes(32)), token)


@given(token=st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: raw.hex()))
def test_any_other_text_is_refused(token: str) -> None:
    assert refused(CURSORS, token)


def test_a_changed_or_enormous_cursor_is_refused() -> None:
    token = CURSORS.seal(Place(SearchRequest("Patient", (("name", "a"),)), ("x",), 3), "me")
    for place in range(len(token) - 1):
        assert refused(CURSORS, token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :])
    assert refused(CURSORS, token * 10_000)


def test_a_cursor_hides_what_it_holds_and_never_repeats() -> None:
    place = Place(SearchRequest("Patient", (("identifier", "11010119800101001X"),)), ("x",), 3)
    one, other = CURSORS.seal(place, "me"), CURSORS.seal(place, "me")
    assert one[:12] != other[:12]
    assert one[20:] != other[20:]


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Cursors(b"short")
