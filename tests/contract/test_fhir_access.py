"""The repository under an access decision that lets an actor touch some resources only."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.history import HistoryRequest
from server.fhir.json_form import Resource
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem
from storage.ports import Records
from storage.query import EVERYTHING, NOTHING, Equals, Predicate
from tests.contract.conftest import Archive
from tests.server.fhir.small import CONTEXT, Small, no_reads, patient


class WardAccess(AccessPoint):
    """Patients named Wang, and no groups; everything for who fills the store."""

    is_open = True

    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        if self.is_open:
            return EVERYTHING
        return Equals("family", "wang") if resource_type == "Patient" else NOTHING

    async def rights(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        return await self.constrain(context, interaction, resource_type)

    async def outcome(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        return await self.constrain(context, interaction, resource_type)


@pytest.fixture
def small(archive: Archive, store: Records) -> Small:
    access = WardAccess()
    small = Small(store, archive.threads, access=access)
    for name, family in (("a", "Wang"), ("b", "Li")):
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(family, id=name)))
    access.is_open = False
    return small


def _unread(resource: Resource) -> Callable[[Resource], Resource]:
    raise AssertionError


def kind_of(archive: Archive, work: Coroutine[Any, Any, object]) -> Kind:
    with pytest.raises(Problem) as raised:
        archive.run(work)
    return raised.value.kind


def test_what_may_be_touched_is(archive: Archive, small: Small) -> None:
    repository = small.repository
    assert archive.run(repository.read(CONTEXT, "Patient", "a")).id == "a"
    assert archive.run(repository.update(CONTEXT, "Patient", "a", patient("Wang", id="a", active=True)))
    assert len(archive.run(small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest())).versions) == 2
    assert archive.run(repository.create(CONTEXT, "Patient", patient("Wang")))
    assert archive.run(repository.delete(CONTEXT, "Patient", "a"))


def test_what_may_not_be_seen_is_not_there(archive: Archive, small: Small) -> None:
    repository = small.repository
    for work in (
        repository.read(CONTEXT, "Patient", "b"),
        repository.vread(CONTEXT, "Patient", "b", "1"),
        repository.patch(CONTEXT, "Patient", "b", lambda resource: resource | {"active": True}),
        repository.delete(CONTEXT, "Patient", "b"),
        small.history.of_instance(CONTEXT, "Patient", "b", HistoryRequest()),
    ):
        assert kind_of(archive, work) is Kind.NOT_FOUND


def test_nothing_leaves_the_rule_and_nothing_forbidden_is_done(archive: Archive, small: Small) -> None:
    repository = small.repository
    for work in (
        repository.create(CONTEXT, "Patient", patient("Li")),
        repository.update(CONTEXT, "Patient", "a", patient("Li", id="a")),
        repository.update(CONTEXT, "Patient", "b", patient("Wang", id="b")),
        repository.update(CONTEXT, "Patient", "b", patient("Li", id="b")),
        repository.create(CONTEXT, "Group", {"resourceType": "Group"}),
        repository.read(CONTEXT, "Group", "x"),
        small.history.of_type(CONTEXT, "Group", HistoryRequest()),
        small.history.of_system(CONTEXT, ("Group",), HistoryRequest()),
    ):
        assert kind_of(archive, work) is Kind.FORBIDDEN


def test_who_may_not_change_a_patient_makes_no_other_one_person_with_it(archive: Archive, small: Small) -> None:
    """Consents follow links: a link to anybody at all would let one's own consents speak for them."""
    repository, access = small.repository, small.access

    def linked(*others: str) -> Resource:
        links = [{"other": {"reference": each}, "type": "seealso"} for each in others]
        return patient("Wang", id="a", link=links)

    for other in ("Patient/b", "Patient/b/_history/1", "Patient/nobody"):
        changed = linked(other)
        assert kind_of(archive, repository.update(CONTEXT, "Patient", "a", changed)) is Kind.FORBIDDEN
        assert kind_of(archive, repository.patch(CONTEXT, "Patient", "a", lambda _, to=changed: to)) is Kind.FORBIDDEN
        assert kind_of(archive, repository.create(CONTEXT, "Patient", changed)) is Kind.FORBIDDEN
        entry = {"resource": changed, "request": {"method": "PUT", "url": "Patient/a"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        _, entries = parse_bundle(bundle, "http://weft.example/fhir", 10)
        sent = Transactions(repository, _unread).run(CONTEXT, all_sound(entries), no_reads)
        assert kind_of(archive, sent) is Kind.FORBIDDEN
    archive.run(repository.update(CONTEXT, "Patient", "c", patient("Wang", id="c")))
    archive.run(repository.update(CONTEXT, "Patient", "a", linked("Patient/c")))
    access.is_open = True  # type: ignore[attr-defined]
    archive.run(repository.update(CONTEXT, "Patient", "a", linked("Patient/b")))
    access.is_open = False  # type: ignore[attr-defined]
    kept = linked("Patient/b", "Patient/c") | {"active": True}
    assert archive.run(repository.update(CONTEXT, "Patient", "a", kept))


def test_histories_of_many_hold_what_could_and_can_be_seen(archive: Archive, small: Small) -> None:
    small.access.is_open = True  # type: ignore[attr-defined]
    for name, family in (("a", "Li"), ("a", "Wang"), ("b", "Wang"), ("b", "Li"), ("c", "Wang"), ("d", "Wang")):
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(family, id=name)))
    for name in ("b", "c"):
        archive.run(small.repository.delete(CONTEXT, "Patient", name))
    small.access.is_open = False  # type: ignore[attr-defined]
    seen = [("d", 1), ("c", 2), ("c", 1), ("a", 3), ("a", 1)]
    for page in (
        archive.run(small.history.of_type(CONTEXT, "Patient", HistoryRequest())),
        archive.run(small.history.of_system(CONTEXT, ("Patient", "Group"), HistoryRequest())),
    ):
        assert sorted((each.id, each.version) for each in page.versions) == sorted(seen)
        assert (page.total, page.next) == (None, None)
    page = archive.run(small.history.of_instance(CONTEXT, "Patient", "a", HistoryRequest(count=1)))
    assert ([each.version for each in page.versions], page.total) == ([3], 2)
    assert kind_of(archive, small.repository.vread(CONTEXT, "Patient", "a", "2")) is Kind.NOT_FOUND
    assert kind_of(archive, small.repository.vread(CONTEXT, "Patient", "c", "2")) is Kind.GONE
    for name in ("b", "nobody"):
        assert kind_of(archive, small.repository.read(CONTEXT, "Patient", name)) is Kind.NOT_FOUND
        assert kind_of(archive, small.repository.vread(CONTEXT, "Patient", name, "2")) is Kind.NOT_FOUND
    assert kind_of(archive, small.repository.update(CONTEXT, "Patient", "b", patient("Wang", id="b"))) is Kind.FORBIDDEN


