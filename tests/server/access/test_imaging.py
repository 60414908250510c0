"""Rights over images follow from those over ImagingStudy, in whichever way they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any as Anything
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access import imaging
from server.access.decision import AccessPoint
from server.access.imaging import ALL_IMAGES, ImagingAccess
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from storage.query import (
    EVERYTHING,
    NOTHING,
    All,
    Any,
    Between,
    Equals,
    Exists,
    Key,
    Not,
    OneOf,
    Predicate,
    matches,
)  # fmt: skip

T = TypeVar("T")
Keys = dict[str, frozenset[Key]]
PATIENTS = ("Patient/1", "Patient/2", "Patient/3")
STUDIES = ("1", "2", "3", "4")


class Granted(AccessPoint):
    """One right, whatever is asked."""

    def __init__(self, right: Predicate, limits: frozenset[str] | None = None) -> None:
        super().__init__()
        self.right, self.limited = right, limits

    async def constrain(self, *_: Anything) -> Predicate:
        return self.right

    async def limits(self, *_: Anything) -> frozenset[str] | None:
        return self.limited


@dataclass
class World:
    """What there is, as keys."""

    resources: list[Keys] = field(default_factory=list)
    series_labels: list[Keys] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    """By study of the archive, the number its images carry: `s|` and the digit of a patient."""
    version: int | None = 1
    asked: int = 0

    async def revision(self) -> int | None:
        return self.version

    async def stamp(self, study: str) -> Hashable:
        self.asked += 1
        found = [index for index, each in enumerate(self.resources) if study in each["@study"]]
        return (self.version, *found) if found else None

    async def persons(self, study: str) -> Sequence[str]:
        return [self.owners[study]] if study in self.owners else []

    async def studies(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return self._values(self.resources, "@study", predicate)[:at_most]

    async def series(self, predicate: Predicate, at_most: int) -> Sequence[str]:
        return self._values(self.series_labels, "@series", predicate)[:at_most]

    async def patients(self, studies: Sequence[str]) -> Sequence[str]:
        return self._values(self.resources, "@patient", OneOf("@study", tuple(studies)))

    async def numbers(self, patients: Sequence[str]) -> Sequence[str]:
        return [f"s|{each[-1]}" for each in patients]

    async def holders(self, numbers: Sequence[str]) -> Sequence[str]:
        return [f"Patient/{each[-1]}" for each in numbers]

    @staticmethod
    def _values(records: Sequence[Keys], name: str, predicate: Predicate) -> list[str]:
        return sorted({str(value) for each in records if matches(predicate, each) for value in each.get(name, ())})


_leaves = (
    st.sampled_from(PATIENTS).map(lambda each: Equals("@patient", each))
    | st.lists(st.sampled_from(PATIENTS), max_size=2).map(lambda each: OneOf("@patient", tuple(each)))
    | st.integers(0, 5).map(lambda level: Between("@level", level, 5))
    | st.sampled_from((Exists("@when"), Equals("@label", "PSY"), EVERYTHING))
)
rights: st.SearchStrategy[Predicate] = st.recursive(
    _leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Any, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=5,
)
_marks = st.fixed_dictionaries(
    {},
    optional={
        "@level": st.integers(0, 5).map(lambda each: frozenset({each})),
        "@label": st.just(frozenset({"PSY"})),
        "@when": st.just(frozenset({1})),
    },
)
_resources = st.builds(
    lambda study, owner, marks: {"@study": frozenset({study}), "@patient": frozenset({owner}), **marks},
    st.sampled_from(STUDIES), st.sampled_from(PATIENTS), _marks,
)  # fmt: skip


def _labelled(study: Keys, marks: Keys) -> Keys:
    uid = min(map(str, study["@study"]))
    return study | marks | {"@series": frozenset({f"{uid}/{uid}.2"})}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    resources = draw(st.lists(_resources, max_size=4))
    labelled = [_labelled(each, draw(_marks)) for each in resources if draw(st.booleans())]
    owners = {study: f"s|{draw(st.sampled_from('123'))}" for study in STUDIES}
    return World(resources, labelled, owners)


def run(work: Coroutine[Anything, Anything, T]) -> T:
    return asyncio.run(work)


def context() -> Context:
    return Context(LOCAL_ACTOR, "test", trail=Trail())


def rows_of(world: World, study: str) -> list[Keys]:
    """The study's row, those of its two series and of an instance in each."""
    person = {"@person": frozenset[Key]({world.owners[study]}), "StudyInstanceUID": frozenset[Key]({study})}
    series = [{"SeriesInstanceUID": frozenset[Key]({f"{study}.{number}"})} for number in (1, 2)]
    return [
        person,
        *(person | each for each in series),
        *(person | each | {"a": frozenset[Key]({1})} for each in series),
    ]


