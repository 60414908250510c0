"""The list a person picks a patient from: a search under the person's own rights, told in few words.

It shows no one whom the same person could not find over FHIR, and of each only what tells two patients apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, decode
from server.fhir.search.request import SearchRequest
from server.fhir.search.searcher import Searcher
from server.fhir.stored import Stored
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem

MOST = 20
"""Patients of one list: whoever needs more must say more."""

_LONGEST = 100
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOT_SPACED = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]")
_PREFERRED = ("official", "usual")


class Listed(NamedTuple):
    """One patient of the list."""

    id: str
    name: str
    birth_date: str
    sex: str
    """FHIR administrative-gender; empty where it is not told."""
    identifiers: tuple[str, ...]


class PatientPicker:
    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    async def search(self, context: Context, text: str) -> list[Listed]:
        """Patients by name, number or date of birth, of whom this actor may know."""
        told = " ".join(text.split())[:_LONGEST]
        if not told:
            return []
        if _DATE.fullmatch(told):
            return await self._found(context, [("birthdate", told)])
        by_number = await self._found(context, [("identifier", escape(told))])
        by_name = await self._found(context, [("name", escape(word)) for word in told.split(" ")])
        return list({each.id: each for each in (*by_number, *by_name)}.values())[:MOST]

    async def several(self, context: Context, ids: Sequence[str]) -> list[Listed]:
        """Of these patients those of whom this actor may know."""
        wanted = [id for id in ids if re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", id)][:MOST]
        return await self._found(context, [("_id", ",".join(wanted))]) if wanted else []

    async def _found(self, context: Context, pairs: Sequence[tuple[str, str]]) -> list[Listed]:
        """Nobody, where the criteria are none or the actor may see no patients at all."""
        try:
            asked = SearchRequest("Patient", (*pairs, ("_count", str(MOST))), strict=True)
            found = await self._searcher.search(context, asked)
        except Problem as problem:
            if problem.kind in (Kind.INVALID, Kind.FORBIDDEN):
                return []
            raise
        return [_listed(each) for each in found.matches]


def _listed(stored: Stored) -> Listed:
    patient = decode(stored.body)
    identifiers = tuple(str(each["value"]) for each in patient.get("identifier", ()) if each.get("value"))
    return Listed(stored.id, _name(patient), patient.get("birthDate", ""), patient.get("gender", ""), identifiers[:2])


def _name(patient: Resource) -> str:
    names: list[dict[str, Any]] = patient.get("name", [])
    ranked = sorted(names, key=lambda each: each.get("use") not in _PREFERRED)
    return next((text for each in ranked if (text := _text(each))), "")


def _text(name: dict[str, Any]) -> str:
    if name.get("text"):
        return str(name["text"])
    family, given = str(name.get("family", "")), [str(each) for each in name.get("given", []) if each]
    if _NOT_SPACED.search(family + "".join(given)):
        return family + "".join(given)
    return " ".join((*given, family)).strip()