def test_pages_of_a_history_seen_in_part_follow_each_other(archive: Archive, small: Small) -> None:
    small.access.is_open = True  # type: ignore[attr-defined]
    for number in range(9):
        archive.run(
            small.repository.update(
                CONTEXT, "Patient", f"p{number}", patient(("Li", "Wang")[number % 2], id=f"p{number}")
            )
        )
    small.access.is_open = False  # type: ignore[attr-defined]
    found: list[str] = []
    request = HistoryRequest(count=2)
    while True:
        page = archive.run(small.history.of_type(CONTEXT, "Patient", request))
        found += [each.id for each in page.versions]
        if page.next is None:
            break
        request = HistoryRequest(count=2, after=page.next)
    assert found == ["p7", "p5", "p3", "p1", "a"]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"method": "PUT", "url": "Patient/b"}, Kind.FORBIDDEN),
        ({"method": "DELETE", "url": "Patient/b"}, Kind.NOT_FOUND),
        ({"method": "PUT", "url": "Patient/c"}, Kind.FORBIDDEN),
        ({"method": "POST", "url": "Group"}, Kind.FORBIDDEN),
    ],
)
def test_a_transaction_is_refused_whole(archive: Archive, small: Small, request_: dict[str, str], kind: Kind) -> None:
    resource_type, _, resource_id = request_["url"].partition("/")
    resource = patient("Li", id=resource_id) if resource_type == "Patient" else {"resourceType": "Group"}
    fine = {"request": {"method": "POST", "url": "Patient"}, "resource": patient("Wang")}
    entry = {"request": request_} | ({} if request_["method"] == "DELETE" else {"resource": resource})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [fine, entry]}
    _, entries = parse_bundle(bundle, "http://weft.example/fhir", 10)
    run = Transactions(small.repository, _unread).run(CONTEXT, all_sound(entries), no_reads)
    assert kind_of(archive, run) is kind
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=9)) == 2