@given(worlds(), rights.filter(lambda right: right != NOTHING))
def test_images_show_nothing_that_their_resource_refuses(world: World, right: Predicate) -> None:
    access = ImagingAccess(Granted(right), world)
    across = run(access.across(context(), "search")).predicate
    for study in STUDIES:
        point = run(access.of_study(context(), "read", study)).predicate
        for row in rows_of(world, study):
            assert matches(point, row) is _is_seen(world, right, study, row)
            assert matches(point, row) or not matches(across, row)


def _is_seen(world: World, right: Predicate, study: str, row: Keys) -> bool:
    """As FHIR has it; a study without a resource is judged by whose it is alone, where rights are for everybody."""
    claims = [each for each in world.resources if study in each["@study"]]
    if not claims:
        owner = frozenset[Key]({f"Patient/{world.owners[study][-1]}"})
        return matches(right, {}) and matches(right, {"@patient": owner})
    series = {f"{study}/{each}" for each in row.get("SeriesInstanceUID", ())}
    refused = [each for each in world.series_labels if not matches(right, each)]
    return all(matches(right, each) for each in claims) and not any(series & each["@series"] for each in refused)


@given(worlds(), st.sets(st.sampled_from(PATIENTS)))
def test_who_is_denied_some_patients_sees_all_the_others(world: World, denied: set[str]) -> None:
    right = Not(OneOf("@patient", tuple(denied)))
    across = run(ImagingAccess(Granted(right), world).across(context(), "search")).predicate
    for study in STUDIES:
        whose = {str(each) for claim in world.resources if study in claim["@study"] for each in claim["@patient"]}
        number = f"Patient/{world.owners[study][-1]}"
        if denied.isdisjoint(whose) and number not in denied:
            assert all(matches(across, row) for row in rows_of(world, study))
        if not denied.isdisjoint(whose):
            assert not any(matches(across, row) for row in rows_of(world, study))


def test_who_may_see_everything_is_asked_nothing_more() -> None:
    world = World()
    access = ImagingAccess(Granted(EVERYTHING), world)
    assert run(access.across(context(), "search")) is run(access.of_study(context(), "read", "1")) is ALL_IMAGES
    assert world.asked == 0


def test_no_right_at_all_is_forbidden_and_not_an_empty_answer() -> None:
    access = ImagingAccess(Granted(NOTHING), World())
    for work in (
        access.across(context(), "search"),
        access.of_study(context(), "read", "1"),
        access.creation(context()),
    ):
        with pytest.raises(Problem) as raised:
            run(work)
        assert raised.value.kind is Kind.FORBIDDEN


def test_several_resources_of_one_study_are_seen_together_or_not_at_all() -> None:
    claims = [{"@study": frozenset({"1"}), "@patient": frozenset({each})} for each in PATIENTS[:2]]
    access = ImagingAccess(Granted(Equals("@patient", "Patient/1")), World(claims, owners={"1": "s|1"}))  # type: ignore[arg-type]
    assert run(access.of_study(context(), "read", "1")).predicate == NOTHING
    assert run(access.across(context(), "search")).predicate == OneOf("StudyInstanceUID", ())


