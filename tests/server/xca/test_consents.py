"""The consent of the side that answers holds: asked through a gateway, by whoever the assertion speaks for."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import httpx
from msgspec.structs import replace

from server.kernel.offload import Offload
from storage.sqlite.records import SqliteRecords
from tests.contract.asserted_world import CODES, AssertedWorld, asker, find_documents, unique_ids
from tests.contract.manifest_world import COMMUNITY
from tests.data.assertions import AUDIENCE, WSSE
from tests.data.consents import TPO, consent, deny
from tests.server.xca.gateway_world import EAST, Gateway, close_gateway, errors_with_locations, open_gateway

_NUMBERS = count(500)


def test_what_a_consent_hides_is_hidden_through_a_gateway(tmp_path: Path) -> None:
    address = f"{AUDIENCE}/xds/gateway"
    there = replace(EAST, id=COMMUNITY.home, query=address, retrieve=address, imaging="")
    with asyncio.Runner() as runner:
        offload = Offload()
        (tmp_path / "east").mkdir()
        world = AssertedWorld(SqliteRecords(tmp_path / "east.sqlite", offload), tmp_path / "east", offload)
        runner.run(world.prepare())
        transport = httpx.ASGITransport(app=world.xds)  # type: ignore[arg-type]
        gateway = open_gateway(tmp_path / "own", runner, there, weft=transport.handle_async_request)
        patient = runner.run(world.person("p1"))
        document = runner.run(world.document(patient))
        _asks(gateway, patient, document, True)
        organization = {"system": f"urn:oid:{CODES}", "value": "X-1"}
        runner.run(
            world.put(
                {"resourceType": "Organization", "id": "org-x", "name": "X", "identifier": [organization]},
                consent(deny(TPO, actors=["Organization/org-x"]), "Patient/p1", id="c1"),
            )
        )
        _asks(gateway, patient, document, False)
        unsigned = gateway.query(find_documents(patient))
        assert (unsigned.status, unique_ids(unsigned)) == ("PartialSuccess", set())
        assert errors_with_locations(unsigned) == {COMMUNITY.home: "XDSUnavailableCommunity"}
        close_gateway(gateway)
        runner.run(world.records.close())
        offload.close()


def _asks(gateway: Gateway, patient: str, document: str, is_seen: bool) -> None:
    found = gateway.query(find_documents(patient), security=_security())
    assert (found.status, unique_ids(found)) == ("Success", {document} if is_seen else set())
    got = gateway.retrieve((COMMUNITY.home, COMMUNITY.repository, document), security=_security())
    assert set(got.documents) == ({document} if is_seen else set())
    assert got.errors == ([] if is_seen else ["XDSDocumentUniqueIdError"])


def _security() -> bytes:
    return f'<w:Security xmlns:w="{WSSE}">{asker(next(_NUMBERS), organization="X-1")}</w:Security>'.encode()
