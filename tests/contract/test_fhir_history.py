"""Histories on every record store: what they hold, in which order, and pages that stay as they were."""

from __future__ import annotations

import pytest

from server.fhir.history import HistoryPage, HistoryRequest, parse_history
from server.fhir.stored import Stored
from server.kernel.context import SERVER, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, Small, patient

TYPES = ("Group", "Patient")


@pytest.fixture
def small(archive: Archive, store: Records) -> Small:
    """Patients a (1, 2, deleted) and b, a group in between."""
    small = Small(store, archive.threads)

    async def fill() -> None:
        repository = small.repository
        await repository.update(CONTEXT, "Patient", "a", patient("1", id="a"))
        await repository.update(CONTEXT, "Patient", "b", patient("1", id="b"))
        await repository.update(CONTEXT, "Patient", "a", patient("2", id="a"))
        await repository.create(CONTEXT, "Group", {"resourceType": "Group"})
        await repository.delete(CONTEXT, "Patient", "a")

    archive.run(fill())
    return small


def told(page: HistoryPage) -> list[str]:
    return [f"{each.id if each.type == 'Patient' else 'g'}{each.version}{each.method}" for each in page.versions]


def moment_of(archive: Archive, small: Small, resource_id: str, version: int) -> Stored:
    page = archive.run(small.history.of_instance(CONTEXT, "Patient", resource_id, HistoryRequest()))
    return next(each for each in page.versions if each.version == version)


def test_histories_are_newest_first_with_deletions(archive: Archive, small: Small) -> None:
    history = small.history
    instance = archive.run(history.of_instance(CONTEXT, "Patient", "a", HistoryRequest()))
    type_level = archive.run(history.of_type(CONTEXT, "Patient", HistoryRequest()))
    system = archive.run(history.of_system(CONTEXT, TYPES, HistoryRequest()))
    assert told(instance) == ["a3DELETE", "a2PUT", "a1PUT"]
    assert told(type_level) == ["a3DELETE", "a2PUT", "b1PUT", "a1PUT"]
    assert told(system) == ["a3DELETE", "g1POST", "a2PUT", "b1PUT", "a1PUT"]
    assert [each.total for each in (instance, type_level, system)] == [3, 4, 5]
    with pytest.raises(Problem) as raised:
        archive.run(history.of_instance(CONTEXT, "Patient", "c", HistoryRequest()))
    assert raised.value.kind is Kind.NOT_FOUND


def test_since_is_inclusive(archive: Archive, small: Small) -> None:
    second = moment_of(archive, small, "a", 2)
    request = parse_history([("_since", second.last_updated_text)])
    assert told(archive.run(small.history.of_instance(CONTEXT, "Patient", "a", request))) == ["a3DELETE", "a2PUT"]
    system = archive.run(small.history.of_system(CONTEXT, TYPES, request))
    assert told(system) == ["a3DELETE", "g1POST", "a2PUT"]
    assert system.total == 3
    future = parse_history([("_since", "2100-01-01T00:00:00Z")])
    assert archive.run(small.history.of_type(CONTEXT, "Patient", future)) == HistoryPage([], 0, None)


def test_at_gives_what_was_current_then(archive: Archive, small: Small) -> None:
    def at(text: str) -> list[str]:
        return told(archive.run(small.history.of_system(CONTEXT, TYPES, parse_history([("_at", text)]))))

    begun = moment_of(archive, small, "b", 1)
    assert at(begun.last_updated_text) == ["b1PUT", "a1PUT"]
    assert at(moment_of(archive, small, "a", 2).last_updated_text) == ["a2PUT", "b1PUT"]
    assert at("2026-11-23") == ["g1POST", "b1PUT"]
    assert at("2026-11-22") == ["a3DELETE", "g1POST", "a2PUT", "b1PUT", "a1PUT"]
    assert at("2020") == []
    instance = small.history.of_instance(CONTEXT, "Patient", "a", parse_history([("_at", begun.last_updated_text)]))
    assert told(archive.run(instance)) == ["a1PUT"]


