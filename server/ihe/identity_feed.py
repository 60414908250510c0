"""The patient identity feed over SOAP as rows (IHE ITI-44): a record is added, revised, or replaces another.

Answered by an accept acknowledgement, so with its codes (CA, CE); what is wrong is told within, with HTTP 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from uuid import uuid4

from server.ihe.identity_message import V3, Envelope, read_envelope, read_events
from server.kernel.clock import Clock
from server.kernel.problem import Kind, Problem
from server.mpi.identity_feed import IdentityFeed, is_unknown
from server.soap.message import Exchange, Perform, Reply, Transaction
from server.xds.ebxml_writing import escape

_NAME = "ITI-44"
_INTERACTIONS = "2.16.840.1.113883.1.6"
_ACCEPTED, _REFUSED = "CA", "CE"
_UNSPECIFIED = "1.3"
"""Root of a device that the message did not name."""
_KEY, _SYNTAX, _INTERNAL = "204", "100", "INTERR"


@dataclass(frozen=True, slots=True)
class IdentityFeedRows:
    feed: IdentityFeed
    clock: Clock

    def transactions(self) -> tuple[Transaction, ...]:
        return (
            self._row("PRPA_IN201301UV02", self._register),
            self._row("PRPA_IN201302UV02", self._register),
            self._row("PRPA_IN201304UV02", self._merge),
        )

    def _row(self, interaction: str, perform: Perform) -> Transaction:
        return Transaction(
            name=_NAME,
            action=f"urn:hl7-org:v3:{interaction}",
            response_action="urn:hl7-org:v3:MCCI_IN000002UV01",
            body=f"{{{V3}}}{interaction}",
            perform=perform,
            refuse=self._refuse,
            interaction="update",
        )

    async def _register(self, exchange: Exchange) -> Reply:
        for each in read_events(exchange.body, is_merge=False):
            await self.feed.register(exchange.context, each.patient, each.numbers)
        return self._reply(exchange, _ACCEPTED)

    async def _merge(self, exchange: Exchange) -> Reply:
        for each in read_events(exchange.body, is_merge=True):
            await self.feed.merge(exchange.context, each.numbers, each.replaced, _NAME)
        return self._reply(exchange, _ACCEPTED)

    def _refuse(self, exchange: Exchange, failure: Exception) -> Reply:
        code, text = _INTERNAL, "The message could not be carried out."
        if isinstance(failure, Problem):
            code, text = _code(failure), failure.text
        exchange.context.trail.fail(code)
        return self._reply(exchange, _REFUSED, code, text)

    def _reply(self, exchange: Exchange, outcome: str, code: str = "", text: str = "") -> Reply:
        told = read_envelope(exchange.body)
        moment = self.clock.now().astimezone(UTC).strftime("%Y%m%d%H%M%S")
        return Reply(acknowledgement(told, moment, outcome, code, text))


def acknowledgement(told: Envelope, moment: str, outcome: str, code: str = "", text: str = "") -> bytes:
    """MCCI_IN000002UV01; sender and receiver change places."""
    root, extension = told.id
    target = f'<id root="{escape(root)}"' + (f' extension="{escape(extension)}"/>' if extension else "/>")
    detail = ""
    if code:
        detail = (
            f'<acknowledgementDetail typeCode="E"><code code="{code}"/><text>{escape(text)}</text>'
            "</acknowledgementDetail>"
        )
    return (
        f'<MCCI_IN000002UV01 xmlns="{V3}" ITSVersion="XML_1.0"><id root="2.25.{uuid4().int}"/>'
        f'<creationTime value="{moment}"/>'
        f'<interactionId root="{_INTERACTIONS}" extension="MCCI_IN000002UV01"/>'
        f'<processingCode code="{escape(told.processing)}"/><processingModeCode code="T"/><acceptAckCode code="NE"/>'
        f'<receiver typeCode="RCV">{_device(told.sender)}</receiver>'
        f'<sender typeCode="SND">{_device(told.receiver)}</sender>'
        f'<acknowledgement><typeCode code="{outcome}"/><targetMessage>{target}</targetMessage>{detail}'
        "</acknowledgement></MCCI_IN000002UV01>"
    ).encode()


def _device(root: str) -> str:
    return f'<device classCode="DEV" determinerCode="INSTANCE"><id root="{escape(root or _UNSPECIFIED)}"/></device>'


def _code(problem: Problem) -> str:
    return _KEY if is_unknown(problem) else _SYNTAX if problem.kind is Kind.INVALID else _INTERNAL
