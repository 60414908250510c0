"""The repository on every record store: versions, conditions, races, histories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.fhir.committing import Status, Written
from server.fhir.history import HistoryRequest
from server.fhir.json_form import Resource, decode
from server.fhir.stored import HISTORY, Stored
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, Small, content, patient

IDENTIFIER = [{"system": "urn:test", "value": "7"}]


@pytest.fixture
def small(archive: Archive, store: Records) -> Small:
    return Small(store, archive.threads)


def problem_of(archive: Archive, work: Coroutine[Any, Any, object]) -> Problem:
    with pytest.raises(Problem) as raised:
        archive.run(work)
    return raised.value


def test_a_created_resource_is_read_as_it_was_sent_but_for_id_and_meta(archive: Archive, small: Small) -> None:
    sent = decode(
        b'{"resourceType":"Patient","id":"mine","meta":{"versionId":"9","lastUpdated":"2000-01-01T00:00:00Z",'
        b'"source":"urn:x","tag":[{"code":"t"}]},"extension":[{"url":"urn:e","valueDecimal":1.10}],"active":true}'
    )
    written = archive.run(small.repository.create(CONTEXT, "Patient", sent))
    read = archive.run(small.repository.read(CONTEXT, "Patient", written.stored.id))
    assert written.status is Status.CREATED
    assert read == written.stored
    assert read.id != "mine"
    moment = read.last_updated_text
    assert read.body.decode() == (
        f'{{"resourceType":"Patient","id":"{read.id}","meta":{{"versionId":"1","lastUpdated":"{moment}",'
        '"source":"urn:x","tag":[{"code":"t"}]},"extension":[{"url":"urn:e","valueDecimal":1.10}],"active":true}'
    )
    assert (read.version, read.etag, read.method) == (1, 'W/"1"', "POST")


def test_versions_are_counted_through_deletion_and_revival(archive: Archive, small: Small) -> None:
    async def life() -> list[object]:
        repository = small.repository
        first = await repository.update(CONTEXT, "Patient", "a", patient(id="a"))
        second = await repository.update(CONTEXT, "Patient", "a", patient("Li", id="a"))
        deleted = await repository.delete(CONTEXT, "Patient", "a")
        again = await repository.delete(CONTEXT, "Patient", "a")
        revived = await repository.update(CONTEXT, "Patient", "a", patient("Li", id="a"))
        return [first, second, deleted, again, revived]

    first, second, deleted, again, revived = archive.run(life())
    assert isinstance(first, Written)
    assert isinstance(second, Written)
    assert isinstance(deleted, Stored)
    assert isinstance(revived, Written)
    assert [first.status, second.status, revived.status] == [Status.CREATED, Status.UPDATED, Status.CREATED]
    assert [first.stored.version, second.stored.version, deleted.version, revived.stored.version] == [1, 2, 3, 4]
    assert again == deleted
    versions = archive.run(small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest())).versions
    assert [(each.version, each.method) for each in versions] == [(4, "PUT"), (3, "DELETE"), (2, "PUT"), (1, "PUT")]


def test_reading_tells_the_deleted_from_what_never_was(archive: Archive, small: Small) -> None:
    repository = small.repository
    archive.run(repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    archive.run(repository.delete(CONTEXT, "Patient", "a"))
    assert archive.run(repository.delete(CONTEXT, "Patient", "never")) is None
    deleted = problem_of(archive, repository.read(CONTEXT, "Patient", "a"))
    assert (deleted.kind, deleted.headers) == (Kind.GONE, {"ETag": 'W/"2"'})
    assert problem_of(archive, repository.read(CONTEXT, "Patient", "never")).kind is Kind.NOT_FOUND
    assert problem_of(archive, repository.vread(CONTEXT, "Patient", "a", "2")).kind is Kind.GONE
    assert problem_of(archive, repository.vread(CONTEXT, "Patient", "a", "3")).kind is Kind.NOT_FOUND
    assert problem_of(archive, repository.vread(CONTEXT, "Patient", "a", "1/1")).kind is Kind.NOT_FOUND
    assert archive.run(repository.vread(CONTEXT, "Patient", "a", "1")).version == 1


def test_an_update_without_a_change_makes_no_version(archive: Archive, small: Small) -> None:
    sent = decode(
        b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.10,"unit":"mg"},"status":"final"}'
    )
    other_order = decode(
        b'{"status":"final","id":"o","resourceType":"Observation","valueQuantity":{"unit":"mg","value":1.10}}'
    )
    fewer_digits = decode(
        b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.1,"unit":"mg"},"status":"final"}'
    )
    outcomes = [
        archive.run(small.repository.update(CONTEXT, "Observation", "o", each))
        for each in (sent, sent, other_order, fewer_digits)
    ]
    assert [each.status for each in outcomes] == [
        Status.CREATED, Status.UNCHANGED, Status.UNCHANGED, Status.UPDATED,
    ]  # fmt: skip
    stored = content(outcomes[0].stored)
    assert archive.run(small.repository.update(CONTEXT, "Observation", "o", stored)).status is Status.UPDATED
    assert archive.run(small.records.count(HISTORY, EVERYTHING, at_most=10)) == 3


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "kind"),
    [
        ('W/"1"', None, None),
        ('"1"', None, None),
        ('W/"7", W/"1"', None, None),
        ("*", None, None),
        (None, 'W/"2"', None),
        ('W/"2"', None, Kind.PRECONDITION),
        (None, "*", Kind.PRECONDITION),
        (None, 'W/"1"', Kind.PRECONDITION),
        ("1", None, Kind.INVALID),
        ("", None, Kind.INVALID),
    ],
)
def test_conditions_of_an_update(
    archive: Archive, small: Small, if_match: str | None, if_none_match: str | None, kind: Kind | None
) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    work = small.repository.update(CONTEXT, "Patient", "a", patient("Li", id="a"), if_match, if_none_match)
    if kind is None:
        assert archive.run(work).stored.version == 2
    else:
        assert problem_of(archive, work).kind is kind
        assert archive.run(small.repository.read(CONTEXT, "Patient", "a")).version == 1


def test_conditions_on_what_is_not_there(archive: Archive, small: Small) -> None:
    repository = small.repository
    wanted = [
        repository.update(CONTEXT, "Patient", "a", patient(id="a"), 'W/"1"'),
        repository.delete(CONTEXT, "Patient", "a", "*"),
        repository.delete_matching(CONTEXT, "Patient", "family=x", 'W/"1"'),
        repository.update_matching(CONTEXT, "Patient", "family=x", patient(), 'W/"1"'),
    ]
    assert [problem_of(archive, each).kind for each in wanted] == [Kind.PRECONDITION] * 4
    created = archive.run(repository.update(CONTEXT, "Patient", "a", patient(id="a"), None, "*"))
    assert created.status is Status.CREATED


def test_an_update_needs_the_id_and_type_of_its_url(archive: Archive, small: Small) -> None:
    repository = small.repository
    for resource in (patient(), patient(id="b"), {"resourceType": "Group", "id": "a"}, {"id": "a"}):
        assert problem_of(archive, repository.update(CONTEXT, "Patient", "a", resource)).kind is Kind.INVALID
    assert problem_of(archive, repository.update(CONTEXT, "Patient", "ü", patient(id="ü"))).kind is Kind.INVALID
    wrong_meta = repository.update(CONTEXT, "Patient", "a", patient(id="a", meta="x"))
    assert problem_of(archive, wrong_meta).issues[0].location == "Patient.meta"


def test_what_is_refused_leaves_nothing(archive: Archive, small: Small) -> None:
    refused = problem_of(archive, small.repository.create(CONTEXT, "Patient", patient(gender="m")))
    assert (refused.kind, refused.issues[0].location) == (Kind.UNSUPPORTED, "Patient.gender")
    assert archive.run(small.records.count(HISTORY, EVERYTHING, at_most=10)) == 0


def test_conditional_create(archive: Archive, small: Small) -> None:
    repository = small.repository
    criteria = "identifier=urn:test%7C7"
    made = archive.run(repository.create(CONTEXT, "Patient", patient(identifier=IDENTIFIER), criteria))
    for text in (criteria, "?" + criteria, "Patient?" + criteria, criteria + "&_format=json"):
        found = archive.run(repository.create(CONTEXT, "Patient", patient("Li"), text))
        assert (found.status, found.stored) == (Status.MATCHED, made.stored)
    archive.run(repository.create(CONTEXT, "Patient", patient(identifier=IDENTIFIER)))
    several = problem_of(archive, repository.create(CONTEXT, "Patient", patient(), criteria))
    assert (several.kind, several.issues[0].code) == (Kind.PRECONDITION, "multiple-matches")


@pytest.mark.parametrize("criteria", ["", "?", "identifier=", "_format=json", "_sort=family", "nonsense=1", "family"])
def test_criteria_that_select_nothing_are_refused(archive: Archive, small: Small, criteria: str) -> None:
    archive.run(small.repository.create(CONTEXT, "Patient", patient()))
    for work in (
        small.repository.create(CONTEXT, "Patient", patient(), criteria),
        small.repository.update_matching(CONTEXT, "Patient", criteria, patient()),
        small.repository.delete_matching(CONTEXT, "Patient", criteria),
    ):
        assert problem_of(archive, work).kind is Kind.INVALID
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=10)) == 1


def test_conditional_update(archive: Archive, small: Small) -> None:
    def put(resource: Resource, **conditions: str) -> Written:
        work = small.repository.update_matching(CONTEXT, "Patient", "identifier=urn:test|7", resource, **conditions)
        return archive.run(work)

    first = put(patient(identifier=IDENTIFIER))
    second = put(patient("Li", identifier=IDENTIFIER))
    third = put(patient("Ma", identifier=IDENTIFIER, id=first.stored.id), if_match='W/"2"')
    assert {each.stored.id for each in (first, second, third)} == {first.stored.id}
    assert [each.status for each in (first, second, third)] == [Status.CREATED, Status.UPDATED, Status.UPDATED]
    work = small.repository.update_matching
    other = work(CONTEXT, "Patient", "identifier=urn:test|7", patient(id="other"))
    late = work(CONTEXT, "Patient", "identifier=urn:test|7", patient("Bo"), 'W/"2"')
    assert [problem_of(archive, each).kind for each in (other, late)] == [Kind.INVALID, Kind.PRECONDITION]
    named = archive.run(work(CONTEXT, "Patient", "identifier=urn:test|8", patient(id="eight")))
    assert (named.status, named.stored.id, named.stored.method) == (Status.CREATED, "eight", "PUT")


def test_conditional_delete(archive: Archive, small: Small) -> None:
    repository = small.repository
    for family in ("Wang", "Wang", "Li"):
        archive.run(repository.create(CONTEXT, "Patient", patient(family)))
    assert archive.run(repository.delete_matching(CONTEXT, "Patient", "family=none")) == []
    assert len(archive.run(repository.delete_matching(CONTEXT, "Patient", "family=li"))) == 1
    assert problem_of(archive, repository.delete_matching(CONTEXT, "Patient", "family=wang")).kind is Kind.PRECONDITION
    several = Small(small.records, archive.threads, most_deleted=2).repository
    assert len(archive.run(several.delete_matching(CONTEXT, "Patient", "family=wang"))) == 2
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=10)) == 0


def test_patches_change_the_current_version(archive: Archive, small: Small) -> None:
    repository = small.repository
    archive.run(repository.update(CONTEXT, "Patient", "a", patient(id="a", identifier=IDENTIFIER)))

    def active(resource: Resource) -> Resource:
        return resource | {"active": True}

    patched = archive.run(repository.patch(CONTEXT, "Patient", "a", active, 'W/"1"'))
    again = archive.run(repository.patch_matching(CONTEXT, "Patient", "identifier=7", active))
    assert (patched.status, content(patched.stored)["active"]) == (Status.UPDATED, True)
    assert (again.status, again.stored.version) == (Status.UNCHANGED, 2)
    assert problem_of(archive, repository.patch(CONTEXT, "Patient", "b", active)).kind is Kind.NOT_FOUND
    missing = repository.patch_matching(CONTEXT, "Patient", "identifier=8", active)
    assert problem_of(archive, missing).kind is Kind.NOT_FOUND
    assert problem_of(archive, repository.patch(CONTEXT, "Patient", "a", active, 'W/"1"')).kind is Kind.PRECONDITION


@pytest.mark.parametrize(
    "change",
    [
        lambda resource: resource | {"id": "b"},
        lambda resource: {name: value for name, value in resource.items() if name != "id"},
        lambda resource: resource | {"resourceType": "Group"},
        lambda resource: resource | {"meta": {"versionId": "9"}},
        lambda resource: resource | {"meta": {"lastUpdated": "2000-01-01T00:00:00Z"}},
        lambda resource: resource | {"meta": []},
    ],
)
def test_a_patch_leaves_id_type_and_version_alone(
    archive: Archive, small: Small, change: Callable[[Resource], Resource]
) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    assert problem_of(archive, small.repository.patch(CONTEXT, "Patient", "a", change)).kind is Kind.INVALID


def test_a_patch_drops_a_generated_narrative_it_made_stale(archive: Archive, small: Small) -> None:
    texts = {"a": {"status": "generated", "div": "<div>x</div>"}, "b": {"status": "additional", "div": "<div>x</div>"}}
    for name, text in texts.items():
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(id=name, text=text)))
        archive.run(small.repository.patch(CONTEXT, "Patient", name, lambda resource: resource | {"active": True}))
    a, b = (content(archive.run(small.repository.read(CONTEXT, "Patient", name))) for name in "ab")
    assert "text" not in a
    assert b["text"] == texts["b"]


def test_of_equal_conditional_writes_at_once_one_makes_the_resource(archive: Archive, small: Small) -> None:
    other = Small(archive.open(), archive.threads)

    async def race() -> list[Written]:
        creates = [
            each.repository.create(CONTEXT, "Patient", patient(identifier=IDENTIFIER), "identifier=urn:test|7")
            for each in (small, other) * 4
        ]
        return await asyncio.gather(*creates)

    outcomes = archive.run(race())
    assert sorted(each.status for each in outcomes) == [Status.CREATED] + [Status.MATCHED] * 7
    assert len({each.stored.id for each in outcomes}) == 1
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=10)) == 1

    async def updates() -> list[Written]:
        identifier = [{"system": "urn:test", "value": "8"}]
        return await asyncio.gather(*(
            each.repository.update_matching(
                CONTEXT, "Patient", "identifier=urn:test|8", patient(str(number), identifier=identifier)
            )
            for number, each in enumerate((small, other) * 2)
        ))  # fmt: skip

    assert len({each.stored.id for each in archive.run(updates())}) == 1


def test_of_updates_under_the_same_if_match_exactly_one_wins(archive: Archive, small: Small) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    other = Small(archive.open(), archive.threads)

    async def race() -> list[Written | BaseException]:
        return await asyncio.gather(
            *(
                each.repository.update(CONTEXT, "Patient", "a", patient(str(number), id="a"), 'W/"1"')
                for number, each in enumerate((small, other) * 3)
            ),
            return_exceptions=True,
        )

    outcomes = archive.run(race())
    assert sum(isinstance(each, Written) for each in outcomes) == 1
    assert [each.kind for each in outcomes if isinstance(each, Problem)] == [Kind.PRECONDITION] * 5


def test_writers_without_conditions_all_get_through(archive: Archive, small: Small) -> None:
    async def race() -> list[Written]:
        return await asyncio.gather(*(
            small.repository.update(CONTEXT, "Patient", "a", patient(str(number), id="a")) for number in range(8)
        ))  # fmt: skip

    assert sorted(each.stored.version for each in archive.run(race())) == list(range(1, 9))
    versions = archive.run(small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest())).versions
    moments = [each.last_updated for each in versions]
    assert moments == sorted(set(moments), reverse=True)
