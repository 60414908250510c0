"""A document that its reader may not see is in no list, relation or answer: by labels and scopes as by consents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from server.access.roles import NURSE, SYSTEM
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.xds import vocabulary as v
from server.xds.ebxml_reading import AdhocQuery, Slot
from server.xds.keys import bare
from server.xds.metadata import Code
from server.xds.stored_queries import QueryId
from tests.contract.conftest import opened_archive
from tests.contract.consent_world import World, opened_world, patient, person
from tests.contract.registering_world import association
from tests.data.xds_objects import document, folder, submission, submission_set

SENDER = Context(Actor("s", "source", (Grant(INTERACTIONS),), frozenset((SYSTEM,))), "test")
CARER = person("carer", NURSE, "Practitioner/clerk")
"""Sees nothing labelled V."""
LISTS_ONLY = Actor(
    "app", "app", tuple(Grant(INTERACTIONS, each) for each in ("List", "Patient", "Binary")), frozenset((SYSTEM,)),
)  # fmt: skip
"""An app without a scope for documents."""
ALL_SEEING = Actor("all", "all", (Grant(INTERACTIONS),), frozenset((SYSTEM,)))


@dataclass
class Place:
    world: World
    ids: dict[str, str]
    """Of `open`, its predecessor `hidden`, the `folder` and the `set` that hold both."""

    def fhir(self, actor: Actor, path: str) -> bytes:
        got = self.world.get(actor, path)
        return got.body if got.status == 200 else b""

    def xds(self, actor: Actor, id_: QueryId, **slots: str) -> bytes:
        """Everything that is answered, whole and by reference."""
        context = Context(actor, "test")
        made = tuple(Slot(f"${name}", (value,)) for name, value in slots.items())
        queries = self.world.server().services.documents.queries
        return b"".join(
            each
            for kind in ("LeafClass", "ObjectRef")
            for each in self.world.runner.run(queries.answer(context, AdhocQuery(id_, made, kind))).objects
        )


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = tmp_path_factory.mktemp("lists")
    with opened_archive(request, made) as archive, opened_world(made, archive.url) as world:
        world.put(patient("listed"))
        yield Place(world, world.runner.run(_filled(world)))


async def _filled(world: World) -> dict[str, str]:
    documents = world.server().services.documents
    identity = await documents.master.enroll(SENDER, "Patient/listed")
    number = f"{identity.number.value}^^^&{identity.number.system.removeprefix('urn:oid:')}&ISO"
    common: dict[str, Any] = {"hash": "", "size": None, "repository_unique_id": "", "patient_id": number}
    hidden = document(unique_id="1.2.3.5.1", confidentiality_codes=(_level("V"),), **common)
    await documents.repository.provide_bytes(
        SENDER, submission(hidden, unique_id="1.2.3.5.2", patient_id=number), {hidden.id: b"secret"}
    )
    [old] = await documents.queries.shelf.documents_named(["1.2.3.5.1"])
    shown = document(unique_id="1.2.3.5.3", confidentiality_codes=(_level("N"),), **common)
    holding = folder(id="Folder01", unique_id="1.2.3.5.4", patient_id=number)
    relations = (
        association(shown.id, old.object.id, v.APND),
        association("Folder01", shown.id),
        association("Folder01", old.object.id),
        association(submission_set().id, old.object.id, is_original=False),
    )
    whole = submission(shown, unique_id="1.2.3.5.5", patient_id=number, folders=(holding,), associations=relations)
    await documents.repository.provide_bytes(SENDER, whole, {shown.id: b"open"})
    shelf = documents.queries.shelf
    [new] = await shelf.documents_named(["1.2.3.5.3"])
    [kept] = await shelf.folders_named(["1.2.3.5.4"])
    [package] = await shelf.submission_sets_named(["1.2.3.5.5"])
    return {
        "hidden": old.object.id, "open": new.object.id, "folder": kept.object.id, "set": package.object.id,
        "number": number,
    }  # fmt: skip


def _level(letter: str) -> Code:
    return Code(letter, "2.16.840.1.113883.5.25")


FHIR = (
    "List?patient=Patient/listed&code=submissionset",
    "List?patient=Patient/listed&_include=List:item",
    "List/{folder}",
    "List/{folder}/_history/1",
    "List/{folder}/_history",
    "DocumentReference?patient=Patient/listed&status=current",
    "DocumentReference?patient=Patient/listed&_revinclude=List:item",
    "DocumentReference?patient=Patient/listed&_include=DocumentReference:relatesto",
    "DocumentReference/{open}",
    "Patient/listed/$everything",
)


@pytest.mark.parametrize("path", FHIR)
@pytest.mark.parametrize("reader", [CARER, LISTS_ONLY], ids=["label", "scope"])
def test_no_answer_over_fhir_names_what_its_reader_may_not_see(place: Place, reader: Actor, path: str) -> None:
    asked = path.format(**{name: bare(id_) for name, id_ in place.ids.items()})
    hidden = bare(place.ids["hidden"]).encode()

    assert hidden in place.fhir(ALL_SEEING, asked)
    assert hidden not in place.fhir(reader, asked)


def test_what_is_left_is_shown_and_says_that_it_is_not_all(place: Place) -> None:
    shown, hidden = bare(place.ids["open"]), bare(place.ids["hidden"])
    listed = json.loads(place.fhir(CARER, f"List/{bare(place.ids['folder'])}"))
    related = json.loads(place.fhir(CARER, f"DocumentReference/{shown}"))

    named = [each["item"].get("reference") for each in listed["entry"]]
    assert sorted(named, key=str) == [f"DocumentReference/{shown}", None]
    assert "reference" not in related["relatesTo"][0]["target"]
    for each in (listed, related):
        assert "REDACTED" in {label["code"] for label in each["meta"]["security"]}
    assert b"REDACTED" not in place.fhir(ALL_SEEING, f"List/{bare(place.ids['folder'])}")
    assert not place.fhir(CARER, f"DocumentReference/{hidden}")


@pytest.mark.parametrize(
    "query", ["List?item=DocumentReference/{}", "DocumentReference?relatesto=DocumentReference/{}"]
)
@pytest.mark.parametrize("reader", [CARER, LISTS_ONLY], ids=["label", "scope"])
def test_what_is_hidden_finds_nothing_that_names_it(place: Place, reader: Actor, query: str) -> None:
    asked = query.format(bare(place.ids["hidden"]))

    assert json.loads(place.fhir(ALL_SEEING, asked))["entry"]
    assert b'"entry"' not in place.fhir(reader, asked)


def test_a_list_that_is_shown_in_part_is_not_written_back(place: Place) -> None:
    name = f"DocumentReference/{bare(place.ids['hidden'])}"
    place.world.put({
        "resourceType": "List", "id": "by-hand", "status": "current", "mode": "working",
        "subject": {"reference": "Patient/listed"}, "entry": [{"item": {"reference": name}}],
    })  # fmt: skip
    shown = json.loads(place.fhir(CARER, "List/by-hand"))
    written = place.world.ask(CARER, "PUT", "/fhir/List/by-hand", shown | {"title": "changed"})

    assert (written.status, "reference" in shown["entry"][0]["item"]) == (409, False)
    assert name.encode() in place.fhir(ALL_SEEING, "List/by-hand")


XDS = (
    (QueryId.GET_ALL, {"patientId": "{number}", **dict.fromkeys(
        ("XDSDocumentEntryStatus", "XDSSubmissionSetStatus", "XDSFolderStatus"), f"('{v.APPROVED}')"
    )}),
    (QueryId.GET_ASSOCIATIONS, {"uuid": "('{open}','{folder}','{set}')"}),
    (QueryId.GET_SUBMISSION_SET_AND_CONTENTS, {"XDSSubmissionSetEntryUUID": "'{set}'"}),
    (QueryId.GET_FOLDER_AND_CONTENTS, {"XDSFolderEntryUUID": "'{folder}'"}),
    (QueryId.GET_RELATED_DOCUMENTS, {"XDSDocumentEntryEntryUUID": "'{open}'", "AssociationTypes": f"('{v.APND}')"}),
)  # fmt: skip


@pytest.mark.parametrize(("id_", "slots"), XDS, ids=[each.name for each, _ in XDS])
@pytest.mark.parametrize("reader", [CARER, LISTS_ONLY], ids=["label", "scope"])
def test_no_stored_query_names_what_its_asker_may_not_see(
    place: Place, reader: Actor, id_: QueryId, slots: dict[str, str]
) -> None:
    filled = {name: "'" + place.ids["number"] + "'" if name == "patientId" else text.format(**place.ids)
              for name, text in slots.items()}  # fmt: skip

    assert place.ids["hidden"].encode() in place.xds(ALL_SEEING, id_, **filled)
    assert place.ids["hidden"].encode() not in place.xds(reader, id_, **filled)
