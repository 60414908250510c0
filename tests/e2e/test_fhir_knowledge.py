"""What users store about FHIR itself takes effect in every worker process, without a restart."""

from __future__ import annotations

import json
from functools import partial

from tests.data.reports import SPOUSE
from tests.e2e.fhir import JSON, Fhir, awaited, put
from tests.e2e.running import Place, Server, running, weft


def test_a_profile_is_enforced_by_every_worker(small_place: Place) -> None:
    url = "http://example.org/fhir/StructureDefinition/named"
    profile = {
        "resourceType": "StructureDefinition",
        "id": "named",
        "url": url,
        "name": "Named",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
    }
    nameless = json.dumps({"resourceType": "Patient", "meta": {"profile": [url]}}).encode()
    with running(small_place, workers="2") as server:
        several = [Fhir(server) for _ in range(8)]  # connections are spread over the workers
        put(several[0], profile)
        assert several[0].ask("POST", "/Patient", nameless, content_type=JSON).status == 422
        for each in several:
            awaited(partial(each.ask, "POST", "/Patient", nameless, content_type=JSON), 422)
            each.close()


def test_a_search_parameter_answers_after_reindexing(server: Server) -> None:
    fhir = Fhir(server)
    put(fhir, {"resourceType": "Patient", "id": "widow", "maritalStatus": {"text": "Widowed"}})
    put(fhir, SPOUSE)
    ask = partial(fhir.ask, "GET", "/Patient?spouse=wid", prefer="handling=strict")
    assert ask().status == 400
    done = weft(server.place, "reindex")
    assert done.returncode == 0, done.stdout + done.stderr
    found = awaited(ask, 200).json
    assert [each["resource"]["id"] for each in found["entry"]] == ["widow"]
    fhir.close()
