"""Consents followed in the records: what one process writes, another heeds with its next question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.access.consent.alerts import Alerts, RecordedAlerts
from server.access.consent.judging import OPEN, SHUT
from server.access.consent.policies import Policy, Site
from server.access.consent.source import Consents
from server.audit.codes import SECURITY_ALERT
from server.audit.event import Entity, Event
from server.fhir.consents import ConsentRules
from server.fhir.json_form import encode
from server.fhir.stored import Stored, collection
from server.fhir.versions import ABSENT, Standing
from server.fhir.writing import Change
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.trail import Trail
from storage.errors import VersionConflict
from storage.ports import Put, Record, Records
from storage.query import EVERYTHING, NOTHING
from storage.sqlite.records import SqliteRecords
from tests.data.consents import TPO, consent, deny, permit

Json = dict[str, Any]


@dataclass
class HeldClock:
    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


CLOCK = HeldClock()


def actor(role: str = "radiologist", **others: Any) -> Actor:
    return Actor(role, role, (Grant(INTERACTIONS),), frozenset((role,)), **others)


def asking(purpose: str = "TREAT", role: str = "radiologist", **others: Any) -> Context:
    return Context(actor(role, **others), "r", purpose, trail=Trail())


@dataclass
class Told:
    """What is to be remembered; `acts` go with the commit."""

    events: list[Event] = field(default_factory=list)

    async def record(self, events: Sequence[Event]) -> None:
        self.events += events

    def acts(self, events: Sequence[Event]) -> tuple[Put, ...]:
        self.events += events
        return (Put("told", str(len(self.events)), b"-"),)


async def write(records: Records, *resources: Json, alerts: Alerts | None = None) -> None:
    rules = ConsentRules(records, alerts=alerts)
    changes = [Change(each["resourceType"], each["id"], each, ABSENT) for each in resources]
    await records.commit([act for ruling in await rules.check(changes) for act in ruling])  # type: ignore[union-attr]


def run(folder: Path, scenario: Callable[[Records], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        offload = Offload()
        records = SqliteRecords(folder / "records.sqlite", offload)
        try:
            await scenario(records)
        finally:
            await records.close()
            offload.close()

    asyncio.run(whole())


class Untold:
    """A store that cannot tell its revision."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def revision(self) -> int | None:
        return None

    async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
        self.reads += 1
        return await self._records.get(collection, ids)


