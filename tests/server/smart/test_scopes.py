"""Scopes of both versions, and their algebra by meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.kernel.context import Grant
from server.kernel.problem import Problem
from server.smart.scopes import Scope, grants, is_subset, narrow, parse_scope, parse_scopes

LETTERS = ["".join(each for n, each in enumerate("cruds") if mask >> n & 1) for mask in range(1, 32)]
TYPES = ["*", "Patient", "Observation", "Condition"]
CRITERIA = ["", "?category=laboratory", "?category=vital-signs", "?category=laboratory&status=final"]


def texts(scopes: tuple[Scope, ...]) -> list[str]:
    return [each.text for each in scopes]


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    context = draw(st.sampled_from(["patient", "user"]))
    resource_type = draw(st.sampled_from(TYPES))
    criteria = draw(st.sampled_from(CRITERIA)) if resource_type in ("Observation",) else ""
    rights = draw(st.sampled_from(LETTERS if criteria else [*LETTERS, "read", "write", "*"]))
    found = parse_scope(f"{context}/{resource_type}.{rights}{criteria}")
    assert found is not None
    return found


several = st.lists(scopes(), max_size=5).map(tuple)


def holds(granted: tuple[Scope, ...], right: tuple[str, str, str, frozenset[tuple[str, str]]]) -> bool:
    """The meaning: a resource of this type that fulfils these conditions, under this letter."""
    context, resource_type, letter, fulfilled = right
    return any(
        each.context == context
        and each.resource_type in ("*", resource_type)
        and letter in each.letters
        and fulfilled >= set(each.criteria)
        for each in granted
    )


RIGHTS = [
    (context, resource_type, letter, frozenset(fulfilled))
    for context in ("patient", "user")
    for resource_type in TYPES[1:]
    for letter in "cruds"
    for fulfilled in (
        (),
        (("category", "laboratory"),),
        (("category", "vital-signs"),),
        (("status", "final"), ("category", "laboratory")),
    )
]


@pytest.mark.parametrize(
    "word",
    [
        "patient/Observation.dus",
        "patient/Observation.rr",
        "patient/Observation.",
        "patient/Nothing.rs",
        "user/patient.r",
    ]
    + ["patient/*.rs?category=a", "patient/Observation.rs?", "patient/Observation.rs?subject.name=a", "x"]
    + [
        "patient/Observation.read?category=a",
        "patient/Observation.rs?_sort=date",
        "patient/Resource.rs",
        "patient/*.**",
    ],
)
def test_what_is_not_understood_gives_nothing(word: str) -> None:
    assert parse_scopes(word) == ()


def test_every_kind_is_read() -> None:
    asked = (
        "launch launch/patient launch/imagingstudy?role=urn:x openid fhirUser offline_access online_access"
        " patient/*.rs user/Patient.read system/Observation.cruds patient/Observation.rs?category=http://a.b/c|vital-signs"
    )
    found = parse_scopes(asked)
    assert texts(found) == asked.split()
    assert found[-1].criteria == (("category", "http://a.b/c|vital-signs"),)
    assert (found[-3].version, found[-3].letters) == (1, "rs")


def test_an_absurd_scope_is_refused_by_its_name() -> None:
    with pytest.raises(Problem) as refused:
        parse_scopes("openid " * 5000)
    assert refused.value.issues[0].code == "invalid_scope"


@pytest.mark.parametrize(
    ("asked", "allowed", "granted"),
    [
        ("patient/*.rs", "patient/*.cruds", ["patient/*.rs"]),
        (
            "patient/*.read",
            "patient/Observation.rs patient/Patient.r",
            ["patient/Observation.read", "patient/Patient.r"],
        ),
        ("patient/Observation.*", "patient/*.rs", ["patient/Observation.read"]),
        ("patient/Observation.rs", "patient/Observation.r patient/*.s", ["patient/Observation.rs"]),
        (
            "patient/Condition.rs",
            "patient/Condition.rs?category=a patient/Condition.rs?category=b",
            ["patient/Condition.rs?category=a", "patient/Condition.rs?category=b"],
        ),
        (
            "patient/Observation.rs?status=final",
            "patient/Observation.r?category=a",
            ["patient/Observation.r?status=final&category=a"],
        ),
        ("patient/Observation.rs openid", "user/*.cruds", []),
        ("launch/patient?role=urn:x offline_access", "launch/patient offline_access", None),
    ],
)
def test_narrowing(asked: str, allowed: str, granted: list[str] | None) -> None:
    found = narrow(parse_scopes(asked), parse_scopes(allowed))
    assert texts(found) == (asked.split() if granted is None else granted)


@given(several, several)
def test_what_is_granted_is_what_both_allow(asked: tuple[Scope, ...], allowed: tuple[Scope, ...]) -> None:
    granted = narrow(asked, allowed)
    for right in RIGHTS:
        both = any(holds((one,), right) and holds((other,), right) for one in asked for other in allowed)
        assert holds(granted, right) == both
    assert is_subset(granted, asked)
    assert is_subset(granted, allowed)
    assert parse_scopes(" ".join(texts(granted))) == granted


@given(several, several)
def test_a_subset_holds_no_right_more(asked: tuple[Scope, ...], granted: tuple[Scope, ...]) -> None:
    if is_subset(asked, granted):
        assert all(holds(granted, right) for right in RIGHTS if holds(asked, right))
        assert narrow(asked, granted) == tuple(dict.fromkeys(asked))


@given(several)
def test_everything_granted_may_be_asked_again(granted: tuple[Scope, ...]) -> None:
    assert is_subset(granted, granted)


def test_each_scope_is_one_grant_with_its_own_patient() -> None:
    asked = parse_scopes("openid patient/Observation.rs?category=a user/*.r")
    first, second = grants(asked, "7")
    assert (first.interactions, first.resource_types, first.patient) == (
        frozenset({"read", "search"}),
        frozenset({"Observation"}),
        "7",
    )
    assert first.criteria == (("category", "a"),)
    assert (second.interactions, second.resource_types, second.patient) == (frozenset({"read"}), None, None)


def test_without_a_patient_in_context_a_patient_scope_gives_nothing() -> None:
    asked = parse_scopes("patient/*.rs system/*.rs")
    assert len(grants(asked)) == 1
    assert grants(asked, "7", ()) == ()
    assert len(grants(asked, "7", ("8",))) == 1
    assert len(grants(asked, "8", ("8",))) == 2


def test_who_is_signed_in_may_be_read() -> None:
    assert grants(parse_scopes("openid fhirUser"), fhir_user="") == ()
    [grant] = grants(parse_scopes("openid fhirUser"), fhir_user="Practitioner/12")
    assert grant == Grant(frozenset({"read"}), frozenset({"Practitioner"}), None, (("_id", "12"),))


def test_images_come_with_where_they_are_had_from() -> None:
    found = grants(parse_scopes("patient/ImagingStudy.rs patient/ImagingStudy.c"), "7")
    assert found[1] == Grant(frozenset({"read", "search"}), frozenset({"Endpoint"}), "7")
    assert len(found) == 3
