"""What predicates leave of the registry: rights as they are, told once, and nothing that leads to what is hidden."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.access.decision import AccessPoint, NoConsents
from server.kernel.context import LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.offload import Offload
from server.xds.keys import ASSOCIATION, DOCUMENT, SUBMISSION
from server.xds.metadata import Association, DocumentEntry
from server.xds.visibility import Visibility
from server.xds.vocabulary import HAS_MEMBER
from storage.query import EVERYTHING, NOTHING, Equals, OneOf, Predicate
from storage.sqlite.records import SqliteRecords
from tests.contract import registry_world as w

SERVER = Context(LOCAL_ACTOR, "test")
SEARCH = frozenset({"search"})


def actor(*grants: Grant, role: str = "radiologist") -> Context:
    made = Actor("a", "a", grants, frozenset({role}), own_patients=frozenset({"0"}), fhir_user="Patient/0")
    return Context(made, "test")


class Site:
    def __init__(self, runner: asyncio.Runner, folder: Path) -> None:
        self.runner, self.offload = runner, Offload()
        self.records = SqliteRecords(folder / "records.sqlite", self.offload)
        self.visibility = Visibility(self.records, AccessPoint())
        self.placed = w.made(3)
        runner.run(w.load(self.records, self.placed))

    def ids(self, kind: type, patient: str | None = None) -> set[str]:
        return {
            each.object.id.removeprefix("urn:uuid:")
            for each in self.placed
            if isinstance(each.object, kind) and patient in (None, each.patient)
        }

    def seen(self, who: Context, collection: str, by: Visibility | None = None) -> set[str]:
        visibility = by or self.visibility

        async def look() -> set[str]:
            narrow = {
                DOCUMENT: visibility.documents,
                SUBMISSION: visibility.submission_sets,
                ASSOCIATION: visibility.associations,
            }[collection]
            found = await self.records.values(collection, "_id", await narrow(who, EVERYTHING), at_most=10_000)
            return {str(each) for each in found}

        return self.runner.run(look())

    def close(self) -> None:
        self.runner.run(self.records.close())
        self.offload.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with asyncio.Runner() as runner:
        made = Site(runner, tmp_path_factory.mktemp("site"))
        yield made
        made.close()


def test_the_server_itself_sees_what_is_asked_and_nothing_is_looked_up(site: Site) -> None:
    asked = Equals("status", "Approved")

    for narrow in (site.visibility.documents, site.visibility.folders, site.visibility.associations):
        assert site.runner.run(narrow(SERVER, asked)) is asked


def test_without_a_right_to_them_there_are_none(site: Site) -> None:
    lists = actor(Grant(SEARCH, frozenset({"List"})))

    for who in (actor(), lists, replace(SERVER, actor=Actor("x", "x", ()))):
        assert site.runner.run(site.visibility.documents(who, EVERYTHING)) == NOTHING
    assert not site.seen(actor(), ASSOCIATION)
    # Each holds something, and nothing of that is seen.
    assert not site.seen(lists, SUBMISSION)


def test_a_patient_sees_the_own_documents_and_only_what_joins_these(site: Site) -> None:
    own = actor(Grant(SEARCH, patient="0"), role="patient")
    visible = site.ids(DocumentEntry, w.PATIENTS[0])

    assert site.seen(own, DOCUMENT) == visible
    objects = {each.object.id: each.object for each in site.placed}
    for id_ in site.seen(own, ASSOCIATION):
        found = objects[f"urn:uuid:{id_}"]
        assert isinstance(found, Association)
        for end in (objects[found.source], objects[found.target]):
            assert isinstance(end, Association) or end.patient_id == w.NUMBERS[0]


def test_an_association_that_leads_nowhere_is_not_seen_by_who_may_not_see_everything(site: Site) -> None:
    here = next(iter(site.ids(DocumentEntry, w.PATIENTS[0])))
    nowhere = "urn:uuid:00000000-0000-4000-8000-000000000001"
    dangling = Association(
        id="urn:uuid:00000000-0000-4000-8000-000000000002", type=HAS_MEMBER, source=nowhere, target=f"urn:uuid:{here}"
    )
    site.runner.run(site.records.commit([w.Placed(dangling).put()]))
    id_ = dangling.id.removeprefix("urn:uuid:")

    assert id_ in site.seen(SERVER, ASSOCIATION)
    assert id_ not in site.seen(actor(Grant(SEARCH, patient="0"), role="patient"), ASSOCIATION)


def test_a_right_to_one_document_by_id_holds_for_its_record(site: Site) -> None:
    """Consents name single resources; the record goes by the same id."""
    id_ = min(site.ids(DocumentEntry))

    class OnlyOne(NoConsents):
        async def predicate(
            self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
        ) -> Predicate:
            return OneOf("_id", (id_,))

    by = Visibility(site.records, AccessPoint(OnlyOne()))
    assert site.seen(actor(Grant(SEARCH)), DOCUMENT, by) == {id_}