def test_pages_tell_of_the_same_versions_while_more_are_written(archive: Archive, small: Small) -> None:
    async def read(level: str) -> tuple[list[str], set[int | None]]:
        found: list[str] = []
        totals: set[int | None] = set()
        after: str | None = None
        for number in range(10):
            request = HistoryRequest(count=1, after=after)
            if level == "system":
                page = await small.history.of_system(CONTEXT, TYPES, request)
            else:
                page = await small.history.of_instance(CONTEXT, "Patient", "a", request)
            found += told(page)
            totals.add(page.total)
            after = page.next
            if after is None:
                break
            await small.repository.update(CONTEXT, "Patient", "a", patient(f"{level} {number}", id="a"))
        return found, totals

    assert archive.run(read("instance")) == (["a3DELETE", "a2PUT", "a1PUT"], {3})
    system, totals = archive.run(read("system"))
    assert system[-5:] == ["a3DELETE", "g1POST", "a2PUT", "b1PUT", "a1PUT"]
    assert totals == {len(system)} == {7}


def test_what_is_written_at_one_moment_is_told_once(archive: Archive, small: Small) -> None:
    small.clock.moment = small.clock.moment.replace(year=2027)
    moment = small.clock.moment

    async def write() -> list[str]:
        for number in range(7):
            small.clock.moment = moment
            await small.repository.create(CONTEXT, "Group", {"resourceType": "Group", "quantity": number})
        ids: list[str] = []
        after: str | None = None
        while True:
            page = await small.history.of_type(CONTEXT, "Group", HistoryRequest(count=3, after=after))
            ids += [each.id for each in page.versions]
            after = page.next
            if after is None:
                return ids

    ids = archive.run(write())
    assert len(ids) == len(set(ids)) == 8


def test_a_count_of_nothing_gives_the_total(archive: Archive, small: Small) -> None:
    for work in (
        small.history.of_type(CONTEXT, "Patient", HistoryRequest(count=0)),
        small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest(count=0)),
    ):
        page = archive.run(work)
        assert (page.versions, page.next) == ([], None)
        assert page.total in (3, 4)


def test_the_system_history_holds_the_types_the_actor_may_read(archive: Archive, small: Small) -> None:
    some = Context(Actor("x", "x", (Grant(frozenset({"search"}), frozenset({"Group"})),), frozenset({SERVER})), "test")
    nothing = Context(Actor("y", "y", ()), "test")
    assert told(archive.run(small.history.of_system(some, TYPES, HistoryRequest()))) == ["g1POST"]
    for work in (
        small.history.of_system(nothing, TYPES, HistoryRequest()),
        small.history.of_type(some, "Patient", HistoryRequest()),
        small.history.of_instance(some, "Patient", "a", HistoryRequest()),
    ):
        with pytest.raises(Problem) as raised:
            archive.run(work)
        assert raised.value.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("page", ["x", "%", "W10", "WzEsMSwieCJd", "WzEsMSwiIl0x"])
def test_a_page_nobody_gave_is_refused(archive: Archive, small: Small, page: str) -> None:
    for work in (
        small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest(after=page)),
        small.history.of_type(CONTEXT, "Patient", HistoryRequest(after=page)),
    ):
        with pytest.raises(Problem) as raised:
            archive.run(work)
        assert raised.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    "pairs",
    [
        [("_since", "2026-11-22")],
        [("_since", "2026-11-22T09:00:00")],
        [("_since", "x")],
        [("_at", "yesterday")],
        [("_count", "-1")],
        [("_count", "ten")],
        [("_count", "1"), ("_count", "2")],
        [("_at", "2026"), ("_at", "2027")],
    ],
)
def test_a_bad_request_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Problem) as raised:
        parse_history(pairs)
    assert raised.value.kind is Kind.INVALID


def test_counts_are_capped() -> None:
    assert parse_history([("_count", "99999"), ("_format", "json")]).count == 1000
    assert parse_history([]) == HistoryRequest()
