"""Whatever is sent, what reads it raises nothing but a `Problem` with an OAuth code."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.kernel.problem import Problem
from server.smart.client_authentication import read_offer
from server.smart.fhir_context import check_fhir_context
from server.smart.forms import read_form
from server.smart.launches import read_launch
from server.smart.protocol import Core
from server.smart.protocol_case import Case, Request
from server.smart.registration import check_metadata, is_safe_url, read_metadata

NAMES = st.sampled_from(
    ["client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type", "code", "scope", "state"]
)
FORMS = st.dictionaries(NAMES, st.text(max_size=50))
HEADERS = st.one_of(st.none(), st.text(max_size=60), st.text(string.printable, max_size=60).map("Basic ".__add__))
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
ITEMS = st.dictionaries(st.sampled_from(["reference", "canonical", "identifier", "type", "role"]), TREES)


def only_problems(work: Callable[[], Any]) -> None:
    codes = ["none was needed"]
    try:
        work()
    except Problem as problem:
        codes = [each.code or "" for each in problem.issues]
    assert codes
    assert all(codes)


@settings(max_examples=150, deadline=None)
@given(FORMS, HEADERS)
def test_client_authentication(form: dict[str, str], header: str | None) -> None:
    only_problems(lambda: read_offer(form, header))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=8))
def test_forms(pairs: list[tuple[str, str]]) -> None:
    only_problems(lambda: read_form(pairs))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_bodies(body: bytes) -> None:
    only_problems(lambda: read_launch(body))
    only_problems(lambda: check_metadata(read_metadata(body)))


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEMS, max_size=3))
def test_fhir_context(items: list[dict[str, Any]]) -> None:
    only_problems(lambda: check_fhir_context(items))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("htps:/@.#*\\[]1a%?", max_size=40).map("https://".__add__)))
def test_urls(url: str) -> None:
    assert is_safe_url(url) in (True, False)


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "client_credentials"])
@settings(max_examples=40, deadline=None)
@given(form=FORMS)
def test_the_core(grant_type: str, form: dict[str, str]) -> None:
    case = Case({**form, "grant_type": grant_type}, "https://weft.example/oauth", 0)
    with pytest.raises(Problem) as caught:
        Core(case).create_token_response(Request("POST", case))
    assert caught.value.issues[0].code == "invalid_client"
