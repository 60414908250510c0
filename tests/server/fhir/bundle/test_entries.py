"""Bundles read into entries: what is taken, what is refused and where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.bundle.entries import Entry, all_sound, located, parse_bundle
from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

BASE = "https://weft.example/fhir"
PATIENT = {"resourceType": "Patient"}


def bundle(*entries: Any, kind: Any = "batch") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def parsed(method: str, url: str, resource: Resource | None = None, **more: Any) -> Entry | Problem:
    entry = {"request": {"method": method, "url": url}, **more} | ({"resource": resource} if resource else {})
    [found] = parse_bundle(bundle(entry), BASE, 10)[1]
    return found


@pytest.mark.parametrize(
    ("method", "url", "named"),
    [
        ("PUT", "Patient/a", ("Patient", "a", None)),
        ("PUT", "/Patient/a", ("Patient", "a", None)),
        ("PUT", f"{BASE}/Patient/a", ("Patient", "a", None)),
        ("PUT", "Patient?identifier=a%7Cb", ("Patient", None, "identifier=a%7Cb")),
        ("PATCH", "Patient/a%2Eb", ("Patient", "a.b", None)),
        ("DELETE", "Patient?", ("Patient", None, "")),
        ("POST", "Patient", ("Patient", None, None)),
        ("GET", "Patient?name=x", ("", None, "name=x")),
        ("GET", "metadata", ("", None, None)),
        ("POST", "Patient/$validate", ("", None, None)),
    ],
)
def test_urls(method: str, url: str, named: tuple[str, str | None, str | None]) -> None:
    found = parsed(method, url, PATIENT if method in ("POST", "PUT", "PATCH") else None)
    assert isinstance(found, Entry)
    assert (found.type, found.id, found.query) == named
    assert found.is_write is (method != "GET" and "$" not in url)


@pytest.mark.parametrize(
    ("method", "url", "kind"),
    [
        ("PUT", "Patient", Kind.INVALID),
        ("PUT", "Patient/a/b", Kind.INVALID),
        ("PUT", "Patient/ü", Kind.INVALID),
        ("PUT", "Patient/a?x=y", Kind.INVALID),
        ("POST", "Patient/a", Kind.INVALID),
        ("POST", "Patient?x=y", Kind.INVALID),
        ("PUT", "patient/a", Kind.NOT_FOUND),
        ("PUT", "https://other.example/Patient/a", Kind.INVALID),
        ("put", "Patient/a", Kind.INVALID),
        ("OPTIONS", "Patient/a", Kind.INVALID),
        ("PUT", "", Kind.INVALID),
        ("PUT", "Patient/" + "a" * 9000, Kind.INVALID),
    ],
)
def test_urls_that_name_nothing(method: str, url: str, kind: Kind) -> None:
    found = parsed(method, url, PATIENT)
    assert isinstance(found, Problem)
    assert found.kind is kind
    assert str(found.issues[0].location).startswith("Bundle.entry[0].request")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "x",
        {},
        {"request": None},
        {"request": {"method": "GET"}},
        {"request": {"method": "GET", "url": 5}},
        {"request": {"method": "GET", "url": "Patient", "ifmatch": "x"}},
        {"request": {"method": "GET", "url": "Patient"}, "resource": PATIENT},
        {"request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "POST", "url": "Patient"}, "resource": []},
        {"request": {"method": "POST", "url": "Patient"}, "resource": PATIENT, "fullUrl": 1},
        {"request": {"method": "POST", "url": "Patient"}, "resource": PATIENT, "fullUrl": "Patient/1/_history/1"},
        {"request": {"method": "POST", "url": "Patient", "ifNoneExist": ""}, "resource": PATIENT},
        {"request": {"method": "DELETE", "url": "Patient/a"}, "nonsense": 1},
    ],
)
def test_entries_that_are_none(entry: Any) -> None:
    [found] = parse_bundle(bundle(entry), BASE, 10)[1]
    assert isinstance(found, Problem)
    assert found.kind is Kind.INVALID
    with pytest.raises(Problem):
        all_sound([found])


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
        bundle(kind="searchset"),
        bundle(kind=5),
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
    ],
)
def test_what_is_no_bundle_of_requests(resource: Resource) -> None:
    with pytest.raises(Problem) as raised:
        parse_bundle(resource, BASE, 10)
    assert raised.value.kind is Kind.INVALID


def test_an_empty_bundle_is_fine_and_a_long_one_is_not() -> None:
    assert parse_bundle({"resourceType": "Bundle", "type": "transaction"}, BASE, 0) == ("transaction", [])
    with pytest.raises(Problem) as raised:
        parse_bundle(bundle({}, {}), BASE, 1)
    assert raised.value.issues[0].code == "too-costly"


def test_one_full_url_may_name_two_versions_only() -> None:
    def entries(*versions: str) -> list[Entry | Problem]:
        resources = [{**PATIENT, "meta": {"versionId": each}} for each in versions]
        made = [{"request": {"method": "POST", "url": "Patient"}, "resource": each, "fullUrl": "urn:x"}
                for each in resources]  # fmt: skip
        return parse_bundle(bundle(*made), BASE, 10)[1]

    assert len(all_sound(entries("1", "2"))) == 2
    with pytest.raises(Problem):
        all_sound(entries("1", "1"))


def test_a_problem_of_a_resource_becomes_one_of_the_bundle() -> None:
    entry = parsed("PUT", "Patient/a", PATIENT)
    assert isinstance(entry, Entry)
    issues = (Issue("a", "Patient.name[0].given"), Issue("b"), Issue("c", "Patient"), Issue("d", "Bundle.entry[9]"))
    assert [each.location for each in located(Problem(Kind.INVALID, "x", issues), entry).issues] == [
        "Bundle.entry[0].resource.name[0].given", "Bundle.entry[0]", "Bundle.entry[0].resource", "Bundle.entry[9]",
    ]  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["POST", "PUT", "Patient/a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["request", "method", "url", "resource", "fullUrl", "x", "_url"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_entry_brings_anything_but_an_entry_or_a_problem(entry: Any) -> None:
    for each in parse_bundle(bundle(entry), BASE, 10)[1]:
        assert isinstance(each, Entry | Problem)
