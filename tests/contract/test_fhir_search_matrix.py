"""Searches over synthetic patients equal a brute-force answer: each parameter type with each modifier and prefix,
chains, `_has`, includes, sorts and pages, on every store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from server.fhir.search.request import SearchResult
from server.kernel.problem import Problem
from tests.contract import brute_force as brute
from tests.contract.brute_force import at, both, coded, referring
from tests.contract.conftest import Archive, opened_archive
from tests.contract.fhir_search_world import request_of
from tests.contract.fhir_store import FhirStore
from tests.contract.fhir_world import Json, World, load
from tests.contract.search_cases import (
    CODE,
    COMPOSITES,
    DATES,
    LOINC,
    OBSERVED,
    OTHERS,
    QUANTITIES,
    STRINGS,
    TOKENS,
    Case,
)
from tests.contract.search_links import CHAINS, INCLUDES, Linked

pytestmark = pytest.mark.slow


@dataclass
class Loaded:
    world: World
    archive: Archive
    store: FhirStore

    def page(self, query: str, token: str | None = None) -> SearchResult:
        searcher, context = self.store.searcher, self.store.context
        work = searcher.more(context, token) if token else searcher.search(context, request_of(query, strict=True))
        return self.archive.run(work)

    def pages(self, query: str) -> Iterator[SearchResult]:
        page = self.page(query)
        yield page
        while page.next:
            page = self.page(query, page.next)
            yield page

    def ids(self, query: str) -> list[str]:
        return [each.id for page in self.pages(query) for each in page.matches]


@pytest.fixture(scope="module")
def world(shared: Path) -> World:
    full = os.environ.get("TEST_LENGTH") == "full"
    return load(shared / "data/fhir/synthea", 1 if full else 7)


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def loaded(request: pytest.FixtureRequest, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with opened_archive(request, tmp_path_factory.mktemp("fhir")) as archive:
        store = FhirStore(archive.open())
        archive.run(store.load(world))
        yield Loaded(world, archive, store)


def ids_of(loaded: Loaded, case: Case) -> tuple[list[str], set[str]]:
    query, holds = case
    found = loaded.ids(f"{query}&_count=1000")
    assert len(found) == len(set(found))
    return found, loaded.world.where(query.partition("?")[0], holds)


@pytest.mark.parametrize(
    "case", [*TOKENS, *STRINGS, *DATES, *QUANTITIES, *COMPOSITES, *OTHERS], ids=lambda case: case[0]
)
def test_each_parameter_type_with_each_modifier_and_prefix(loaded: Loaded, case: Case) -> None:
    query, (found, wanted) = case[0], ids_of(loaded, case)
    assert set(found) == wanted
    counted = loaded.page(f"{query}&_summary=count")
    assert (counted.total, counted.matches) == (len(wanted), [])


def test_the_cases_are_not_idle(world: World) -> None:
    """Most of them find something, and not everything."""
    cases = [*TOKENS, *STRINGS, *DATES, *QUANTITIES, *COMPOSITES]
    sizes = [
        (len(world.where(type_, holds)), len(list(world.of(type_))))
        for query, holds in cases
        for type_ in [query.partition("?")[0]]
    ]
    assert sum(0 < found < all_ for found, all_ in sizes) > 0.7 * len(cases)


@pytest.mark.parametrize("case", CHAINS, ids=lambda case: case[0])
def test_chains_and_has_follow_references(loaded: Loaded, case: tuple[str, Linked]) -> None:
    query, linked = case
    found, wanted = ids_of(loaded, (query, linked(loaded.world)))
    assert set(found) == wanted
    assert loaded.page(f"{query}&_count=3&_total=accurate").total == len(wanted)


@pytest.mark.parametrize("form", [
    "subject={id}", "subject=Patient/{id}", "subject:Patient={id}", "patient={id}",
    "patient=http://example.org/fhir/Patient/{id}", "patient=Patient/{id},Patient/none",
])  # fmt: skip
def test_a_reference_is_found_in_every_form(loaded: Loaded, form: str) -> None:
    for patient in list(loaded.world.of("Patient"))[:3]:
        query = f"Observation?{form.format(id=patient['id'])}"
        found, wanted = ids_of(loaded, (query, referring("subject", f"Patient/{patient['id']}")))
        assert set(found) == wanted != set()


def test_a_compartment_holds_what_its_parameters_name(loaded: Loaded) -> None:
    patient = next(iter(loaded.world.of("Patient")))["id"]
    own = referring("subject", f"Patient/{patient}")
    assert set(loaded.ids(f"Patient/{patient}/Observation?_count=500")) == loaded.world.where("Observation", own)
    query = f"Patient/{patient}/Observation?code=8302-2&_count=500"
    assert set(loaded.ids(query)) == loaded.world.where("Observation", both(own, coded(CODE, "8302-2")))
    assert loaded.ids(f"Patient/{patient}/Practitioner") == []
    with pytest.raises(Problem, match="compartment"):
        loaded.ids("Patient/nobody/Observation")


def test_all_of_a_compartment_comes_in_pages(loaded: Loaded) -> None:
    patient = min(loaded.world.of("Patient"), key=lambda each: each["birthDate"], default=None)
    assert patient is not None
    pages = list(loaded.pages(f"Patient/{patient['id']}/*?_count=100&_type=Observation,Encounter,Condition"))
    found = [each.reference for page in pages for each in page.matches]
    own = referring("subject", f"Patient/{patient['id']}")
    wanted = [f"{each}/{id_}" for each in ("Observation", "Encounter", "Condition")
              for id_ in loaded.world.where(each, own)]  # fmt: skip
    assert sorted(found) == sorted(wanted)
    assert all(len(page.matches) == 100 for page in pages[:-1])


def least(path: str) -> Callable[[Json], Any]:
    return lambda r: min(map(str, at(r, path)), default=None)


def text(*paths: str, most: bool = False) -> Callable[[Json], Any]:
    choose = max if most else min
    return lambda r: choose((brute.folded(each) for path in paths for each in at(r, path)), default=None)


def moment(index: int, *paths: str) -> Callable[[Json], Any]:
    return lambda r: next((each[index] for each in brute.spans(r, *paths)), None)


SORTS: list[tuple[str, list[tuple[Callable[[Json], Any], bool]]]] = [
    ("Patient?_sort=birthdate", [(moment(0, "birthDate"), False)]),
    ("Patient?_sort=-birthdate", [(moment(1, "birthDate"), True)]),
    ("Patient?_sort=family", [(text("name.family"), False)]),
    ("Patient?_sort=-family", [(text("name.family", most=True), True)]),
    ("Patient?_sort=gender,-birthdate", [(least("gender"), False), (moment(1, "birthDate"), True)]),
    ("Patient?_sort=death-date", [(moment(0, "deceasedDateTime"), False)]),
    ("Patient?_sort=-death-date", [(moment(1, "deceasedDateTime"), True)]),
    ("Patient?_sort=-_id", [(least("id"), True)]),
    ("Observation?code=8302-2&_sort=date", [(moment(0, *OBSERVED), False)]),
    ("Observation?code=8302-2&_sort=-date", [(moment(1, *OBSERVED), True)]),
    ("Observation?subject.gender=female&code=8867-4&_sort=-date", [(moment(1, *OBSERVED), True)]),
    ("Observation?code=8302-2&_sort=-value-quantity", [(lambda r: r["valueQuantity"]["value"], True)]),
    ("Condition?_sort=-abatement-date", [(moment(1, "abatementDateTime"), True)]),
    ("Condition?_sort=abatement-date,_id", [(moment(0, "abatementDateTime"), False), (least("id"), False)]),
    ("Encounter?_has:Observation:encounter:code=8302-2&_sort=-date", [(moment(1, "period"), True)]),
]  # fmt: skip


@pytest.mark.parametrize("case", SORTS, ids=lambda case: case[0])
def test_results_are_sorted_and_none_is_lost(
    loaded: Loaded, case: tuple[str, list[tuple[Callable[[Json], Any], bool]]]
) -> None:
    query, orders = case
    resource_type = query.partition("?")[0]
    found = loaded.ids(f"{query}&_count=37")
    unsorted = loaded.ids(f"{query.partition('_sort')[0]}_count=1000")
    assert sorted(found) == sorted(unsorted) != []
    resources = [loaded.world.types[resource_type][each] for each in found]
    places = [[key(each) for key, _ in orders] for each in resources]
    for before, after in pairwise(places):
        assert _in_order(before, after, [descending for _, descending in orders]), (before, after)


def _in_order(before: list[Any], after: list[Any], ways: list[bool]) -> bool:
    for one, other, descending in zip(before, after, ways, strict=True):
        if one != other:
            if one is None or other is None:
                return other is None
            return bool(one > other if descending else one < other)
    return True


def test_the_shaped_search_gives_what_the_plain_one_gives(loaded: Loaded) -> None:
    """A patient's values of one code, newest first: answered by a key made for it."""
    for patient in loaded.world.of("Patient"):
        for code in ("8302-2", f"{LOINC}|8867-4", "29463-7,8302-2"):
            for date in ("", "&date=ge2014", "&date=lt2015&date=ge2011-02-03"):
                query = f"Observation?patient={patient['id']}&code={code}{date}"
                newest = loaded.ids(f"{query}&_sort=-date&_count=7")
                oldest = loaded.ids(f"{query}&_sort=date&_count=7")
                assert sorted(newest) == sorted(oldest) == sorted(loaded.ids(f"{query}&_count=500"))
                times = [moment(0, *OBSERVED)(loaded.world.types["Observation"][each]) for each in newest]
                assert times == sorted(times, reverse=True)
                times = [moment(0, *OBSERVED)(loaded.world.types["Observation"][each]) for each in oldest]
                assert times == sorted(times)


@pytest.mark.parametrize("case", INCLUDES, ids=lambda case: case[0])
def test_includes_belong_to_the_matches_of_their_page(
    loaded: Loaded, case: tuple[str, Callable[[World, Json], set[str]]]
) -> None:
    query, wanted = case
    count = "" if "_count" in query else "&_count=20"
    seen = []
    for page in loaded.pages(query + count):
        matches = {each.reference for each in page.matches}
        found = [each.reference for each in page.included]
        assert len(found) == len(set(found))
        resources = [loaded.world.find(each) for each in matches]
        assert set(found) == set().union(*(wanted(loaded.world, each) for each in resources)) - matches
        assert not page.warnings
        seen += [*matches]
    assert len(seen) == len(set(seen))
    assert set(seen) == {f"{query.partition('?')[0]}/{each}" for each in loaded.ids(query.partition("_")[0])}
