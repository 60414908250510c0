"""Stored queries find what looking at every object finds, on every adapter, and what is hidden is not there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from server.access.decision import AccessPoint, NoConsents, NoCriteria
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.problem import Problem
from server.kernel.trail import Trail
from server.xds.community import Community
from server.xds.ebxml_reading import AdhocQuery, read_objects
from server.xds.errors import errors_of
from server.xds.metadata import Association, DocumentEntry, Folder, RegistryObject, Slot, SubmissionSet
from server.xds.queries import Queries
from server.xds.query_reading import read_query
from server.xds.stored import Shelf
from server.xds.stored_queries import (
    Coded,
    FindDocuments,
    FindFolders,
    FindSubmissionSets,
    GetAll,
    GetAssociations,
    GetDocuments,
    GetDocumentsAndAssociations,
    GetFolderAndContents,
    GetFolders,
    GetFoldersForDocument,
    GetQuery,
    GetRelatedDocuments,
    GetSubmissionSetAndContents,
    GetSubmissionSets,
    Named,
    QueryId,
    Span,
    StoredQuery,
)
from server.xds.visibility import Sight, Visibility
from server.xds.vocabulary import DEPRECATED, HAS_MEMBER, RIM
from storage.ports import Put
from storage.query import All, Equals, Key, Not, OneOf, Predicate
from tests.contract import registry_world as w
from tests.contract.conftest import Archive, opened_archive
from tests.contract.query_slots import found_documents, slots_of
from tests.contract.registry_reference import Reference

HIDDEN_STUDY, UNKNOWN_STUDY = "1.2.840.1", "1.2.840.2"
ALL_ROLES = frozenset({"radiologist"})
ANYBODY = Context(LOCAL_ACTOR, "test")
CLERK = Context(Actor("clerk", "clerk", (Grant(INTERACTIONS),), ALL_ROLES), "test")
"""Sees nothing about psychiatry, and not the whole of one study."""
SCOPED = Context(
    Actor(
        "app",
        "app",
        (
            Grant(INTERACTIONS, frozenset({"DocumentReference"}), criteria=(("category", "a^^1.2"),)),
            Grant(INTERACTIONS, frozenset({"List", "Patient"})),
        ),
        ALL_ROLES,
    ),
    "test",
)
"""Sees, of that, documents of one class only."""


class Discretion(NoConsents):
    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        return Not(OneOf("@label", ("PSY",)))


class Categories(NoCriteria):
    def compile(self, resource_type: str, criteria: tuple[tuple[str, str], ...]) -> Predicate:
        return All(tuple(Equals(name, value) for name, value in criteria))


class SomeStudies:
    async def is_unlimited(self, context: Context) -> bool:
        return context.actor is LOCAL_ACTOR

    async def sight(self, context: Context, studies: Sequence[str]) -> Sight:
        named = frozenset(studies)
        return Sight(named & {HIDDEN_STUDY}, named & {UNKNOWN_STUDY})


class Registry:
    def __init__(self, archive: Archive, queries: Queries, placed: list[w.Placed]) -> None:
        self.archive, self.queries, self.placed = archive, queries, placed
        self._references: dict[str, Reference] = {}

    def reference(self, context: Context) -> Reference:
        """What is there for somebody."""
        known = self._references.get(context.actor.id)
        if known is None:
            known = self._references[context.actor.id] = self._reference(context)
        return known

    def _reference(self, context: Context) -> Reference:
        hidden: set[str] = set()
        if context is not ANYBODY:
            hidden = {each.object.id for each in self.placed if _is_hidden(each, is_scoped=context is SCOPED)}
            for _ in range(4):
                hidden |= {each.object.id for each in self.placed if _leads_to(each.object, hidden)}
                hidden |= {each.object.id for each in self.placed if self._is_emptied(each.object, hidden)}
        return Reference(w.renumbered(each) for each in self.placed if each.object.id not in hidden)

    def _is_emptied(self, found: RegistryObject, hidden: set[str]) -> bool:
        """A package that holds something, of which nothing is left."""
        links = [each.object for each in self.placed if isinstance(each.object, Association)]
        held = [each.target for each in links if each.is_membership and each.source == found.id]
        return isinstance(found, SubmissionSet | Folder) and bool(held) and hidden.issuperset(held)

    def ask(self, context: Context, query: AdhocQuery, **how: Any) -> list[bytes]:
        return self.archive.run(self.queries.answer(context, query, **how)).objects


def _is_hidden(placed: w.Placed, *, is_scoped: bool) -> bool:
    found = placed.object
    if placed.label == "PSY" or not isinstance(found, DocumentEntry):
        return placed.label == "PSY"
    named = {each.split("^")[0] for each in found.reference_ids}
    is_barred = HIDDEN_STUDY in named or (UNKNOWN_STUDY in named and found.status == DEPRECATED)
    is_other = is_scoped and (found.class_code is None or found.class_code.key != "a^^1.2")
    return is_other or (found.format_code == w.MANIFEST and is_barred)


def _leads_to(found: RegistryObject, hidden: set[str]) -> bool:
    return isinstance(found, Association) and bool({found.source, found.target} & hidden)


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with opened_archive(request, tmp_path_factory.mktemp("registry")) as archive:
        records = archive.open()
        archive.run(w.load(records, PLACED))
        archive.run(records.commit([_derived(each) for each in PLACED if isinstance(each.object, DocumentEntry)]))
        access = AccessPoint(Discretion())
        access.criteria = Categories()
        queries = Queries(
            Shelf(records, archive.threads),
            w.People(),
            Visibility(records, access, SomeStudies()),
            Community(w.HOME.removeprefix("urn:oid:"), w.AUTHORITY),
        )
        yield Registry(archive, queries, PLACED)


def _derived(placed: w.Placed) -> Put:
    """The DocumentReference, as far as rights are about it."""
    put, keys = placed.put(), {"_id": frozenset[Key]((placed.object.id.removeprefix("urn:uuid:"),))}
    keys |= {name: values for name, values in put.keys.items() if name.startswith("@")}
    return Put("fhir-DocumentReference", put.id, b"{}", {**keys, "category": put.keys["class"]})


PLACED = w.made(7)


def objects(kind: type) -> list[Any]:
    return [each.object for each in PLACED if isinstance(each.object, kind)]


def some(values: Any, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(list(values)), max_size=most, unique=True).map(tuple)


def at_least_one(values: Any, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(list(values)), min_size=1, max_size=most, unique=True).map(tuple)


def rarely(values: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.one_of(st.just(()), st.just(()), st.just(()), values)


CODES = [each.key for each in w.CODES]
PATTERNS = [*w.PERSONS, "%Li%", "_Smitty%", "%", "^王%", "%O'Brien%", "nobody"]
MOMENTS = st.sampled_from([None, *(int(each + "00000101000000"[len(each) :]) for each in w.TIMES)])
SPANS = st.one_of(st.just(Span()), st.just(Span()), st.builds(Span, MOMENTS, MOMENTS))
STATUS = at_least_one(["Approved", "Deprecated"], 2)
KINDS = at_least_one(["stable", "on-demand"], 2)
GROUPS = rarely(st.lists(at_least_one(CODES), min_size=1, max_size=2).map(tuple))
REFERENCES = st.lists(at_least_one(w.REFERENCES), min_size=1, max_size=2).map(tuple)
CODED = st.builds(
    Coded,
    classes=rarely(at_least_one(CODES)),
    types=rarely(at_least_one(CODES)),
    formats=rarely(at_least_one([*CODES, w.MANIFEST.key])),
    facilities=rarely(at_least_one(CODES)),
    practice_settings=rarely(at_least_one(CODES)),
    events=GROUPS,
    confidentialities=GROUPS,
    authors=rarely(at_least_one(PATTERNS)),
)
CONTENT = st.builds(Coded, formats=rarely(at_least_one([*CODES, w.MANIFEST.key])), confidentialities=GROUPS)
ONE_PATIENT = st.sampled_from(w.NUMBERS).map(lambda each: (each,))


def named(kind: type, most: int = 3) -> st.SearchStrategy[Named]:
    found = objects(kind)
    by_id = at_least_one([*(each.id for each in found), "urn:uuid:00000000-0000-0000-0000-000000000000"], most)
    return st.one_of(
        by_id.map(lambda ids: Named(ids)),
        at_least_one([*(each.unique_id for each in found), "9.9"], most).map(lambda ids: Named((), ids)),
        by_id.map(lambda ids: Named((), (), ids)) if kind is not SubmissionSet else st.nothing(),
    )


_FIND = partial(
    st.builds,
    FindDocuments,
    statuses=STATUS,
    coded=CODED,
    created=SPANS,
    started=SPANS,
    stopped=SPANS,
    kinds=KINDS,
)
IDS = at_least_one([each.object.id for each in PLACED])
QUERIES: dict[QueryId, st.SearchStrategy[Any]] = {
    QueryId.FIND_DOCUMENTS: _FIND(patients=ONE_PATIENT),
    QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID: _FIND(
        patients=ONE_PATIENT, coded=st.builds(replace, CODED, references=REFERENCES)
    ),
    QueryId.FIND_DOCUMENTS_EXCLUDE: st.builds(FindDocuments, patients=ONE_PATIENT, statuses=STATUS, excluded=CODED),
    QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS: _FIND(
        patients=at_least_one(w.NUMBERS[:3]), coded=st.builds(replace, CODED, classes=at_least_one(CODES))
    ),
    QueryId.FIND_DOCUMENTS_BY_REFERENCE_ID_FOR_MULTIPLE_PATIENTS: _FIND(
        patients=some(w.NUMBERS[:3]), coded=st.builds(replace, CODED, references=REFERENCES)
    ),
    QueryId.FIND_SUBMISSION_SETS: st.builds(
        FindSubmissionSets,
        patients=ONE_PATIENT,
        statuses=STATUS,
        sources=rarely(at_least_one(["1.7.1", "1.7.2"])),
        submitted=SPANS,
        authors=rarely(at_least_one(PATTERNS, 1)),
        contents=rarely(at_least_one(CODES)),
    ),
    QueryId.FIND_FOLDERS: st.builds(FindFolders, patients=ONE_PATIENT, statuses=STATUS, updated=SPANS, codes=GROUPS),
    QueryId.FIND_FOLDERS_FOR_MULTIPLE_PATIENTS: st.builds(
        FindFolders, patients=some(w.NUMBERS[:3]), statuses=STATUS, codes=at_least_one(CODES).map(lambda each: (each,))
    ),
    QueryId.GET_ALL: st.builds(
        GetAll,
        patients=ONE_PATIENT,
        document_statuses=STATUS,
        submission_set_statuses=STATUS,
        folder_statuses=STATUS,
        coded=CONTENT,
        kinds=KINDS,
        association_statuses=STATUS,
    ),
    QueryId.GET_DOCUMENTS: st.builds(GetDocuments, named(DocumentEntry)),
    QueryId.GET_FOLDERS: st.builds(GetFolders, named(Folder)),
    QueryId.GET_ASSOCIATIONS: st.builds(GetAssociations, IDS, STATUS),
    QueryId.GET_DOCUMENTS_AND_ASSOCIATIONS: st.builds(GetDocumentsAndAssociations, named(DocumentEntry), STATUS),
    QueryId.GET_SUBMISSION_SETS: st.builds(GetSubmissionSets, IDS),
    QueryId.GET_SUBMISSION_SET_AND_CONTENTS: st.builds(
        GetSubmissionSetAndContents, named(SubmissionSet, 1), CONTENT, KINDS, STATUS
    ),
    QueryId.GET_FOLDER_AND_CONTENTS: st.builds(GetFolderAndContents, named(Folder, 1), CONTENT, KINDS, STATUS),
    QueryId.GET_FOLDERS_FOR_DOCUMENT: st.builds(GetFoldersForDocument, named(DocumentEntry, 1), STATUS),
    QueryId.GET_RELATED_DOCUMENTS: st.builds(
        GetRelatedDocuments, named(DocumentEntry, 1), at_least_one([*w.RELATIONS, HAS_MEMBER]), KINDS, STATUS
    ),
}
"""Each query that a registry knows, and what may be asked with it."""


@st.composite
def questions(draw: st.DrawFn) -> tuple[QueryId, StoredQuery]:
    id_ = draw(st.sampled_from(list(QUERIES)))
    return id_, draw(QUERIES[id_])


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=questions(), context=st.sampled_from([ANYBODY, CLERK, SCOPED]), style=st.integers(0, 10**6))
def test_what_is_found_is_what_looking_at_every_object_finds(
    registry: Registry, asked: tuple[QueryId, StoredQuery], context: Context, style: int
) -> None:
    id_, query = asked
    chance = random.Random(style)
    slots = slots_of(id_, query, chance)
    reference = registry.reference(context)
    expected = reference.answer(query)

    assert read_query(AdhocQuery(id_, slots, "ObjectRef")) == query
    if chance.random() < 0.5:
        found = [_reference(each) for each in registry.ask(context, AdhocQuery(id_, slots, "ObjectRef"))]
        assert sorted(found) == sorted(expected)
    elif isinstance(query, GetQuery) and reference.is_of_several(expected):
        with pytest.raises(Problem) as refused:
            registry.ask(context, AdhocQuery(id_, slots, "LeafClass"))
        assert [each.code for each in errors_of(refused.value)] == ["XDSResultNotSinglePatient"]
    else:
        whole = registry.ask(context, AdhocQuery(id_, slots, "LeafClass"))
        assert {each.id: each for each in map(_object, whole)} == {each: reference.by_id[each] for each in expected}
        assert len(whole) == len(expected)


def test_queries_by_id_across_communities_say_which_one_they_are_for(registry: Registry) -> None:
    entry = next(each for each in objects(DocumentEntry) if each.patient_id == w.NUMBERS[0])
    by_id = (Slot("$XDSDocumentEntryEntryUUID", (f"('{entry.id}')",)),)
    by_patient = slots_of(
        QueryId.FIND_DOCUMENTS, FindDocuments(patients=(w.NUMBERS[0],), statuses=("Approved",)), random.Random(1)
    )
    ask = partial(registry.ask, ANYBODY, is_gateway=True)

    assert ask(AdhocQuery(QueryId.GET_DOCUMENTS, by_id, "LeafClass", w.HOME))
    assert ask(AdhocQuery(QueryId.FIND_DOCUMENTS, by_patient, "LeafClass"))
    assert refused(ask, QueryId.GET_DOCUMENTS, by_id) == "XDSMissingHomeCommunityId"
    assert refused(ask, QueryId.GET_DOCUMENTS, by_id, home="urn:oid:9.9") == "XDSUnknownCommunity"
    assert refused(ask, QueryId.FIND_DOCUMENTS, by_patient, home="urn:oid:9.9") == "XDSUnknownCommunity"
    assert refused(ask, QueryId.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS, by_patient) == "XDSUnknownStoredQuery"
    # A registry that is no gateway takes any home for its own.
    assert registry.ask(ANYBODY, AdhocQuery(QueryId.GET_DOCUMENTS, by_id, "LeafClass", "urn:oid:9.9"))


def test_more_whole_objects_than_an_answer_may_hold_are_refused_and_references_are_not(registry: Registry) -> None:
    slots = slots_of(
        QueryId.FIND_DOCUMENTS, FindDocuments(patients=(w.NUMBERS[0],), statuses=("Approved",)), random.Random(1)
    )
    query = AdhocQuery(QueryId.FIND_DOCUMENTS, slots, "ObjectRef")
    for context in (ANYBODY, CLERK, SCOPED):
        found = registry.ask(context, query)
        just = Registry(registry.archive, replace(registry.queries, document_limit=len(found)), registry.placed)
        fewer = Registry(registry.archive, replace(registry.queries, document_limit=len(found) - 1), registry.placed)

        assert len(just.ask(context, replace(query, return_type="LeafClass"))) == len(found)
        assert refused(partial(fewer.ask, context), QueryId.FIND_DOCUMENTS, slots) == "XDSTooManyResults"
        assert fewer.ask(context, query) == found


@pytest.mark.parametrize(
    "number",
    ["nobody^^^&1.2.3.4&ISO", "P0^^^&1.2.9&ISO", "P0", w.NUMBERS[3]],
    ids=["unheard", "foreign", "odd", "merged"],
)
def test_a_number_nobody_has_finds_nothing_or_is_refused_as_the_site_chose(registry: Registry, number: str) -> None:
    slots = slots_of(
        QueryId.FIND_DOCUMENTS, FindDocuments(patients=(number,), statuses=("Approved",)), random.Random(1)
    )
    strict = Registry(registry.archive, replace(registry.queries, tells_unknown=True), registry.placed)

    assert registry.ask(ANYBODY, AdhocQuery(QueryId.FIND_DOCUMENTS, slots, "LeafClass")) == []
    assert refused(partial(strict.ask, ANYBODY), QueryId.FIND_DOCUMENTS, slots) == "XDSUnknownPatientId"


def test_of_whom_one_may_see_nothing_is_as_unknown_as_nobody(registry: Registry) -> None:
    strict = Registry(registry.archive, replace(registry.queries, tells_unknown=True), registry.placed)
    known = Put("fhir-Patient", "1", b"{}", {"_id": frozenset(("1",)), "@label": frozenset(("PSY",))})
    registry.archive.run(registry.queries.shelf.records.commit([known]))
    asked = FindDocuments(patients=(w.NUMBERS[1],), statuses=("Approved",))
    slots = slots_of(QueryId.FIND_DOCUMENTS, asked, random.Random(1))

    assert strict.ask(ANYBODY, AdhocQuery(QueryId.FIND_DOCUMENTS, slots, "LeafClass"))
    assert refused(partial(strict.ask, CLERK), QueryId.FIND_DOCUMENTS, slots) == "XDSUnknownPatientId"


def test_the_trail_tells_whose_documents_were_asked_for(registry: Registry) -> None:
    trail = Trail()
    context = replace(ANYBODY, trail=trail)
    asked = FindDocuments(patients=(w.NUMBERS[2],), statuses=("Approved",))
    slots = slots_of(QueryId.FIND_DOCUMENTS, asked, random.Random(1))
    registry.ask(context, AdhocQuery(QueryId.FIND_DOCUMENTS, slots, "ObjectRef"))
    entry = next(each for each in objects(DocumentEntry) if each.patient_id == w.NUMBERS[0])
    registry.ask(
        context, AdhocQuery(QueryId.GET_DOCUMENTS, (Slot("$XDSDocumentEntryEntryUUID", (entry.id,)),), "ObjectRef")
    )

    assert list(trail.patients) == [*w.PATIENTS[2:], w.PATIENTS[0]]
    assert trail.numbers == {w.PATIENTS[2]: w.NUMBERS[2]}


def test_entries_are_found_as_values_with_the_number_that_survives(registry: Registry) -> None:
    query = FindDocuments(patients=(w.NUMBERS[2],), statuses=("Approved", "Deprecated"), kinds=("stable", "on-demand"))
    found = registry.archive.run(found_documents(registry.queries, ANYBODY, query))

    reference = registry.reference(ANYBODY)
    assert {each.id: each for each in found} == {each: reference.by_id[each] for each in reference.answer(query)}


def refused(ask: Callable[[AdhocQuery], object], id_: QueryId, slots: tuple[Slot, ...], home: str = "") -> str:
    with pytest.raises(Problem) as found:
        ask(AdhocQuery(id_, slots, "LeafClass", home))
    (error,) = errors_of(found.value)
    return error.code


def _object(element: bytes) -> RegistryObject:
    objects, references = read_objects(etree.fromstring(_LIST % element))
    assert not references
    return objects[0]


_LIST = b'<rim:RegistryObjectList xmlns:rim="' + RIM.encode() + b'">%s</rim:RegistryObjectList>'


def _reference(element: bytes) -> str:
    read = etree.fromstring(_LIST % element)[0]
    assert (read.tag, read.get("home")) == (f"{{{RIM}}}ObjectRef", w.HOME)
    return str(read.get("id"))
