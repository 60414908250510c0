"""The registry's transactions over SOAP, with the services that stand behind them (ITI-18, 38, 42, 57, 61, 62)."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.xds.ebxml_writing import escape, write_object
from server.xds.metadata import Slot, Submission
from server.xds.vocabulary import LCM, ON_DEMAND, QUERY, RIM, UPDATE_AVAILABILITY
from tests.contract.conftest import Archive
from tests.contract.registering_world import COMMUNITY, association, cx
from tests.contract.repository_world import RepositoryWorld, open_repository
from tests.data.soap_messages import Answered, envelope

_SIMPLE = "application/soap+xml"
_FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
_GET = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"


@pytest.fixture
def world(archive: Archive, tmp_path: Path) -> RepositoryWorld:
    return archive.run(open_repository(archive.open(), archive.threads, tmp_path))


async def submit(world: RepositoryWorld, action: str, made: Submission) -> Answered:
    objects = b"".join(map(write_object, (*made.submission_sets, *made.documents, *made.folders, *made.associations)))
    body = f'<l:SubmitObjectsRequest xmlns:l="{LCM}"><rim:RegistryObjectList xmlns:rim="{RIM}">'.encode()
    body += objects + b"</rim:RegistryObjectList></l:SubmitObjectsRequest>"
    return await world.post("/xds/registry", envelope(action, body), _SIMPLE)


async def ask(
    world: RepositoryWorld, query: str, slots: dict[str, str], *, path: str = "/xds/registry", home: str = ""
) -> Answered:
    action = "urn:ihe:iti:2007:" + ("CrossGatewayQuery" if path == "/xds/gateway" else "RegistryStoredQuery")
    body = f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnType="LeafClass"/>'
    body += f'<r:AdhocQuery id="{query}"' + (f' home="{home}">' if home else ">")
    for name, value in slots.items():
        body += f'<r:Slot name="{name}"><r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList></r:Slot>'
    return await world.post(path, envelope(action, f"{body}</r:AdhocQuery></q:AdhocQueryRequest>".encode()), _SIMPLE)


async def remove(world: RepositoryWorld, *ids: str) -> Answered:
    body = f'<l:RemoveObjectsRequest xmlns:l="{LCM}" xmlns:r="{RIM}"><r:ObjectRefList>'
    body += "".join(f'<r:ObjectRef id="{each}"/>' for each in ids) + "</r:ObjectRefList></l:RemoveObjectsRequest>"
    return await world.post("/xds/registry", envelope("urn:ihe:iti:2010:DeleteDocumentSet", body.encode()), _SIMPLE)


def test_what_is_registered_is_found_updated_and_removed(archive: Archive, world: RepositoryWorld) -> None:
    find = {"$XDSDocumentEntryPatientId": f"'{cx('MPI-7')}'", "$XDSDocumentEntryStatus": f"('{_APPROVED}')"}

    async def life() -> None:
        entry = world.registry.document()
        registered = await submit(world, "urn:ihe:iti:2007:RegisterDocumentSet-b", world.registry.submission(entry))
        assert (registered.http, registered.status, world.door.trail.act) == (200, "Success", "ITI-42")

        found = await ask(world, _FIND, find)
        assert (found.status, world.door.trail.act) == ("Success", "ITI-18")
        [uuid] = [str(each.get("id")) for each in found.body.iter(f"{{{RIM}}}ExtrinsicObject")]

        get = {"$XDSDocumentEntryEntryUUID": f"('{uuid}')"}
        assert (await ask(world, _GET, get, path="/xds/gateway")).errors == ["XDSMissingHomeCommunityId"]
        assert (await ask(world, _GET, get, path="/xds/gateway", home=COMMUNITY.home)).status == "Success"
        assert (await ask(world, "urn:uuid:0", {})).errors == ["XDSUnknownStoredQuery"]

        slots = tuple(
            Slot(name, (f"urn:oasis:names:tc:ebxml-regrep:StatusType:{status}",))
            for name, status in (("OriginalStatus", "Approved"), ("NewStatus", "Deprecated"))
        )
        made = world.registry.submission()
        change = association("SubmissionSet01", uuid, UPDATE_AVAILABILITY, slots=slots)
        updated = await submit(
            world, "urn:ihe:iti:2010:UpdateDocumentSet",
            Submission(made.submission_sets, associations=(change,)),
        )  # fmt: skip
        assert (updated.status, updated.errors) == ("Success", [])
        assert len(list((await ask(world, _FIND, find)).body.iter(f"{{{RIM}}}ExtrinsicObject"))) == 0

        on_demand = world.registry.document(object_type=ON_DEMAND, hash="", size=None, creation_time="")
        later = await submit(
            world, "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", world.registry.submission(on_demand)
        )
        assert (later.status, later.errors) == ("Success", [])

        touching = [each.id for each in await world.registry.associations(uuid)]
        [sets] = {each.source for each in await world.registry.associations(uuid) if each.is_membership}
        assert (await remove(world, "urn:uuid:00000000-0000-4000-8000-000000000009")).errors == [
            "UnresolvedReferenceException"
        ]
        removed = await remove(world, uuid, *touching, sets)
        assert (removed.status, removed.errors, world.door.trail.act) == ("Success", [], "ITI-62")
        assert list((await ask(world, _GET, get)).body.iter(f"{{{RIM}}}ExtrinsicObject")) == []

    archive.run(life())
