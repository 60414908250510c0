"""What the whole server tells the audit trail of consents: those relied on, and those that cannot be judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from server.assembly import Services, open_services
from server.audit.codes import CONSENT_DECISION
from server.audit.event import Entity, Event
from server.fhir_rest import problems
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.kernel.clock import HOUR, micros
from server.kernel.context import LOCAL_ACTOR, Context
from server.settings import Settings
from server.smart.digest import digest, new_secret
from server.smart.model import Approval, Client, Token, User
from tests.data.consents import TPO, Json, consent, deny, permit
from tests.data.exchange import exchange

OURS = Context(LOCAL_ACTOR, "ours")
PATIENT: Json = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:mrn", "value": "1"}]}


def serving(folder: Path, work: Callable[[Services], Awaitable[None]]) -> None:
    async def run() -> None:
        settings = Settings(data=folder, auth="smart", base_url="http://weft.example", second_factor="off")
        services = await open_services(settings)
        try:
            await work(services)
        finally:
            await services.close()

    asyncio.run(run())


async def put(services: Services, *resources: Json) -> None:
    for each in resources:
        await services.fhir.repository.update(OURS, each["resourceType"], each["id"], each)


async def token_for(services: Services, role: str) -> str:
    """Of a person of this role with an app."""
    store, now, text = services.smart.store, micros(services.clock), new_secret()
    user = User("u", "li", "Dr Li", (role,), "Practitioner/12")
    app = Client("app", "The app", "none", ("user/*.rs",))
    approval = Approval("a", app.id, app.scopes, user.id, created=now, expires=now + HOUR)
    token = Token(digest(text), approval.id, "access", app.scopes, now, now + HOUR)
    await store.commit(*store.new_user(user), *(store.put(each) for each in (app, approval, token)))
    return text


async def ask(services: Services, path: str, token: str) -> tuple[int, bytes]:
    surface = SurfaceApplication(
        prefix="/fhir",
        endpoints=(),
        router=services.fhir_rest().router(),
        problem=problems.render,
        door=services.door,
        cors=Cors.parse(""),
        offload=services.offload,
        base_url="http://weft.example",
    )
    named = {"host": "weft.example", "authorization": f"Bearer {token}"}
    status, _, body = await exchange(surface, "GET", path, named)
    return status, body


async def decisions(services: Services) -> list[Event]:
    assert services.audit is not None
    await services.audit.recorder.settle()
    events = (await services.audit.recorder.events("", 100)).events
    return [each.event for each in events if each.event.subtype == CONSENT_DECISION]


def test_a_refusal_names_the_consents_it_rests_on(tmp_path: Path) -> None:
    async def work(services: Services) -> None:
        await put(services, PATIENT, consent(permit(TPO), id="c1"), consent(deny(TPO), id="c2"))
        status, body = await ask(services, "/fhir/Patient/p", await token_for(services, "radiologist"))
        assert (status, json.loads(body)["issue"][0]["code"]) == (403, "forbidden")
        [event] = await decisions(services)
        assert (event.outcome, event.patient, event.user) == (4, "Patient/p", "u")
        assert set(event.entities) == {Entity("consent", "Consent/c1"), Entity("consent", "Consent/c2")}

    serving(tmp_path, work)


def test_a_consent_that_is_not_understood_is_an_alert_of_the_commit_that_writes_it(tmp_path: Path) -> None:
    async def work(services: Services) -> None:
        nested = permit(TPO, nested=[permit(nested=[permit()])])
        await put(services, PATIENT, consent(nested, id="c"))
        [event] = await decisions(services)
        assert (event.outcome, event.patient, event.entities) == (8, "Patient/p", (Entity("consent", "Consent/c"),))
        assert event.outcome_text.endswith("provisions nested twice")

    serving(tmp_path, work)
