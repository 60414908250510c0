"""Consents compiled as they are written: what a Consent, or a Patient's links, comes to goes into the same commit.

So does whose a PractitionerRole is, for consents that speak of what a practitioner authored.

Each commit that changes one counts the state record up, on the condition that nobody else did meanwhile; the new count
is the sequence of its rules. So a process that knows one count finds whatever is newer, and nothing twice in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

import msgspec

from server.access.consent.alerts import Alerts, LoggedAlerts
from server.access.consent.compiling import Compiler
from server.access.consent.rule import FLAWED, RULES, SEQUENCE, STATE, Employed, Linked, Rule, Written
from server.access.consent.source import CURRENT, INDEXES
from server.fhir.index.bases import Bases
from server.fhir.index.moments import span_of
from server.fhir.json_form import Resource, decode
from server.fhir.stored import from_record
from server.fhir.versions import Standing
from server.fhir.writing import Act, Change, Ruling
from storage.errors import VersionConflict
from storage.ports import Cursor, Put, Record, Records
from storage.query import EVERYTHING, Exists, Predicate

_TOGETHER = 200
_COMPILED = "compiled-with-identifiers"
_LINK = b'"link"'


class ConsentRules:
    """Refuses nothing: a consent that is not understood is kept, and forbids."""

    types = frozenset(("Consent", "Patient", "PractitionerRole"))

    def __init__(
        self, records: Records, bases: Sequence[str] = (), zone: tzinfo = UTC, alerts: Alerts | None = None
    ) -> None:
        """`alerts` are told of each consent that is not understood."""
        self._records = records
        self._compiler = Compiler(lambda text: span_of(text, zone), Bases.of(bases).local)
        self._alerts = alerts or LoggedAlerts()

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        if not any(self._concerns(each) for each in changes):
            return [()] * len(changes)
        return self._rulings(changes, await self._version())

    def _concerns(self, change: Change) -> bool:
        """Cheap, because every Patient that is written comes by."""
        if change.type != "Patient" or (change.resource is not None and change.resource.get("link")):
            return True
        current = change.standing.current
        return current is not None and _LINK in current.body

    def _rulings(self, changes: Sequence[Change], version: int) -> list[Ruling]:
        rulings: list[Ruling] = []
        count: tuple[Act, ...] = (Put(STATE, CURRENT, b"-", expected=version),)
        for change in changes:
            written = self._written(change) if self._concerns(change) else None
            if written is None:
                rulings.append(())
            else:
                name = f"{change.type}/{change.id}"
                rulings.append((*count, _act(name, written, version + 1), *self._told(name, written.rule)))
                count = ()
        return rulings

    async def prepare(self) -> None:
        """Compile what was written before there were rules; safe to repeat, and from several processes at once."""
        await self._records.prepare(INDEXES)
        if await self._records.get(STATE, [_COMPILED]):
            return
        kept = (("Consent", EVERYTHING), ("PractitionerRole", EVERYTHING), ("Patient", Exists("link")))
        for resource_type, predicate in kept:
            after: Cursor | None = None
            while True:
                try:
                    after = await self._recompile(resource_type, predicate, after)
                except VersionConflict:
                    continue
                if after is None:
                    break
        await self._records.commit([Put(STATE, _COMPILED, b"-")])

    async def _recompile(self, resource_type: str, predicate: Predicate, after: Cursor | None) -> Cursor | None:
        """One page, and where the next begins. The version is read first: what is written meanwhile wins."""
        version = await self._version()
        page = await self._records.find(f"fhir-{resource_type}", predicate, after=after, limit=_TOGETHER)
        changes = [_as_change(resource_type, record) for record in page.records]
        acts = [act for ruling in self._rulings(changes, version) if isinstance(ruling, tuple) for act in ruling]
        if acts:
            await self._records.commit(acts)
        return page.next

    async def _version(self) -> int:
        found = await self._records.get(STATE, [CURRENT])
        return found[0].version if found else 0

    def _written(self, change: Change) -> Written | None:
        """What the change makes of the record of rules, `None` where it may stay as it is."""
        if change.type == "Patient":
            return self._linked(change)
        if change.type == "PractitionerRole":
            return self._employed(change)
        rule = None if change.resource is None else self._compiler.compile(change.resource)
        if rule is None and change.standing.current is None:
            return None
        return Written(rule=rule)

    def _told(self, name: str, rule: Rule | None) -> tuple[Put, ...]:
        return self._alerts.flawed(name, rule.patient, rule.flaw) if rule is not None and rule.flaw else ()

    def _linked(self, change: Change) -> Written:
        return Written(linked=Linked(() if change.resource is None else self._others(change.resource)))

    def _employed(self, change: Change) -> Written | None:
        """What was authored under a role that is gone, or is nobody's any more, stays whose it was."""
        named = change.resource.get("practitioner", {}).get("reference", "") if change.resource is not None else ""
        practitioner = self._compiler.local(named).partition("/_history/")[0]
        return Written(employed=Employed(practitioner)) if practitioner.startswith("Practitioner/") else None

    def _others(self, patient: Resource) -> tuple[str, ...]:
        named = (each.get("other", {}).get("reference") for each in patient.get("link", ()))
        local = {self._compiler.local(each).partition("/_history/")[0] for each in named if isinstance(each, str)}
        return tuple(sorted(each for each in local if each.startswith("Patient/")))


def _act(name: str, written: Written, sequence: int) -> Put:
    keys = {SEQUENCE: frozenset((sequence,))}
    if written.rule is not None and written.rule.flaw:
        keys[FLAWED] = frozenset((1,))
    return Put(RULES, name, msgspec.json.encode(written), keys)


def _as_change(resource_type: str, record: Record) -> Change:
    stored = from_record(resource_type, record)
    return Change(resource_type, stored.id, decode(stored.body), Standing(stored, record.version))
