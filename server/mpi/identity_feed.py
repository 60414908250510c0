"""What identity sources tell, whichever way it came: a patient is known or has changed, or one identifier replaces
another (IHE ITI-8, ITI-44).

Identifiers of authorities that nobody registered, or that the sender may not feed, are passed over. A message without
any other is refused: whoever sends it means another domain. A citizen number says who somebody is and is nobody's feed.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass

from profiles.china import citizen
from server.fhir.json_form import Resource
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.mpi.feed_rights import UNFED, unfed
from server.mpi.feeding import Fed
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.institutions import Institutions
from server.mpi.master_index import MasterIndex

UNKNOWN_AUTHORITY = "unknown-authority"
"""Code of the issue of a message whose identifiers are all of authorities that are not known here."""
_LONGEST = 128
_MOST = 32
_OID = "urn:oid:"
_DAY = re.compile(r"(\d{4})(?:(\d\d)(\d\d)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class IdentityFeed:
    index: MasterIndex
    institutions: Institutions

    async def register(self, context: Context, patient: Resource, numbers: Sequence[Identifier]) -> Fed:
        """A Patient without identifiers, and what it is called; the master number counts before a hospital's own."""
        known = await self._fed(context, numbers)
        sources = sorted(
            (each for each in known if each.system != citizen.SYSTEM), key=lambda each: each.system != self.index.system
        )
        if not sources:
            raise _unknown()
        listed = [{"system": each.system, "value": each.value} for each in known]
        told: Resource = {"resourceType": "Patient", "identifier": listed, "active": True, **patient}
        fed = await self.index.register_feed(context, told, sources[0])
        context.trail.number(fed.patient, number_text(sources[0]))
        return fed

    async def merge(
        self, context: Context, survivors: Sequence[Identifier], subsumed: Sequence[Identifier], why: str = ""
    ) -> PatientIdentity:
        """Each identifier is replaced by the one of its own domain; what was said before changes nothing.

        A message names one pair as a rule. Of several, those before one that is refused stand: sent again, they change
        nothing.
        """
        pairs = _pairs(await self._fed(context, survivors), await self._fed(context, subsumed))
        identity: PatientIdentity | None = None
        for into, out in pairs:
            identity = await self.index.merge(context, into, out, why)
            context.trail.number(identity.patients[0], number_text(into))
        if identity is None:
            raise _unknown()
        return identity

    async def _fed(self, context: Context, numbers: Sequence[Identifier]) -> list[Identifier]:
        known = await self._known(numbers)
        sources = {each.system for each in known} - {citizen.SYSTEM}
        refused = {each for each in sources if not context.actor.may_feed(each)}
        if refused and refused == sources:
            raise unfed(context, refused)
        return [each for each in known if each.system not in refused]

    async def _known(self, numbers: Sequence[Identifier]) -> list[Identifier]:
        """Those of the affinity domain, of registered institutions, and citizen numbers."""
        usable = [each for each in dict.fromkeys(numbers) if _is_usable(each)][:_MOST]
        own = {self.index.system, citizen.SYSTEM}
        others = {each.system.removeprefix(_OID) for each in usable if each.system not in own}
        assigning = await self.institutions.assigning(sorted(others))
        return [each for each in usable if each.system in own or each.system.removeprefix(_OID) in assigning]


def number_text(identifier: Identifier) -> str:
    """As HL7 version 2 writes it (CX)."""
    return f"{identifier.value}^^^&{identifier.system.removeprefix(_OID)}&ISO"


def birth_date(text: str) -> str:
    """Of `YYYY[MM[DD…]]` as much as is a date: unknown months and days are met as zeros."""
    found = _DAY.match(text)
    if found is None or found[1] == "0000":
        return ""
    year, month, day = found.groups()
    if not month or not 1 <= int(month) <= 12:
        return str(year)
    if not day or not 1 <= int(day) <= monthrange(int(year), int(month))[1]:
        return f"{year}-{month}"
    return f"{year}-{month}-{day}"


def _pairs(survivors: Sequence[Identifier], subsumed: Sequence[Identifier]) -> list[tuple[Identifier, Identifier]]:
    """What replaces what; a citizen number replaces nothing, it is who somebody is."""
    found: list[tuple[Identifier, Identifier]] = []
    for out in subsumed:
        into = [each for each in survivors if each.system == out.system != citizen.SYSTEM]
        if len(into) > 1:
            raise Problem(Kind.INVALID, "Two surviving identifiers are of one authority.")
        found += [(each, out) for each in into]
    if any(into == out for into, out in found):
        raise Problem(Kind.INVALID, "An identifier cannot replace itself.")
    return found


def _is_usable(identifier: Identifier) -> bool:
    return (
        identifier.system.startswith(_OID) and 0 < len(identifier.value) <= _LONGEST and identifier.value.isprintable()
    )


def is_unknown(problem: Problem) -> bool:
    """Whether it says that somebody, or an authority, is not known here, or not fed by this sender."""
    return problem.kind is Kind.NOT_FOUND or any(each.code in (UNKNOWN_AUTHORITY, UNFED) for each in problem.issues)


def _unknown() -> Problem:
    text = "No identifier in the message is of an authority known here."
    return Problem(Kind.INVALID, text, (Issue(text, None, UNKNOWN_AUTHORITY),))
