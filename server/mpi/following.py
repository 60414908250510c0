"""Persons follow what FHIR clients write of Patients: who is fed is enrolled, who is replaced is merged (IHE ITI-104).

Whoever writes that a Patient is replaced must be allowed to change the surviving one too; one that is hidden is not
there. The merge is a commit of its own after the write; sent again, both come to the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from profiles.china import citizen
from server.fhir.index.splitting import split_or, split_token
from server.fhir.json_form import Resource, reread
from server.fhir.stored import Stored, collection, from_record
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.mpi.feed_rights import unfed
from server.mpi.identity import Identifier
from server.mpi.institutions import Institutions
from server.mpi.marking import REPLACED_BY
from server.mpi.master_index import MasterIndex
from storage.ports import Records

_LOCAL = re.compile(r"Patient/[A-Za-z0-9.\-]{1,64}")
_SEVERAL = re.compile(r"[,\\]|\|.*\|")
_BY_ID = "_id="
_WHY = "replaced-by link"


@dataclass(frozen=True, slots=True)
class Following:
    """What the FHIR surface asks with every Patient that is written."""

    index: MasterIndex
    records: Records
    institutions: Institutions

    async def criteria(self, context: Context, query: str) -> str:
        """Of `identifier=system|value` alone, where that finds several: the Patient whose own number it is.

        All Patients of a person carry its master number, so that each is found by it; a source means one.
        """
        pairs = parse_qsl(query, keep_blank_values=True)
        if len(pairs) != 1 or pairs[0][0] != "identifier" or _SEVERAL.search(pairs[0][1]):
            return query
        system, _, value = pairs[0][1].partition("|")
        found = await self.index.bearers(context, Identifier(system, value)) if system and value else []
        return _BY_ID + found[0].removeprefix("Patient/") if len(found) == 1 else query

    async def check_feed(self, context: Context, query: str, resource: Resource) -> None:
        """A source names no patients by authorities that the index knows and it may not feed, nor calls them so anew.

        Who carries a number of somebody else is taken for that person, so what counts is all that is told.
        """
        tokens = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "identifier"]
        listed = [split_token(each) for token in tokens for each in split_or(token)]
        if any(len(each) < 2 for each in listed) and await self._is_bound(context, resource):
            raise Problem(Kind.INVALID, "A source names its patient by system and value: a value alone is anybody's.")
        named: list[Any] = [each[0] for each in listed]
        named += [_system(_other(each)) for each in _replacing(resource)]
        systems = {each for each in named if isinstance(each, str) and not context.actor.may_feed(each)}
        systems |= await self._new_to(context, query, resource)
        if refused := await self._heard(systems):
            raise unfed(context, refused)

    async def _new_to(self, context: Context, query: str, resource: Resource) -> set[str]:
        """Systems of others' numbers that the Patient of a source does not carry yet; a citizen number is nobody's."""
        others = {
            each for each in _numbers(resource) if each[0] != citizen.SYSTEM and not context.actor.may_feed(each[0])
        }
        if not others or not await self._is_bound(context, resource):
            return set()
        criteria = await self.criteria(context, query)
        if criteria.startswith(_BY_ID):
            for held in await self.records.get(collection("Patient"), [criteria.removeprefix(_BY_ID)]):
                others -= _numbers(reread(from_record("Patient", held).body))
        return {system for system, _ in others}

    async def asked(self, context: Context, resource: Resource, criteria: str = "") -> Resource:
        """The Patient as it is to be written: what it is replaced by is named by reference, and it is out of use.

        `criteria`: of a source. It knows nothing of master numbers and links, so they stay.
        """
        links = _replacing(resource)
        if links:
            resource = await self._replaced(context, resource, links)
        if criteria.startswith(_BY_ID):
            held = await self.records.get(collection("Patient"), [criteria.removeprefix(_BY_ID)])
            return (
                _kept(resource, reread(from_record("Patient", held[0]).body), self.index.system) if held else resource
            )
        return resource

    async def _replaced(self, context: Context, resource: Resource, links: list[dict[str, Any]]) -> Resource:
        if len(links) > 1:
            raise _refused("A patient is replaced by one other.")
        [link] = links
        other = await self._survivor(context, link.get("other"))
        told = {**link, "other": other}
        return {**resource, "active": False, "link": [told if each is link else each for each in resource["link"]]}

    async def written(self, context: Context, stored: Stored, *, is_fed: bool) -> Stored:
        """The Patient as it stands when the person index has followed; `is_fed`: by a source, under its identifier."""
        resource = reread(stored.body)
        links = _replacing(resource)
        survivor = str(links[0]["other"].get("reference", "")) if links else ""
        if _LOCAL.fullmatch(survivor):
            await self.index.replace(context, survivor, stored.reference, _WHY)
        elif is_fed and await self._is_heard(context, resource):
            await self.index.enroll(context, stored.reference)
        elif stored.version == 1 or not await self.index.restore(stored.reference):
            return stored
        found = await self.records.get(collection("Patient"), [stored.id])
        return from_record("Patient", found[0]) if found else stored

    async def _is_heard(self, context: Context, resource: Resource) -> bool:
        """Whether one of its numbers is of a domain the index knows and the client feeds; else nothing is followed."""
        systems = {system for system, _ in _numbers(resource)}
        return bool(await self._heard({each for each in systems if context.actor.may_feed(each)}))

    async def _is_bound(self, context: Context, resource: Resource) -> bool:
        """Whether a source speaks that feeds some authorities and not all."""
        return not context.actor.may_feed("") and await self._is_heard(context, resource)

    async def _heard(self, systems: Collection[str]) -> set[str]:
        """Those of domains the index knows."""
        own = {self.index.system, citizen.SYSTEM}
        others = {each.removeprefix("urn:oid:"): each for each in systems if each not in own}
        assigning = await self.institutions.assigning(sorted(others))
        return own.intersection(systems) | {others[each] for each in assigning}

    async def _survivor(self, context: Context, other: Any) -> Mapping[str, Any]:
        """A reference to somebody of this server whom the actor may change; what is still to be resolved is left."""
        if not isinstance(other, dict):
            raise _refused("A replaced-by link names the surviving patient.")
        reference, identifier = other.get("reference"), other.get("identifier")
        if isinstance(reference, str):
            if _LOCAL.fullmatch(reference):
                await self.index.check_survivor(context, reference)
            return other
        if not isinstance(identifier, dict):
            raise _refused("A replaced-by link names the surviving patient.")
        named = Identifier(str(identifier.get("system", "")), str(identifier.get("value", "")))
        found = await self.index.bearers(context, named)
        if len(found) != 1:
            raise _refused("The surviving patient is not known, or not by this identifier alone.")
        await self.index.check_survivor(context, found[0])
        return {**other, "reference": found[0]}


def _kept(sent: Resource, held: Resource, system: str) -> Resource:
    """With the numbers of the index and the links that it does not have itself."""
    if not isinstance(sent.get("identifier", []), list) or not isinstance(sent.get("link", []), list):
        return sent
    told = [*sent.get("identifier", ())]
    own = [each for each in held.get("identifier", ()) if each.get("system") == system]
    values = {each["value"] for each in own}
    others = [each for each in told if not (_system(each) == system and each.get("value") in values)]
    links = [*sent.get("link", ())]
    to = {_reference(each) for each in links}
    links += [each for each in held.get("link", ()) if _reference(each) not in to]
    made = {**sent, "identifier": [*own, *others]}
    return {**made, "link": links} if links else made


def _numbers(resource: Resource) -> set[tuple[str, str]]:
    """System and value of each, as far as they are what FHIR has there: the rest is told when it is written."""
    listed = resource.get("identifier")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    pairs = [(each.get("system"), each.get("value")) for each in found]
    return {(system, value) for system, value in pairs if isinstance(system, str) and isinstance(value, str)}


def _system(identifier: Any) -> Any:
    return identifier.get("system") if isinstance(identifier, dict) else None


def _other(link: Mapping[str, Any]) -> Any:
    """By which identifier a link names the surviving patient."""
    other = link.get("other")
    return other.get("identifier") if isinstance(other, dict) else None


def _reference(link: Any) -> str:
    other = link.get("other") if isinstance(link, dict) else None
    return str(other.get("reference", "")) if isinstance(other, dict) else ""


def _replacing(resource: Resource) -> list[dict[str, Any]]:
    listed = resource.get("link")
    if not isinstance(listed, list):
        return []
    return [each for each in listed if isinstance(each, dict) and each.get("type") == REPLACED_BY]


def _refused(text: str) -> Problem:
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, "Patient.link", "business-rule"),))