def test_a_withdrawal_acts_on_the_next_question(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        untold: Any = Untold(records)
        for source in (Consents(records, CLOCK), Consents(untold, CLOCK)):
            await write(records, consent(permit(TPO), id="c"))
            before = await source.state(asking())
            assert await source.answer(asking(), "Patient/p") == OPEN
            await write(records, consent(deny(TPO), id="c"))
            assert await source.answer(asking(), "Patient/p") == SHUT
            assert await source.state(asking()) != before
            again = await source.state(asking())
            await write(records, consent(permit(TPO), "Patient/other", id="d"))
            assert await source.state(asking()) == again

    run(tmp_path, scenario)


def test_one_request_looks_once_where_looking_is_dear(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        untold: Any = Untold(records)
        source, one = Consents(untold, CLOCK), asking()
        for resource_type in ("Observation", "Condition", "Patient"):
            await source.predicate(one, resource_type, "search")
        assert untold.reads == 1
        await source.predicate(asking(), "Patient", "search")
        assert untold.reads == 2

    run(tmp_path, scenario)


def test_a_period_ends_while_nothing_is_written(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        clock = HeldClock()
        source = Consents(records, clock)
        await write(records, consent(deny(TPO, period={"end": "2026-11-22T10:00:00Z"}), id="c"))
        assert await source.answer(asking(), "Patient/p") == SHUT
        state = await source.state(asking())
        clock.moment += timedelta(hours=2)
        assert await source.answer(asking(), "Patient/p") == OPEN
        assert await source.state(asking()) != state

    run(tmp_path, scenario)


def test_consents_have_no_say_where_nothing_is_disclosed(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        await write(records, consent(deny(), id="c"))
        source = Consents(records, CLOCK)
        asked = (
            (asking(role=SERVER), "Observation", "read"),
            (asking(), "Observation", "create"),
            (asking(), "Practitioner", "read"),
            (asking(role="recorder"), "Consent", "search"),
        )
        for context, resource_type, interaction in asked:
            assert await source.predicate(context, resource_type, interaction) == EVERYTHING
        assert await source.redacted_patients(asking(role=SERVER)) == frozenset()
        assert await source.predicate(asking(), "Consent", "search") != EVERYTHING
        assert await source.predicate(asking(role="recorder"), "Observation", "read") != EVERYTHING

    run(tmp_path, scenario)


def test_only_what_is_permitted_by_name_is_explicit(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        await write(records, consent(permit(["HRESCH"]), id="c"))
        source, context = Consents(records, CLOCK), asking("CLINTRCH", "researcher")
        assert await source.predicate(context, "Observation", "search") == EVERYTHING
        explicit = await source.predicate(context, "Observation", "search", explicit=True)
        assert "Patient/p" in repr(explicit)
        state = await source.state(context)
        await write(records, consent(permit(["HPAYMT"]), id="c"))
        assert await source.state(context) != state
        assert "Patient/p" not in repr(await source.predicate(context, "Observation", "search", explicit=True))

    run(tmp_path, scenario)


def test_own_patients_are_own_by_role_only(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        await write(records, consent(deny(), id="c"))
        source = Consents(records, CLOCK, Site(Policy.DENY))
        own = {"own_patients": frozenset(("p",)), "fhir_user": "Patient/p"}
        assert await source.answer(asking(role="patient", **own), "Patient/p") == OPEN
        assert await source.answer(asking(role="patient", **own), "Patient/q") == SHUT
        assert await source.answer(asking(role="system", **own), "Patient/p") == SHUT

    run(tmp_path, scenario)


def test_a_fault_opens_nothing(tmp_path: Path) -> None:
    class Failing(Untold):
        async def get(self, collection: str, ids: Sequence[str]) -> list[Record]:
            raise TimeoutError

    async def scenario(records: Records) -> None:
        told = Told()
        failing: Any = Failing(records)
        site = Site(emergency_roles=frozenset(("radiologist",)))
        source = Consents(failing, CLOCK, site, alerts=RecordedAlerts(told, CLOCK))
        usual = asking()
        for _ in range(2):
            assert await source.predicate(usual, "Observation", "read") == NOTHING
        assert await source.answer(usual, "Patient/p") == SHUT
        assert await source.redacted_patients(usual) is None
        assert usual.trail.reason
        assert await source.state(usual) != await source.state(usual)
        assert await source.predicate(asking("BTG"), "Observation", "read") == EVERYTHING
        assert await source.predicate(asking("BTG", "nurse"), "Observation", "read") == NOTHING
        assert await source.relied_on("Patient/p") == {}
        [event] = told.events
        assert (event.code, event.outcome) == (SECURITY_ALERT, 12)
        assert event.outcome_text == "consents could not be judged: TimeoutError"
        assert usual.trail.hidden == {"fault": 1}

    run(tmp_path, scenario)


def test_what_is_not_understood_is_told_of_and_forbids(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        told = Told()
        flawed = consent(permit(TPO), id="c") | {"implicitRules": "urn:x"}
        await write(records, flawed, alerts=RecordedAlerts(told, CLOCK))
        [event] = told.events
        assert (event.code, event.outcome, event.patient) == (SECURITY_ALERT, 8, "Patient/p")
        assert event.entities == (Entity("consent", "Consent/c"),)
        assert event.outcome_text == "not understood, so it forbids everything: Consent.implicitRules"
        assert await records.get("told", ["1"]), "in the same commit"
        source = Consents(records, CLOCK)
        assert await source.answer(asking(), "Patient/p") == SHUT
        assert (await source.relied_on("Patient/p"))["Consent/c"].flaw

    run(tmp_path, scenario)


def test_of_two_that_write_at_once_one_begins_again(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        rules = ConsentRules(records)
        rulings = [
            (await rules.check([Change("Consent", each, consent(deny(), id=each), ABSENT)]))[0] for each in ("c", "d")
        ]
        acts = [ruling for ruling in rulings if isinstance(ruling, tuple)]
        await records.commit(acts[0])
        with pytest.raises(VersionConflict):
            await records.commit(acts[1])

    run(tmp_path, scenario)


def test_patients_without_links_cost_nothing(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        rules = ConsentRules(records)
        person: Json = {"resourceType": "Patient", "id": "p"}
        linked = person | {"link": [{"other": {"reference": "Patient/q"}, "type": "seealso"}]}
        assert await rules.check([Change("Patient", "p", person, ABSENT)]) == [()]
        [made] = await rules.check([Change("Patient", "p", linked, ABSENT)])
        assert made
        before = Standing(Stored("Patient", "p", 1, 0, b'{"link":[]}'), 1)
        [unmade] = await rules.check([Change("Patient", "p", person, before)])
        assert unmade

    run(tmp_path, scenario)


def test_what_was_there_before_is_compiled_once(tmp_path: Path) -> None:
    async def scenario(records: Records) -> None:
        body = Stored("Consent", "c", 1, 0, encode(consent(deny(TPO), id="c"))).record_body()
        linked = {"resourceType": "Patient", "id": "q", "link": [{"other": {"reference": "Patient/p"}}]}
        told = Stored("Patient", "q", 1, 0, encode(linked)).record_body()
        keys = {"link": frozenset(("Patient/p",))}
        await records.commit([Put(collection("Consent"), "c", body), Put(collection("Patient"), "q", told, keys)])
        for _ in range(2):
            await ConsentRules(records).prepare()
        source = Consents(records, CLOCK)
        assert await source.answer(asking(), "Patient/p") == SHUT
        assert await source.answer(asking(), "Patient/q") == SHUT

    run(tmp_path, scenario)
