"""A stored query asked of this community and of others (ITI-18 at an initiating gateway, ITI-38 from it; TF-2 3.38).

A query by patient goes to every community where the patient has a number, or to those the consumer names; one by id
goes where the id is from, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lxml import etree

from server.kernel.context import Context
from server.kernel.offload import Offload
from server.soap.client import Answered
from server.xca.answers import read_objects
from server.xca.asking import Asking, Errand, Part
from server.xca.messages import write_query
from server.xca.neighbour import Neighbour, Neighbours, home_of
from server.xca.rights import Rights
from server.xca.speaking import Token
from server.xds.community import Community
from server.xds.datatypes import Cx
from server.xds.ebxml_reading import AdhocQuery, read_adhoc_query
from server.xds.errors import ErrorCode, RegistryError, refused
from server.xds.metadata import Slot
from server.xds.queries import ONE_COMMUNITY, QueryAnswer
from server.xds.query_reading import read_query
from server.xds.rim import Tag, slot_of
from server.xds.stored_queries import GetQuery, StoredQuery

ACTION = "urn:ihe:iti:2007:CrossGatewayQuery"
_TARGETS = frozenset({"targetcommunityidlist", "homecommunityid"})
"""Names of slots that say who is to be asked, as consumers write them."""
_HOME = re.compile(r"(?:urn:oid:)?[0-2](?:\.\d+)+", re.ASCII)
_PATIENT = frozenset({
    "$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId",
})  # fmt: skip


class Answering(Protocol):
    """What is asked of this community's own registry."""

    async def answer(self, context: Context, query: AdhocQuery, *, is_gateway: bool = False) -> QueryAnswer: ...


@dataclass(frozen=True, slots=True)
class CrossQueries:
    community: Community
    neighbours: Neighbours
    asking: Asking
    rights: Rights
    queries: Answering
    offload: Offload

    async def answer(self, context: Context, body: etree._Element, header: etree._Element | None) -> Part[bytes]:
        """`body`: a query:AdhocQueryRequest. A problem where the query could be answered by nobody."""
        query = read_adhoc_query(body)
        asked = read_query(query)
        if query.id in ONE_COMMUNITY:
            raise refused(ErrorCode.UNKNOWN_STORED_QUERY, f"The query {query.id} is not asked across communities.")
        targets = _targets(query, body)
        if not targets and isinstance(asked, GetQuery):
            raise refused(ErrorCode.MISSING_HOME, "A query by id names the homeCommunityId it is for.")
        known = {each.id: each for each in await self.neighbours.every() if each.query}
        token, errands = Token.of(header), list[Errand[bytes]]()
        for each in known.values():
            if not targets or each.id in targets:
                errands += await self._errands(context, query, asked, each, token)
        is_here = not targets or self.community.home in targets
        part = await self.asking.all_of(context, errands, self._own(context, query) if is_here else None)
        strangers = tuple(_stranger(each) for each in targets if each not in known and each != self.community.home)
        return Part(_once(part.found, errands), (*strangers, *part.errors), part.has_answered)

    def _own(self, context: Context, query: AdhocQuery) -> Callable[[], Awaitable[Part[bytes]]]:
        async def give() -> Part[bytes]:
            asked = replace(query, home=self.community.home)
            found = await self.queries.answer(context, asked, is_gateway=True)
            return Part(tuple(found.objects), found.errors)

        return give

    async def _errands(
        self, context: Context, query: AdhocQuery, asked: StoredQuery, neighbour: Neighbour, token: Token
    ) -> list[Errand[bytes]]:
        """One for each number the patient has there; none where there is nothing to ask, or no right to."""
        blocks = token.for_(neighbour)
        if isinstance(asked, GetQuery):
            if not blocks and not await self.rights.may_ask(context, "search", "DocumentReference"):
                return []
            return [self._errand(replace(query, home=neighbour.id), neighbour, blocks)]
        numbers = await self._numbers(context, asked.patients[0], neighbour)
        home = neighbour.id if query.home else ""
        return [self._errand(_with_patient(query, each, home), neighbour, blocks) for each in numbers]

    async def _numbers(self, context: Context, told: str, neighbour: Neighbour) -> tuple[str, ...]:
        """As CX; as it was told where the authority is the same."""
        try:
            number = Cx.parse(told.strip())
        except ValueError:
            return ()
        if not await self.rights.may_ask_about(context, number):
            return ()
        authority = neighbour.patient_authority or self.community.patient_authority
        return tuple(str(each) for each in await self.rights.numbers(context, number, authority))

    def _errand(self, query: AdhocQuery, neighbour: Neighbour, blocks: bytes) -> Errand[bytes]:
        async def read(answered: Answered) -> Part[bytes]:
            return await self.offload.cpu(read_objects, answered.body, neighbour)

        return Errand(neighbour, "ITI-38", ACTION, neighbour.query, write_query(query), read, blocks)


def _once(found: Sequence[bytes], errands: Sequence[Errand[bytes]]) -> tuple[bytes, ...]:
    """A community asked by several numbers of one patient may give an object several times."""
    is_repeated = len({each.neighbour.id for each in errands}) < len(errands)
    return tuple(dict.fromkeys(found) if is_repeated else found)


def _targets(query: AdhocQuery, body: etree._Element) -> tuple[str, ...]:
    """Who is to be asked; nobody named is everybody."""
    if query.home:
        return (home_of(query.home),)
    listed = dict.fromkeys(home_of(each) for name, values in _slots(body) for each in values if _is_target(name))
    return tuple(listed)


def _slots(body: etree._Element) -> Iterator[tuple[str, list[str]]]:
    """Those of the query, and of the request round it (rs:RequestSlotList)."""
    for element in body.iter(Tag.SLOT):
        name, values = slot_of(element)
        yield name, [each for value in values for each in _HOME.findall(value)]


def _is_target(name: str) -> bool:
    return name.rpartition("$")[2].lower() in _TARGETS


def _with_patient(query: AdhocQuery, number: str, home: str) -> AdhocQuery:
    value = "'" + number.replace("'", "''") + "'"
    slots = (Slot(each.name, (value,)) if each.name in _PATIENT else each for each in query.slots)
    return replace(query, slots=tuple(slots), home=home)


def _stranger(home: str) -> RegistryError:
    return RegistryError(ErrorCode.UNKNOWN_COMMUNITY, f"No community {home[:100]} is known here.", home[:100])
