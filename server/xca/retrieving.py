"""Documents and images fetched from where they are (ITI-43, RAD-69 at an initiating gateway; ITI-39, RAD-75 from it).

Each stays in its community: what is fetched is put aside until it is sent, because how an answer ends and how long it
is must be known before its first byte, and is deleted then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from lxml import etree

from server.audit.entities import document_detail
from server.audit.event import Entity
from server.kernel.context import Context
from server.soap.client import Answered
from server.xca.answers import Retrievals
from server.xca.asking import Asking, Errand, Part
from server.xca.neighbour import Neighbour, Neighbours, home_of
from server.xca.rights import Rights
from server.xca.speaking import Token
from server.xds.errors import ErrorCode, RegistryError
from server.xds.repository import DocumentRequest, Retrieved, RetrievedDocument, absent

_MOST_ENTITIES = 100


class Asked(Protocol):
    """One thing asked for, and where it is said to be."""

    @property
    def home(self) -> str: ...

    @property
    def repository(self) -> str: ...

    @property
    def document(self) -> str: ...


R = TypeVar("R", bound=Asked)


@dataclass(frozen=True, slots=True)
class Way(Generic[R]):
    """How one kind of thing is fetched."""

    transaction: str
    """`ITI-39`"""
    action: str
    right: tuple[str, str]
    """Interaction and resource type a consumer must have the right to."""
    repository: str
    """Of this community."""
    url: Callable[[Neighbour], str]
    own: Callable[[Context, Sequence[R]], Awaitable[Retrieved]]
    write: Callable[[Sequence[R]], bytes]
    """The body of the request, whose homes are told as they are asked."""
    entity: Callable[[R], Entity] = field(
        default=lambda each: Entity("document", each.document, document_detail(each.repository, each.home))
    )


@dataclass(slots=True)
class _Directed(Generic[R]):
    own: list[R]
    others: dict[str, list[R]]
    errors: list[RegistryError]


@dataclass(frozen=True, slots=True)
class CrossRetrieval:
    home: str
    """Our own."""
    neighbours: Neighbours
    asking: Asking
    rights: Rights
    answers: Retrievals

    async def retrieve(
        self, context: Context, requests: Sequence[R], way: Way[R], header: etree._Element | None
    ) -> Part[RetrievedDocument]:
        """In the order asked; the caller sends each document or closes it."""
        asked = list(dict.fromkeys(requests))
        known = {each.id: each for each in await self.neighbours.every() if way.url(each)}
        directed = self._directed(asked, known, way)
        token, may_ask = Token.of(header), await self.rights.may_ask(context, *way.right)
        errands: list[Errand[RetrievedDocument]] = []
        for home, some in directed.others.items():
            blocks = token.for_(known[home])
            if blocks or may_ask:
                errands.append(self._errand(known[home], some, way, blocks))
            else:
                directed.errors += [replace(absent(_request(each)), location=home) for each in some]
        part = await self.asking.all_of(context, errands, self._own(context, directed.own, way))
        places = {_request(each): number for number, each in enumerate(asked)}
        found = sorted(part.found, key=lambda each: places.get(each.request, len(places)))
        return replace(part, found=tuple(found), errors=(*directed.errors, *part.errors))

    def _directed(self, asked: Sequence[R], known: Mapping[str, Neighbour], way: Way[R]) -> _Directed[R]:
        found: _Directed[R] = _Directed([], {}, [])
        for each in asked:
            home = home_of(each.home)
            if home == self.home or (not home and each.repository.removeprefix("urn:oid:") == way.repository):
                found.own.append(each)
            elif home in known:
                found.others.setdefault(home, []).append(each)
            elif home:
                text = f"No community {home[:100]} is known here."
                found.errors.append(RegistryError(ErrorCode.UNKNOWN_COMMUNITY, text, each.document))
            else:
                text = "A request across communities names the homeCommunityId of each document."
                found.errors.append(RegistryError(ErrorCode.MISSING_HOME, text, each.document))
        return found

    def _own(
        self, context: Context, asked: Sequence[R], way: Way[R]
    ) -> Callable[[], Awaitable[Part[RetrievedDocument]]] | None:
        async def give() -> Part[RetrievedDocument]:
            found = await way.own(context, asked)
            return Part(found.documents, found.errors)

        return give if asked else None

    def _errand(
        self, neighbour: Neighbour, asked: Sequence[R], way: Way[R], blocks: bytes
    ) -> Errand[RetrievedDocument]:
        async def read(answered: Answered) -> Part[RetrievedDocument]:
            return await self.answers.read(answered, neighbour, [_request(each) for each in asked])

        return Errand(
            neighbour,
            way.transaction,
            way.action,
            way.url(neighbour),
            way.write(asked),
            read,
            blocks,
            tuple(way.entity(each) for each in asked[:_MOST_ENTITIES]),
            has_documents=True,
        )


def _request(asked: Asked) -> DocumentRequest:
    return DocumentRequest(asked.home, asked.repository, asked.document)
