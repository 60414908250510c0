"""Other communities as the operator told of them: nothing else is ever called."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from storage.ports import Delete, Put, Records
from storage.query import EVERYTHING

COLLECTION = "xca-community"
MOST = 200


class Neighbour(msgspec.Struct, frozen=True):
    """One community; an address that is empty is not asked."""

    id: str
    """homeCommunityId, `urn:oid:…`."""
    name: str
    query: str = ""
    """ITI-38."""
    retrieve: str = ""
    """ITI-39."""
    imaging: str = ""
    """RAD-75."""
    patient_authority: str = ""
    """OID that assigns its patient ids; empty where they are the same as ours."""
    authority: str = ""
    """PEM of who vouches for its certificate; empty: the authorities of this machine."""
    shows_certificate: bool = False
    """Whether it knows us by our own certificate (mutual TLS)."""
    audiences: tuple[str, ...] = ()
    """By which assertions may mean it, beside its id and its addresses."""
    since: int = 0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`own`: our homeCommunityId, which nobody else's is."""

    records: Records
    own: str

    async def every(self) -> list[Neighbour]:
        page = await self.records.find(COLLECTION, EVERYTHING, limit=MOST)
        found = [msgspec.json.decode(each.body, type=Neighbour) for each in page.records]
        return sorted((each for each in found if each.id != self.own), key=lambda each: each.id)

    def put(self, value: Neighbour, expected: int | None = None) -> Put:
        return Put(COLLECTION, value.id, msgspec.json.encode(value), expected=expected)

    def delete(self, home: str) -> Delete:
        return Delete(COLLECTION, home)


def home_of(text: str) -> str:
    """A homeCommunityId as it is compared; empty stays empty."""
    return f"urn:oid:{text.removeprefix('urn:oid:')}" if text else ""
