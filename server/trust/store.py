"""The records of what is believed, and of what was used up: one place that knows their keys and encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import msgspec

from server.trust.model import ISSUER, NODE, USED, Issuer, Node
from storage.errors import VersionConflict
from storage.ports import Delete, Put, Records
from storage.query import EVERYTHING, Any, Between, Equals, Key

Known = TypeVar("Known", Issuer, Node)

_MOST = 1000


class HeldIssuer(NamedTuple):
    issuer: Issuer
    version: int


@dataclass(frozen=True, slots=True)
class TrustStore:
    """`marks`: where what was used up is kept, other than the records where each message would make these look old."""

    records: Records
    marks: Records | None = None

    @property
    def _used(self) -> Records:
        return self.marks or self.records

    async def issuer(self, id: str) -> HeldIssuer | None:
        found = await self.records.get(ISSUER, [id])
        return HeldIssuer(msgspec.json.decode(found[0].body, type=Issuer), found[0].version) if found else None

    async def node(self, thumbprint: str, subject: str) -> Node | None:
        """By its certificate: one that is named by it, before one that is named by the name in it."""
        asked = Any((Equals("thumbprint", thumbprint), Equals("subject", subject)))
        page = await self.records.find(NODE, asked, limit=_MOST)
        nodes = [msgspec.json.decode(each.body, type=Node) for each in page.records]
        return next((each for each in nodes if each.thumbprint), nodes[0] if nodes else None)

    async def every(self, kind: type[Known]) -> list[Known]:
        page = await self.records.find(_collection(kind), EVERYTHING, limit=_MOST)
        return [msgspec.json.decode(each.body, type=kind) for each in page.records]

    async def get(self, kind: type[Known], id: str) -> Known | None:
        found = await self.records.get(_collection(kind), [id])
        return msgspec.json.decode(found[0].body, type=kind) if found else None

    def put(self, value: Issuer | Node, expected: int | None = None) -> Put:
        keys: dict[str, str] = {}
        if isinstance(value, Node):
            keys = {"thumbprint": value.thumbprint, "subject": value.subject}
        kept: Mapping[str, frozenset[Key]] = {name: frozenset((text,)) for name, text in keys.items() if text}
        return Put(_collection(type(value)), value.id, msgspec.json.encode(value), kept, expected)

    def delete(self, kind: type[Issuer] | type[Node], id: str) -> Delete:
        return Delete(_collection(kind), id)

    async def use_once(self, *what: str, until: int) -> bool:
        """Whether nobody has used this before, in any process; it is remembered until then."""
        id = hashlib.sha256("\x1f".join(what).encode("utf-8", "surrogatepass")).hexdigest()
        try:
            await self._used.commit([Put(USED, id, b"-", {"expires": frozenset((until,))}, expected=0)])
        except VersionConflict:
            return False
        return True

    async def sweep(self, now: int) -> int:
        """Delete what need not be remembered any longer; tells how much that was."""
        swept = 0
        while found := (await self._used.find(USED, Between("expires", None, now), limit=_MOST)).records:
            await self._used.commit([Delete(USED, each.id) for each in found])
            swept += len(found)
        return swept


def _collection(kind: type[Issuer] | type[Node]) -> str:
    return ISSUER if kind is Issuer else NODE
