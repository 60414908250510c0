"""Bulk export over HTTP: begun, followed to its end, its files read, cancelled."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.fhir import JSON, Fhir, Got, awaited, put
from tests.e2e.running import Server, eventually


def begun(fhir: Fhir, path: str) -> str:
    """The path of the status of a new export."""
    got = fhir.ask("GET", path, prefer="respond-async", accept=JSON)
    assert got.status == 202, got.body
    place = got.headers["content-location"]
    assert place.startswith(fhir.base + "/")
    return place.removeprefix(fhir.base)


def under_way(fhir: Fhir, path: str) -> list[tuple[str, Got]]:
    """A new export and what its status tells first; nothing where it has ended by then."""
    status = begun(fhir, path)
    told = fhir.ask("GET", status)
    return [(status, told)] if told.status != 200 else []


def lines(fhir: Fhir, url: str) -> list[dict[str, Any]]:
    got = fhir.ask("GET", url.removeprefix(fhir.base))
    assert (got.status, got.headers["content-type"]) == (200, "application/fhir+ndjson")
    return [json.loads(each) for each in got.body.splitlines()]


def test_an_export_is_begun_followed_read_and_removed(server: Server) -> None:
    fhir = Fhir(server)
    for number in range(5):
        put(fhir, {"resourceType": "Patient", "id": f"export-{number}", "active": True})
    put(fhir, {"resourceType": "Basic", "id": "export-not", "code": {"text": "not asked for"}})
    [(status, first)] = eventually(lambda: under_way(fhir, "/$export?_type=Patient"))
    assert first.status == 202
    assert int(first.headers["retry-after"]) > 0
    manifest = awaited(lambda: fhir.ask("GET", status), 200).json
    assert manifest["request"] == f"{fhir.base}/$export?_type=Patient"
    assert {each["type"] for each in manifest["output"]} == {"Patient"}
    found = [each for output in manifest["output"] for each in lines(fhir, output["url"])]
    assert {f"export-{number}" for number in range(5)} <= {each["id"] for each in found}
    assert len(found) == sum(each["count"] for each in manifest["output"])
    assert fhir.ask("DELETE", status).status == 202
    assert fhir.ask("GET", status).status == 404
    assert fhir.ask("GET", manifest["output"][0]["url"].removeprefix(fhir.base)).status == 404
    fhir.close()


def test_an_export_under_way_can_be_cancelled(server: Server) -> None:
    fhir = Fhir(server)
    put(fhir, {"resourceType": "Patient", "id": "cancelled"})
    status = begun(fhir, "/Patient/$export")
    assert fhir.ask("DELETE", status).status == 202
    assert fhir.ask("GET", status).status == 404
    assert fhir.ask("DELETE", status).status == 404
    fhir.close()
