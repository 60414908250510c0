"""Documents and the lists that hold them: what names a document says no more of it than its reader may see.

Elsewhere a reference is hidden where a consent hides what it leads to, and roles and scopes hide only the resource. Of
documents that is not enough: a submission set, a folder or a relation is the index of them, and XDS leaves out of it
whatever the reader may not see, for whichever reason. So it is over FHIR.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from server.access.compartments import any_of
from server.fhir.held_back import hidden_among
from server.fhir.stored import Stored
from server.kernel.context import Context
from storage.ports import Records
from storage.query import EVERYTHING, Predicate

LISTED = frozenset({"DocumentReference", "List"})
_NAME = re.compile(rb"(DocumentReference|List)/([A-Za-z0-9.\-]{1,64})")
_BY_IDENTIFIER = {
    "DocumentReference": (b'"type":"DocumentReference"', b'"type":"List"', b'"relatesTo"', b"uniqueId"),
    "List": (b'"identifier":{',),
}
"""In the bytes of what names others by identifier: of a document many others are told, and most are no documents."""


class Rights(Protocol):
    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate: ...


@dataclass(frozen=True, slots=True)
class Naming:
    """Which of a page may name what the actor may not see, and what may be seen, by type."""

    places: frozenset[int] = frozenset()
    seen: Mapping[str, Predicate] = field(default_factory=dict)


async def naming(records: Records, rights: Rights, context: Context, page: Sequence[Stored]) -> Naming:
    """Told by their bytes, for a page of which nothing is hidden is not to be parsed."""
    named = {n: _named(each.body) for n, each in enumerate(page) if each.type in LISTED}
    vague = {n for n in named if any(each in page[n].body for each in _BY_IDENTIFIER[page[n].type])}
    if not vague and not any(named.values()):
        return Naming()
    seen = await visible(rights, context)
    if not seen:
        return Naming()
    asked: dict[str, set[str]] = {each: set() for each in LISTED}
    for kind, id_ in set().union(*named.values()):
        asked[kind.decode()].add(id_.decode())
    hidden = await hidden_among(records, {kind: ids for kind, ids in asked.items() if ids}, seen)
    telling = {n for n, each in named.items() if any(f"{kind.decode()}/{id_.decode()}" in hidden for kind, id_ in each)}
    return Naming(frozenset(vague | telling), seen)


def _named(body: bytes) -> set[tuple[bytes, bytes]]:
    # Most documents name none, and to look for two words costs a tenth of a pattern.
    return set(_NAME.findall(body)) if b"DocumentReference/" in body or b"List/" in body else set()


async def visible(rights: Rights, context: Context) -> dict[str, Predicate]:
    """What the actor may see of each of these types, by id or by searching; none of them where that is everything."""
    found: dict[str, Predicate] = {}
    for each in sorted(LISTED):
        found[each] = any_of([await rights.constrain(context, way, each) for way in ("read", "search")])
    return {} if all(each == EVERYTHING for each in found.values()) else found
