"""Who an actor is to a consent: a role in force and its organization, a group, a care team, a device's owner.

Those who come from elsewhere are who others assert they are, by reference or identifier; an Organization here that
carries the identifier is meant as well. Only what some consent names is looked for, so an archive whose consents name
nobody pays nothing. What was found is good for a second: belonging to a ward changes at another pace than consents do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from server.fhir.index.bases import Bases
from server.fhir.index.moments import span_of
from server.fhir.index.tokens import token_key
from server.fhir.json_form import Resource, decode
from server.fhir.stored import collection, from_record, micros_of
from server.kernel.clock import Clock
from server.kernel.context import Actor
from storage.ports import Records
from storage.query import All, Equals, OneOf, Predicate

_KEPT_MICROS = 1_000_000
_MOST_KEPT = 512
_MOST = 100
"""Roles of one person, and organizations one above the other, that are looked at."""
_TEAMS = ("Group/", "CareTeam/")
_WORKPLACES = ("Organization/", "PractitionerRole/", *_TEAMS)


class RecordedAffiliations:
    """As the records tell."""

    def __init__(self, records: Records, clock: Clock, bases: Sequence[str] = (), zone: tzinfo = UTC) -> None:
        self._records = records
        self._clock = clock
        self._local = Bases.of(bases).local
        self._zone = zone
        self._kept: dict[tuple[frozenset[str], frozenset[str]], tuple[int, frozenset[str]]] = {}

    async def names(self, actor: Actor, named: frozenset[str]) -> frozenset[str]:
        own = actor.organizations | {actor.fhir_user} if actor.fhir_user else actor.organizations
        if not own:
            return frozenset()
        if not any(each.startswith((*_WORKPLACES, "Practitioner/")) or "|" in each for each in named - own):
            return own
        now = micros_of(self._clock.now())
        known = self._kept.get((own, named))
        if known is not None and 0 <= now - known[0] < _KEPT_MICROS:
            return known[1]
        found = await self._found(actor, named, now)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[own, named] = now, found
        return found

    async def _found(self, actor: Actor, named: frozenset[str], now: int) -> frozenset[str]:
        own = actor.fhir_user
        names = {own, *actor.organizations, *await self._asserted(actor.organizations)} - {""}
        for role in await self._roles(own):
            if role.get("active") is not False and self._is_in_force(role.get("period"), now):
                names |= {f"PractitionerRole/{role['id']}", *self._references(role, "practitioner", "organization")}
        if own.startswith("Device/"):
            for device in await self._read("Device", [own.removeprefix("Device/")]):
                names |= {*self._references(device, "owner")}
        names |= await self._above([each for each in names if each.startswith("Organization/")])
        if own.startswith("Practitioner/") and any("|" in each for each in named):
            for person in await self._read("Practitioner", [own.removeprefix("Practitioner/")]):
                names |= _numbers(person)
        for resource_type, key in (("Group", "member"), ("CareTeam", "participant")):
            names |= await self._teams(resource_type, key, names, named, now)
        return frozenset(names)

    async def _asserted(self, organizations: frozenset[str]) -> set[str]:
        """The organizations that carry the identifiers told."""
        told = [each.rpartition("|") for each in sorted(organizations) if "|" in each][:_MOST]
        if not told:
            return set()
        carries = OneOf("identifier", tuple(token_key(value, system) for system, _, value in told))
        return {f"Organization/{each['id']}" for each in await self._find("Organization", carries)}

    async def _roles(self, own: str) -> list[Resource]:
        resource_type, _, name = own.partition("/")
        if resource_type == "Practitioner":
            return await self._find("PractitionerRole", Equals("practitioner", own))
        return await self._read("PractitionerRole", [name]) if resource_type == "PractitionerRole" else []

    async def _above(self, organizations: Sequence[str]) -> set[str]:
        """The organizations and those they are part of, by reference and by identifier."""
        found: set[str] = set(organizations)
        pending = list(organizations)
        while pending and len(found) < _MOST:
            ids = [each.removeprefix("Organization/") for each in pending]
            read = await self._read("Organization", ids)
            above = {name for each in read for name in self._references(each, "partOf")}
            pending = sorted(above - found)
            found |= above.union(*map(_numbers, read))
        return found

    async def _teams(self, resource_type: str, key: str, names: set[str], named: frozenset[str], now: int) -> set[str]:
        """Those of the teams named that one of the names belongs to now."""
        ids = tuple(each.partition("/")[2] for each in sorted(named) if each.startswith(f"{resource_type}/"))
        if not ids:
            return set()
        asked = All((OneOf("_id", ids), OneOf(key, tuple(sorted(names)))))
        teams = await self._find(resource_type, asked)
        return {f"{resource_type}/{each['id']}" for each in teams if self._belongs(each, names, now)}

    def _belongs(self, team: Resource, names: set[str], now: int) -> bool:
        if team.get("active") is False or team.get("status", "active") != "active":
            return False
        members = [(each, "entity") for each in team.get("member", ()) if each.get("inactive") is not True]
        members += [(each, "member") for each in team.get("participant", ())]
        return any(
            self._is_in_force(each.get("period"), now) and not names.isdisjoint(self._references(each, name))
            for each, name in members
        )

    def _is_in_force(self, period: Mapping[str, Any] | None, now: int) -> bool:
        """A period that cannot be read is over."""
        if period is None:
            return True
        start, end = (span_of(period[name], self._zone) if name in period else None for name in ("start", "end"))
        if ("start" in period and start is None) or ("end" in period and end is None):
            return False
        return (start is None or start[0] <= now) and (end is None or now < end[1])

    def _references(self, element: Mapping[str, Any], *names: str) -> Iterator[str]:
        for name in names:
            reference = element.get(name, {}).get("reference")
            if isinstance(reference, str):
                yield self._local(reference).partition("/_history/")[0]

    async def _read(self, resource_type: str, ids: Sequence[str]) -> list[Resource]:
        found = await self._records.get(collection(resource_type), ids)
        return [decode(from_record(resource_type, each).body) for each in found]

    async def _find(self, resource_type: str, predicate: Predicate) -> list[Resource]:
        page = await self._records.find(collection(resource_type), predicate, limit=_MOST)
        return [decode(from_record(resource_type, each).body) for each in page.records]


def _numbers(resource: Resource) -> set[str]:
    """`system|value` of each identifier."""
    return {f"{each.get('system', '')}|{each['value']}" for each in resource.get("identifier", ()) if "value" in each}
