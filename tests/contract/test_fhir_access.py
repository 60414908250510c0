"""The repository under an access decision that lets an actor touch some resources only."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from server.access.decision import AccessPoint
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.history import HistoryRequest
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


@pytest.fixture
def small(archive: Archive, store: Records) -> Small:
    access = WardAccess()
    small = Small(store, archive.threads, access=access)
    for name, family in (("a", "Wang"), ("b", "Li")):
        archive.run(small.repository.update(CONTEXT, "Patient", name, patient(family, id=name)))
    access.is_open = False
    return small


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
        repository.update(CONTEXT, "Patient", "b", patient("Wang", id="b")),
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
        repository.create(CONTEXT, "Group", {"resourceType": "Group"}),
        repository.read(CONTEXT, "Group", "x"),
        small.history.of_type(CONTEXT, "Patient", HistoryRequest()),
        small.history.of_system(CONTEXT, ("Patient", "Group"), HistoryRequest()),
    ):
        assert kind_of(archive, work) is Kind.FORBIDDEN


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"method": "PUT", "url": "Patient/b"}, Kind.NOT_FOUND),
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

    def patches(_: object) -> Any:
        raise AssertionError

    run = Transactions(small.repository, patches).run(CONTEXT, all_sound(entries), no_reads)
    assert kind_of(archive, run) is kind
    assert archive.run(small.records.count("fhir-Patient", EVERYTHING, at_most=9)) == 2
