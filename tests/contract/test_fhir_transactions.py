"""Transactions and batches on every record store: all or nothing, in the standard's order, references rewritten."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from server.fhir.bundle.answers import EntryAnswer
from server.fhir.bundle.batch import Batches
from server.fhir.bundle.entries import Entry, all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.json_form import Resource
from server.fhir.stored import HISTORY
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, Small, content, patient

BASE = "http://weft.example/fhir"
IDENTIFIER = [{"system": "urn:test", "value": "7"}]
ONE = "urn:uuid:11111111-1111-4111-8111-111111111111"
TWO = "urn:uuid:22222222-2222-4222-8222-222222222222"


@pytest.fixture
def small(archive: Archive, store: Records) -> Small:
    return Small(store, archive.threads)


def entry(request: str, resource: Resource | None = None, full_url: str = "", **more: str) -> Resource:
    method, url = request.split(" ", 1)
    made: Resource = {"request": {"method": method, "url": url, **more}}
    if full_url:
        made["fullUrl"] = full_url
    return made | ({"resource": resource} if resource is not None else {})


def bundle(*entries: Resource, kind: str = "transaction") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def activating(resource: Resource) -> Callable[[Resource], Resource]:
    """A patch reader that knows one patch."""
    assert resource["resourceType"] == "Binary"
    name = base64.b64decode(resource["data"]).decode()
    return lambda before: before | {name: True}


async def read_back(small: Small, entry: Entry) -> EntryAnswer:
    resource_type, _, resource_id = entry.url.partition("/")
    return EntryAnswer(200, body=(await small.repository.read(CONTEXT, resource_type, resource_id)).body)


def run(archive: Archive, small: Small, request: Resource) -> list[EntryAnswer]:
    async def perform(_: Any, entry: Entry) -> EntryAnswer:
        return await read_back(small, entry)

    kind, entries = parse_bundle(request, BASE, 5000)
    if kind == "batch":
        return archive.run(Batches(small.repository, activating).run(CONTEXT, entries, perform))
    return archive.run(Transactions(small.repository, activating).run(CONTEXT, all_sound(entries), perform))


def refused(archive: Archive, small: Small, request: Resource) -> Problem:
    before = archive.run(small.records.count(HISTORY, EVERYTHING, at_most=1000))
    with pytest.raises(Problem) as raised:
        run(archive, small, request)
    assert archive.run(small.records.count(HISTORY, EVERYTHING, at_most=1000)) == before
    return raised.value


def observation(subject: str, **more: Any) -> Resource:
    return {"resourceType": "Observation", "status": "final", "subject": {"reference": subject}} | more


def stored(answer: EntryAnswer) -> Resource:
    assert answer.stored is not None
    return content(answer.stored)


def test_names_within_the_bundle_become_ids(archive: Archive, small: Small) -> None:
    answers = run(
        archive,
        small,
        bundle(
            entry("POST Observation", observation(ONE, hasMember=[{"reference": TWO}]), TWO),
            entry("POST Patient", patient(), ONE),
        ),
    )
    first, second = answers
    assert [each.status for each in answers] == [201, 201]
    assert stored(first)["subject"] == {"reference": f"Patient/{stored(second)['id']}"}
    assert stored(first)["hasMember"] == [{"reference": f"Observation/{stored(first)['id']}"}]
    assert first.stored is not None
    assert first.stored == archive.run(small.repository.read(CONTEXT, "Observation", first.stored.id))


def test_the_order_of_entries_does_not_matter_and_reads_see_writes(archive: Archive, small: Small) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "old", patient(id="old", identifier=IDENTIFIER)))
    answers = run(
        archive,
        small,
        bundle(
            entry("GET Patient/a"),
            entry("PUT Patient/a", patient("Li", id="a")),
            entry("POST Patient", patient(identifier=IDENTIFIER), ifNoneExist="identifier=urn:test|7"),
            entry("DELETE Patient/old"),
            entry("DELETE Patient/never"),
        ),
    )
    assert [each.status for each in answers] == [200, 201, 201, 204, 204]
    assert b'"Li"' in answers[0].body
    assert answers[3].stored is not None
    assert answers[3].stored.is_deleted


def test_a_failing_entry_undoes_all_and_is_named(archive: Archive, small: Small) -> None:
    problem = refused(
        archive,
        small,
        bundle(entry("POST Patient", patient()), entry("PUT Patient/a", patient(id="a", gender="m"))),
    )
    assert problem.kind is Kind.UNSUPPORTED
    assert [each.location for each in problem.issues] == ["Bundle.entry[1].resource.gender"]


@pytest.mark.parametrize(
    ("entries", "kind", "location"),
    [
        ([entry("PUT Patient/a", patient(id="b"))], Kind.INVALID, "Bundle.entry[0].resource.id"),
        ([entry("PUT Patient/a", patient(id="a"), ifMatch='W/"3"')], Kind.PRECONDITION, "Bundle.entry[0]"),
        ([entry("POST Patient", observation("x"))], Kind.INVALID, "Bundle.entry[0].resource"),
        ([entry("POST Observation", observation(ONE))], Kind.INVALID, "Bundle.entry[0]"),
        ([entry("PATCH Patient/a", {"resourceType": "Binary", "data": "eA=="})], Kind.NOT_FOUND, "Bundle.entry[0]"),
        ([entry("POST Patient", patient()), entry("POST Patient/$x", patient())], Kind.UNSUPPORTED, "Bundle.entry[1]"),
        ([entry("PUT Patient?nonsense=1", patient())], Kind.INVALID, None),
        (
            [entry("PUT Patient/a", patient(id="a")), entry("DELETE Patient/a")],
            Kind.INVALID,
            "Bundle.entry[1]",
        ),
        (
            [entry("PUT Patient?family=x", patient()), entry("PUT Patient?family=x", patient())],
            Kind.INVALID,
            "Bundle.entry[1]",
        ),
        (
            [entry("POST Patient", patient(), ifNoneExist="family=x"), entry("PUT Patient?family=x", patient())],
            Kind.INVALID,
            "Bundle.entry[1]",
        ),
        (
            [entry("POST Patient", patient(), ONE), entry("POST Patient", patient(), ONE)],
            Kind.INVALID,
            "Bundle.entry[1].fullUrl",
        ),
        ([entry("POST Observation", observation("Patient?identifier=8"))], Kind.PRECONDITION, "Bundle.entry[0]"),
    ],
)  # fmt: skip
def test_a_transaction_is_refused_whole(
    archive: Archive, small: Small, entries: list[Resource], kind: Kind, location: str | None
) -> None:
    problem = refused(archive, small, bundle(*entries))
    assert problem.kind is kind
    if location:
        assert problem.issues[0].location == location


def test_conditional_creates_share_what_is_there_and_what_they_make(archive: Archive, small: Small) -> None:
    there = archive.run(small.repository.create(CONTEXT, "Patient", patient(identifier=IDENTIFIER))).stored
    answers = run(
        archive,
        small,
        bundle(
            entry("POST Patient", patient(), ONE, ifNoneExist="identifier=urn:test|7"),
            entry("POST Group", {"resourceType": "Group"}, "urn:uuid:3", ifNoneExist="identifier=1"),
            entry("POST Group", {"resourceType": "Group"}, TWO, ifNoneExist="identifier=1"),
            entry("POST Observation", observation(ONE, focus=[{"reference": "urn:uuid:3"}, {"reference": TWO}])),
        ),
    )
    assert [each.status for each in answers] == [200, 201, 200, 201]
    group = f"Group/{stored(answers[1])['id']}"
    assert stored(answers[3])["subject"] == {"reference": there.reference}
    assert stored(answers[3])["focus"] == [{"reference": group}, {"reference": group}]
    assert answers[0].stored == there


def test_conditional_references_find_the_stored_and_the_written(archive: Archive, small: Small) -> None:
    there = archive.run(small.repository.create(CONTEXT, "Group", {"resourceType": "Group", "identifier": IDENTIFIER}))
    request = bundle(
        *(entry("POST Observation", observation("Patient?identifier=urn:test|7", focus=[
            {"reference": "Group?identifier=urn:test|7"}])) for _ in range(50)),
        entry("PUT Patient?identifier=urn:test|7", patient(identifier=IDENTIFIER)),
    )  # fmt: skip
    before = small.searcher.searches
    answers = run(archive, small, request)
    assert small.searcher.searches - before == 3
    written = stored(answers[-1])["id"]
    for answer in answers[:-1]:
        assert stored(answer)["subject"] == {"reference": f"Patient/{written}"}
        assert stored(answer)["focus"] == [{"reference": there.stored.reference}]
    again = run(archive, small, request)
    assert [each.status for each in (again[0], again[-1])] == [201, 200]
    assert stored(again[0])["subject"] == {"reference": f"Patient/{written}"}


def test_a_conditional_reference_ignores_what_the_transaction_deletes(archive: Archive, small: Small) -> None:
    for name in "ab":
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(id=name, identifier=IDENTIFIER)))
    several = refused(archive, small, bundle(entry("POST Observation", observation("Patient?identifier=7"))))
    assert (several.kind, several.issues[0].code) == (Kind.PRECONDITION, "multiple-matches")
    answers = run(
        archive,
        small,
        bundle(entry("POST Observation", observation("Patient?identifier=7")), entry("DELETE Patient/b")),
    )
    assert stored(answers[0])["subject"] == {"reference": "Patient/a"}


def test_conditional_references_outside_a_transaction_are_resolved_too(archive: Archive, small: Small) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a", identifier=IDENTIFIER)))
    written = archive.run(small.repository.create(CONTEXT, "Observation", observation("Patient?identifier=7")))
    assert content(written.stored)["subject"] == {"reference": "Patient/a"}
    with pytest.raises(Problem):
        archive.run(small.repository.create(CONTEXT, "Observation", observation("Patient?identifier=8")))


def test_patches_and_deletes_by_criteria(archive: Archive, small: Small) -> None:
    for name, family in (("a", "Wang"), ("b", "Li")):
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(family, id=name)))
    binary = {"resourceType": "Binary", "contentType": "x", "data": base64.b64encode(b"active").decode()}
    answers = run(
        archive,
        small,
        bundle(
            entry("PATCH Patient?family=wang", binary, ifMatch='W/"1"'),
            entry("DELETE Patient?family=li"),
            entry("DELETE Patient?family=none"),
        ),
    )
    assert [each.status for each in answers] == [200, 204, 204]
    assert stored(answers[0])["active"] is True
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=9)) == 1


def test_references_to_a_version_follow_the_new_version(archive: Archive, small: Small) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    answers = run(
        archive,
        small,
        bundle(
            entry("PUT Patient/a", patient(id="a"), f"{BASE}/Patient/a"),
            entry("POST Observation", observation("Patient/a/_history/1")),
        ),
    )
    assert stored(answers[1])["subject"] == {"reference": "Patient/a/_history/2"}
    assert stored(answers[0])["meta"]["versionId"] == "2"


def test_an_unchanged_update_makes_no_version(archive: Archive, small: Small) -> None:
    request = bundle(entry("PUT Patient/a", patient(id="a")), entry("PUT Patient/b", patient(id="b")))
    assert [each.status for each in run(archive, small, request)] == [201, 201]
    assert [each.status for each in run(archive, small, request)] == [200, 200]
    assert archive.run(small.records.count(HISTORY, EVERYTHING, at_most=9)) == 2


def test_of_equal_transactions_at_once_one_makes_the_resources(archive: Archive, small: Small) -> None:
    other = Small(archive.open(), archive.threads)
    request = bundle(
        entry("POST Patient", patient(identifier=IDENTIFIER), ONE, ifNoneExist="identifier=urn:test|7"),
        entry("POST Observation", observation(ONE)),
    )

    async def race() -> list[list[EntryAnswer]]:
        _, entries = parse_bundle(request, BASE, 10)

        async def perform(_: Any, entry: Entry) -> EntryAnswer:
            return await read_back(small, entry)

        return await asyncio.gather(*(
            Transactions(each.repository, activating).run(CONTEXT, all_sound(entries), perform)
            for each in (small, other) * 3
        ))  # fmt: skip

    outcomes = archive.run(race())
    assert sorted(answers[0].status for answers in outcomes) == [200] * 5 + [201]
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=9)) == 1
    assert {str(stored(answers[1])["subject"]) for answers in outcomes} == {
        str({"reference": f"Patient/{stored(outcomes[0][0])['id']}"})
    }


def test_five_thousand_entries_go_in_at_once(archive: Archive, small: Small) -> None:
    entries = [entry("POST Observation", observation(ONE, valueInteger=number)) for number in range(4999)]
    answers = run(archive, small, bundle(entry("POST Patient", patient(), ONE), *entries))
    assert len(answers) == 5000
    assert archive.run(small.records.count("fhir-Observation", EVERYTHING, at_most=9999)) == 4999
    with pytest.raises(Problem) as raised:
        run(archive, small, bundle(*entries, entries[0], entries[0]))
    assert raised.value.issues[0].code == "too-costly"


def test_entries_of_a_batch_stand_alone(archive: Archive, small: Small) -> None:
    archive.run(small.repository.update(CONTEXT, "Patient", "a", patient(id="a")))
    answers = run(
        archive,
        small,
        bundle(
            entry("POST Observation", observation("Patient?identifier=7")),
            entry("POST Patient", patient(identifier=IDENTIFIER), ONE, ifNoneExist="identifier=7"),
            entry("POST Patient", patient(gender="m")),
            entry("DELETE Patient/a"),
            {"request": {"method": "POST"}},
            entry("PUT Patient?family=li", patient("Li")),
            entry("GET Patient/a"),
            entry("POST Observation", observation(ONE)),
            kind="batch",
        ),
    )
    assert [each.status if each.problem is None else each.problem.kind for each in answers] == [
        201, 201, Kind.UNSUPPORTED, 204, Kind.INVALID, 201, Kind.GONE, 201,
    ]  # fmt: skip
    assert stored(answers[0])["subject"] == {"reference": f"Patient/{stored(answers[1])['id']}"}
    assert stored(answers[7])["subject"] == {"reference": ONE}
    assert answers[2].problem is not None
    assert answers[2].problem.issues[0].location == "Bundle.entry[2].resource.gender"


def test_references_can_be_enforced(archive: Archive, store: Records) -> None:
    small = Small(store, archive.threads, enforces_references=True)
    repository = small.repository
    unknown = observation("Patient/a", performer=[{"reference": "http://other.example/Practitioner/1"}])
    with pytest.raises(Problem) as raised:
        archive.run(repository.create(CONTEXT, "Observation", unknown))
    assert raised.value.kind is Kind.UNSUPPORTED
    answers = run(
        archive,
        small,
        bundle(entry("POST Observation", observation(ONE), TWO), entry("POST Patient", patient(), ONE)),
    )
    subject = str(stored(answers[1])["id"])
    with pytest.raises(Problem) as raised:
        archive.run(repository.delete(CONTEXT, "Patient", subject))
    assert raised.value.kind is Kind.CONFLICT
    problem = refused(
        archive,
        small,
        bundle(entry("POST Observation", observation(f"Patient/{subject}")), entry(f"DELETE Patient/{subject}")),
    )
    assert problem.kind is Kind.UNSUPPORTED
    both = bundle(entry(f"DELETE Observation/{stored(answers[0])['id']}"), entry(f"DELETE Patient/{subject}"))
    assert [each.status for each in run(archive, small, both)] == [204, 204]