def test_a_verdict_is_kept_until_the_study_or_the_right_changes() -> None:
    world = World([{"@study": frozenset({"1"}), "@level": frozenset({2})}], owners={"1": "s|1"})
    granted = Granted(Not(Between("@level", 4, 5)))
    access = ImagingAccess(granted, world)
    assert run(access.of_study(context(), "read", "1")) is ALL_IMAGES
    world.resources[0]["@level"], world.version = frozenset({4}), 2
    assert run(access.of_study(context(), "read", "1")).predicate == NOTHING
    granted.right = Not(Between("@level", 5, 5))
    assert run(access.of_study(context(), "read", "1")) is ALL_IMAGES


def test_a_store_that_tells_no_revision_is_asked_each_time() -> None:
    world = World([{"@study": frozenset({"1"})}], version=None)
    access = ImagingAccess(Granted(Not(Exists("@label"))), world)
    for count in (1, 2):
        assert run(access.of_study(context(), "read", "1")) is ALL_IMAGES
        assert world.asked == count


def test_a_refusal_is_told_to_the_trail_with_whose_study_it_is() -> None:
    world = World([{"@study": frozenset({"1"}), "@patient": frozenset({"Patient/1"})}])
    who = context()
    run(ImagingAccess(Granted(Not(Exists("@study"))), world).of_study(who, "read", "1"))
    assert who.trail.reason
    assert who.trail.notes == [("urn:oid:1", ("Patient/1",), "")]


def test_too_many_studies_ask_for_the_name_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "MOST_STUDIES", 1)
    world = World([{"@study": frozenset({each}), "@level": frozenset({5})} for each in ("1", "2")])
    access = ImagingAccess(Granted(Not(Between("@level", 5, 5))), world)
    with pytest.raises(Problem) as raised:
        run(access.across(context(), "search"))
    assert raised.value.kind is Kind.TOO_LARGE
    assert run(access.of_study(context(), "read", "1")).predicate == NOTHING


@pytest.mark.parametrize(
    ("right", "allowed"),
    [
        (EVERYTHING, EVERYTHING),
        (Not(OneOf("@patient", ("Patient/1",))), EVERYTHING),
        (All((Equals("@patient", "Patient/1"), Not(Exists("@shared")))), OneOf("@person", ("s|1",))),
        (OneOf("@patient", ("Patient/1", "Patient/2")), OneOf("@person", ("s|1", "s|2"))),
        (All((Equals("@patient", "Patient/1"), Exists("modality"))), NOTHING),
    ],
)
def test_whose_images_may_be_stored(right: Predicate, allowed: Predicate) -> None:
    assert run(ImagingAccess(Granted(right), World()).creation(context())) == allowed


def test_only_who_is_limited_to_patients_may_ask_for_no_others() -> None:
    world = World()
    limited = ImagingAccess(Granted(Equals("@patient", "Patient/1"), frozenset({"1"})), world)
    assert run(limited.is_foreign(context(), "search", ["2"]))
    assert run(limited.is_foreign(context(), "search", ["1", "2"]))
    assert not run(limited.is_foreign(context(), "search", ["1"]))
    assert not run(limited.is_foreign(context(), "search", []))
    assert not run(ImagingAccess(Granted(EVERYTHING), world).is_foreign(context(), "search", ["2"]))


def test_whose_a_study_is_that_has_no_resource_yet() -> None:
    access = ImagingAccess(
        Granted(EVERYTHING), World([{"@study": frozenset({"1"}), "@patient": frozenset({"Patient/3"})}])
    )
    assert run(access.subjects("1", ["s|1"])) == ("Patient/3",)
    assert run(access.subjects("2", ["s|1"])) == ("Patient/1",)
    assert run(access.subjects("2")) == ()
    assert tuple(run(access.subjects_of(("1", "2")))) == ("Patient/3",)
    assert tuple(run(access.subjects_of(()))) == ()
