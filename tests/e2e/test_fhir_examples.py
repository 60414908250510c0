"""All official R4 examples over HTTP: in as JSON and XML, out as both, the same value with every digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.fhir import json_form
from tests.data.r4_examples import r4_examples
from tests.data.r4_schema import faults, r4_schema
from tests.e2e.fhir import JSON, XML, Fhir
from tests.e2e.running import Server

FAULTY = {"Questionnaire-qs1.json"}
"""Lack a required element, as the README beside them says; they are refused."""


def plain(resource: dict[str, Any]) -> dict[str, Any]:
    """Without what the server sets; the id is the example's own."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return rest | ({"meta": meta} if meta else {})


def same(sent: dict[str, Any], got: bytes) -> bool:
    """Equal, and number by number the same digits: their texts hold the same characters."""
    before, after = plain(sent), plain(json_form.decode(got))
    return before == after and sorted(json_form.encode(before)) == sorted(json_form.encode(after))


@pytest.mark.slow
def test_every_official_example_comes_back_as_it_was(server: Server, shared: Path) -> None:
    fhir, schema, wrong = Fhir(server), r4_schema(shared), []
    for name, text in r4_examples(shared):
        resource = json_form.decode(text)
        path = f"/{resource['resourceType']}/{resource['id']}"
        put = fhir.ask("PUT", path, text, Content_Type=JSON)
        if name in FAULTY:
            assert put.status in (400, 422)
            continue
        if put.status not in (200, 201):
            wrong.append((name, "PUT", put.status, put.body[:300]))
            continue
        if resource["resourceType"] == "Subscription":
            # The server may have switched it off since, for its end is past.
            path += "/_history/" + put.headers["etag"].removeprefix('W/"').removesuffix('"')
        if not same(resource, fhir.ask("GET", path, Accept=JSON).body):
            wrong.append((name, "JSON"))
        document = fhir.ask("GET", path, Accept=XML).body
        if found := faults(schema, document):
            wrong.append((name, "XSD", found[0]))
        posted = fhir.ask("POST", f"/{resource['resourceType']}", document, Content_Type=XML, Accept=JSON)
        again = fhir.ask("GET", posted.headers.get("location", "").partition("/fhir")[2], Accept=JSON)
        if not same({**resource, "id": again.json.get("id")}, again.body):
            wrong.append((name, "XML", posted.status, posted.body[:300]))
    assert not wrong
    fhir.close()
