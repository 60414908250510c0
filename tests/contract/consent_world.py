"""A hospital for the consent cases: the whole server over one store, asked in the name of anybody for any purpose.

Every case gets a patient of its own, so that all are tried on one archive, each beside the consents of all others. What
the site chose (policy, mode) is tried by further servers over the same records, which know of consents only what the
records tell them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.access.roles import NURSE, PATIENT, PROXY, RADIOLOGIST, RECORDER, RESEARCHER, SYSTEM
from server.assembly import Services, open_services
from server.dicomweb import problems as dicomweb_problems
from server.fhir_rest import problems as fhir_problems
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.problem import Problem
from server.kernel.trail import Trail
from server.settings import Settings
from tests.data.consents import label
from tests.data.exchange import exchange

HOST = "weft.example"
EVERY_GRANT = (Grant(INTERACTIONS),)
Json = dict[str, Any]


def person(name: str, role: str, reference: str = "", **others: Any) -> Actor:
    return Actor(name, name, EVERY_GRANT, frozenset((role,)), user=name, fhir_user=reference, **others)


DR_A = person("dr-a", RADIOLOGIST, "Practitioner/dr-a")
DR_B = person("dr-b", RADIOLOGIST, "Practitioner/dr-b")
"""Works for Organization/org-x."""
CLERK = person("clerk", NURSE, "Practitioner/clerk")
RESEARCHING = person("researcher", RESEARCHER, "PractitionerRole/research")
"""Of Organization/research-org."""
KEEPER = person("keeper", RECORDER, "Practitioner/keeper")
BACKEND = Actor("backend", "backend", EVERY_GRANT, frozenset((SYSTEM,)), client="backend", fhir_user="Device/dev-x")
"""A device of Organization/org-x."""


def the_patient(name: str) -> Actor:
    return person(f"patient-{name}", PATIENT, f"Patient/{name}", own_patients=frozenset((name,)))


def the_parent(name: str) -> Actor:
    return person(f"parent-{name}", PROXY, f"RelatedPerson/{name}-parent", own_patients=frozenset((name,)))


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes
    trail: Trail

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def names(self) -> set[str]:
        """`Type/id` of what a Bundle holds."""
        return {f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in self.json.get("entry", ())}


class ChosenDoor:
    """Lets in whoever the test says."""

    def __init__(self) -> None:
        self.actor, self.purpose = LOCAL_ACTOR, "TREAT"
        self.trail = Trail()

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        self.trail = Trail()
        reason = "unconscious" if self.purpose == "BTG" else ""
        actor = Actor(**{**vars_of(self.actor), "break_glass": reason})
        return Context(actor, request_id, self.purpose, trail=self.trail)

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """Nothing is recorded."""


def vars_of(actor: Actor) -> dict[str, Any]:
    return {name: getattr(actor, name) for name in Actor.__dataclass_fields__}


@dataclass
class Server:
    """One process, as it were."""

    services: Services
    door: ChosenDoor
    surfaces: dict[str, SurfaceApplication]


@dataclass
class World:
    runner: asyncio.Runner
    settings: Settings
    servers: dict[tuple[tuple[str, str], ...], Server] = field(default_factory=dict)

    def server(self, **chosen: str) -> Server:
        key = tuple(sorted(chosen.items()))
        if key not in self.servers:
            self.servers[key] = self.runner.run(_open(self.settings, chosen))
        return self.servers[key]

    def ask(
        self,
        actor: Actor,
        method: str,
        path: str,
        body: Any = None,
        *,
        purpose: str = "TREAT",
        site: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Got:
        """`path` begins with `/fhir` or `/dicomweb`; a dictionary is sent as JSON."""
        server = self.server(**(site or {}))
        server.door.actor, server.door.purpose = actor, purpose
        sent = {"host": HOST, **(headers or {})}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/fhir+json")
        return self.runner.run(_asked(server, method, path, body or b"", sent))

    def get(self, actor: Actor, path: str, **others: Any) -> Got:
        return self.ask(actor, "GET", f"/fhir/{path}", **others)

    def put(self, *resources: Json) -> None:
        """Written by the server itself, all in one transaction."""
        entries = [
            {"request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}, "resource": each}
            for each in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        got = self.ask(LOCAL_ACTOR, "POST", "/fhir", bundle)
        assert got.status == 200, got.body

    def part(self, name: str) -> None:
        """The patient is a person of its own again."""
        index = self.server().services.documents.master
        self.runner.run(index.unlink(Context(LOCAL_ACTOR, "part"), f"Patient/{name}"))

    def close(self) -> None:
        for each in self.servers.values():
            self.runner.run(each.services.close())


async def _open(settings: Settings, chosen: dict[str, str]) -> Server:
    values = {name: getattr(settings, name) for name in Settings.__dataclass_fields__}
    services = await open_services(Settings(**{**values, **chosen}))
    door = ChosenDoor()
    common: dict[str, Any] = {"door": door, "cors": Cors.parse(""), "offload": services.offload}
    common["base_url"] = settings.base_url
    dicomweb = SurfaceApplication(
        prefix="/dicomweb", endpoints=services.dicomweb().endpoints(), problem=dicomweb_problems.render, **common
    )
    fhir = SurfaceApplication(
        prefix="/fhir", endpoints=(), router=services.fhir_rest().router(), problem=fhir_problems.render, **common
    )
    return Server(services, door, {"fhir": fhir, "dicomweb": dicomweb})


async def _asked(server: Server, method: str, path: str, body: bytes, headers: dict[str, str]) -> Got:
    path, _, query = path.partition("?")
    surface = server.surfaces[path.split("/")[1]]
    status, found, whole = await exchange(surface, method, path, headers, body, query=query, server=("127.0.0.1", 80))
    return Got(status, found, whole, server.door.trail)


@contextmanager
def opened_world(folder: Path, records_url: str) -> Iterator[World]:
    settings = Settings(data=folder, records=records_url, auth="off", base_url=f"http://{HOST}")
    with asyncio.Runner() as runner:
        world = World(runner, settings)
        try:
            world.put(*staff())
            yield world
        finally:
            world.close()


def staff() -> list[Json]:
    """Who works here, where, and in which group."""
    practitioners = [{"resourceType": "Practitioner", "id": each} for each in ("dr-a", "dr-b", "clerk", "keeper")]
    organizations = [
        {"resourceType": "Organization", "id": each, "name": each} for each in ("here", "org-x", "research-org")
    ]
    ward = {
        "resourceType": "Organization",
        "id": "ward-x",
        "name": "ward",
        "partOf": {"reference": "Organization/org-x"},
    }
    role = {"resourceType": "PractitionerRole", "id": "b-at-x", "practitioner": {"reference": "Practitioner/dr-b"}}
    role |= {"organization": {"reference": "Organization/ward-x"}, "period": {"start": "2020-01-01"}}
    research = {"resourceType": "PractitionerRole", "id": "research"}
    research |= {"organization": {"reference": "Organization/research-org"}}
    over = {"resourceType": "PractitionerRole", "id": "a-at-x", "practitioner": {"reference": "Practitioner/dr-a"}}
    over |= {"organization": {"reference": "Organization/org-x"}, "period": {"end": "2020-01-01"}}
    group = {"resourceType": "Group", "id": "emergency", "type": "practitioner", "actual": True, "active": True}
    group |= {"member": [{"entity": {"reference": "Practitioner/dr-a"}}]}
    device = {"resourceType": "Device", "id": "dev-x", "owner": {"reference": "Organization/org-x"}}
    return [*practitioners, *organizations, ward, role, research, over, group, device]


def patient(name: str) -> Json:
    return {"resourceType": "Patient", "id": name, "identifier": [{"system": "urn:mrn", "value": name}]}


def parent(name: str) -> Json:
    return {"resourceType": "RelatedPerson", "id": f"{name}-parent", "patient": {"reference": f"Patient/{name}"}}


def observation(name: str, kind: str, *labels: str, date: str = "2024-03-01", by: str | None = "dr-a") -> Json:
    """Of the patient `name`, under the id `name-kind`."""
    made: Json = {
        "resourceType": "Observation",
        "id": f"{name}-{kind}",
        "meta": {"security": [label(each) for each in labels]},
        "status": "final",
        "code": {"coding": [{"system": "urn:codes", "code": kind}]},
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": date,
        "valueString": f"value of {kind}",
    }
    if not labels:
        del made["meta"]
    return made | ({"performer": [{"reference": f"Practitioner/{by}"}]} if by else {})


def observations(name: str) -> list[Json]:
    """O-n, O-psy, O-etoh, O-22 and O-24 of the table."""
    return [
        observation(name, "n", "N"),
        observation(name, "psy", "R", "PSY"),
        observation(name, "etoh", "R", "ETHUD"),
        observation(name, "22", "N", date="2022-05-05"),
        observation(name, "24", "N", date="2024-05-05"),
    ]


def visit(name: str) -> list[Json]:
    """Enc1 and its data."""
    subject, encounter = {"reference": f"Patient/{name}"}, {"reference": f"Encounter/{name}-enc1"}
    within: Json = {"subject": subject, "encounter": encounter}
    text = {"text": "something"}
    return [
        {
            "resourceType": "Encounter",
            "id": f"{name}-enc1",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": subject,
        },
        {"resourceType": "Condition", "id": f"{name}-condition", "code": text, **within},
        {"resourceType": "DiagnosticReport", "id": f"{name}-report", "status": "final", "code": text, **within},
        {"resourceType": "ImagingStudy", "id": f"{name}-study", "status": "available", **within},
        observation(name, "visit", "N") | {"encounter": encounter},
    ]
