"""The surface under rights that see some resources only: batches entry by entry, and no answer that says too much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from server.access.roles import NURSE
from server.app import fhir_surface
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import LOCAL_ACTOR, Actor, Context
from server.kernel.problem import Problem
from server.smart.scopes import grants, parse_scopes
from tests.server.fhir_rest.served import Served, served


@dataclass(frozen=True)
class NamedDoor:
    """The header says with which scopes a nurse's app comes, for patient a; without it comes the server."""

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        scopes = call.header("x-scopes")
        if scopes is None:
            return Context(LOCAL_ACTOR, request_id)
        granted = grants(parse_scopes(scopes), "a")
        return Context(Actor("nurse", "n", granted, frozenset({NURSE})), request_id)

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """Nothing is recorded."""


def observation(name: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
    } | more


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("ward")) as running:
        services = replace(running.services, door=NamedDoor())
        running.app = fhir_surface(services, services.settings)
        for each in "ab":
            assert running.ask("PUT", f"/Patient/{each}", {"resourceType": "Patient", "id": each}).status == 201
            assert running.ask("PUT", f"/Observation/o{each}", observation(f"o{each}", each)).status == 201
        yield running


ALL = "patient/*.cruds"


@pytest.mark.parametrize(
    ("scopes", "path", "status"),
    [
        (ALL, "/Observation/oa", 200),
        (ALL, "/Observation/ob", 404),
        (ALL, "/Observation/ob/_history/1", 404),
        (ALL, "/Observation/ob/_history", 404),
        (ALL, "/Observation?patient=b", 403),
        (ALL, "/Observation?subject=Patient/b", 403),
        (ALL, "/Patient/b/$everything", 404),
        (ALL, "/Patient/b/$timeline", 404),
        (ALL, "/Observation/$lastn?patient=b&category=x", 403),
        (ALL, "/Observation/ob/$meta", 404),
        (ALL, "/Observation/ob/$validate", 404),
        (ALL, "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", 200),
        ("patient/Observation.r", "/Observation/oa", 200),
        ("patient/Observation.r", "/Observation?patient=a", 403),
        ("patient/Observation.s", "/Observation/oa", 403),
        ("patient/Observation.r", "/Observation/oa/_history", 200),
        ("patient/Observation.r", "/Observation/_history", 403),
        ("patient/Observation.s", "/Observation/_history", 200),
        ("patient/Observation.rs", "/Patient/a", 403),
        ("patient/Observation.rs", "/Patient?_id=a", 403),
        ("patient/Observation.rs", "/Patient/a/$everything", 403),
        ("patient/Patient.rs", "/Patient/a/$everything?_type=Observation", 403),
        ("openid", "/?_type=Patient", 403),
        ("openid", "/", 403),
        ("openid", "/_history", 403),
        ("openid", "/metadata", 200),
    ],
)
def test_what_is_answered(ward: Served, scopes: str, path: str, status: int) -> None:
    assert ward.get(path, x_scopes=scopes).status == status


def test_a_kept_answer_is_nobody_elses(ward: Served) -> None:
    for scopes, found in ((ALL, ["oa"]), (None, ["oa", "ob"]), ("patient/Observation.rs", ["oa"])) * 2:
        got = ward.get("/Observation?_id=oa,ob", **({"x_scopes": scopes} if scopes else {}))
        assert sorted(each["resource"]["id"] for each in got.json["entry"]) == found
        assert got.json["total"] == len(found)
    assert ward.get("/Observation?_id=oa,ob", x_scopes="patient/Patient.rs").status == 403


def test_a_batch_is_judged_entry_by_entry(ward: Served) -> None:
    entries = [
        {"request": {"method": "GET", "url": "Observation/oa"}},
        {"request": {"method": "GET", "url": "Observation/ob"}},
        {"request": {"method": "GET", "url": "Patient/a"}},
        {"request": {"method": "POST", "url": "Observation"}, "resource": observation("x", "b")},
        {"request": {"method": "PUT", "url": "Observation/ob"}, "resource": observation("ob", "a")},
        {"request": {"method": "DELETE", "url": "Observation/ob"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    got = ward.ask("POST", "/", bundle, x_scopes="patient/Observation.cruds")
    statuses = [each["response"]["status"][:3] for each in got.json["entry"]]
    assert statuses == ["200", "404", "403", "403", "403", "403"]
    got = ward.ask("POST", "/", bundle | {"type": "transaction"}, x_scopes="patient/Observation.cruds")
    assert got.status in (400, 403)
    assert ward.get("/Observation/ob").json["subject"] == {"reference": "Patient/b"}


def test_what_was_written_is_shown_to_who_may_read_it(ward: Served) -> None:
    for scopes, is_shown in (("patient/Observation.c", False), ("patient/Observation.cr", True)):
        got = ward.ask("POST", "/Observation", observation("", "a") | {"id": "x"}, x_scopes=scopes)
        assert got.status == 201
        assert bool(got.body) is is_shown
        assert got.headers["location"]
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "POST", "url": "Observation"}, "resource": observation("x", "a")}],
        }
        [entry] = ward.ask("POST", "/", bundle, x_scopes=scopes, prefer="return=representation").json["entry"]
        assert ("resource" in entry) is is_shown
        assert entry["response"]["status"].startswith("201")
