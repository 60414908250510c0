"""The door of the SOAP surfaces: an assertion, a node's certificate or a bearer token in, ATNA events out.

A message that carries an assertion is carried out for whom that speaks for, or not at all: a bad one is not passed over
in favour of the connection's own rights. Without one the actor is the bearer token's, then the node's. Nobody else is
let in, and what is wrong is told to the audit trail alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Protocol

from lxml import etree

from server.audit.acts import REFUSED, TRANSACTIONS, About
from server.audit.doorstep import Doorstep
from server.audit.security_events import node_refused
from server.audit.telling import Deed
from server.http.client_certificate import ClientCertificates
from server.http.surface import Answer, Call, Endpoint
from server.ihe.asking import query_text
from server.ihe.spoken import Spoken
from server.kernel.clock import Clock, micros
from server.kernel.context import Actor, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from server.smart.lockout import network_of
from server.soap.message import Transaction
from server.soap.names import WSA
from server.soap.surface import address_of
from server.trust.assertions import has_assertion
from server.trust.conditions import Presented
from server.trust.nodes import Caller, Nodes
from server.trust.refusals import Refusal, failed

_NOBODY = Actor("nobody", "not signed in", ())
_SERIOUS = frozenset({Kind.FAULT, Kind.UNAVAILABLE})
_MESSAGE_ID = f"{{{WSA}}}MessageID"


class Tokens(Protocol):
    """The door that knows bearer tokens."""

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context: ...


@dataclass(frozen=True, slots=True)
class SoapDoor:
    """`Door` of the surface, and `Identify` of its messages."""

    tokens: Tokens
    step: Doorstep
    nodes: Nodes
    certificates: ClientCertificates
    spoken: Spoken
    clock: Clock
    offload: Offload

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        """Whoever brings a token is known by it; the others are once their message is read."""
        scheme, _, _ = (call.header("authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.tokens.enter(call, endpoint, request_id)
        return Context(_NOBODY, request_id, peer=address_of(call), trail=Trail())

    async def sender(self, call: Call) -> str:
        """The client of a token, the node or else the name of a certificate that TLS has checked, or the address."""
        actor = call.context.actor
        if actor is not _NOBODY:
            return f"client|{actor.client or actor.id}"
        caller = await self._caller(call)
        if caller.node is not None:
            return f"node|{caller.node.id}"
        if caller.certificate is not None:
            return f"certificate|{caller.subject}"
        return network_of(address_of(call))

    async def identify(
        self, call: Call, header: etree._Element | None, body: etree._Element, transaction: Transaction
    ) -> Context:
        entered = call.context
        entered.trail.name(transaction.name)
        caller = await self._caller(call)
        try:
            context = await self._identified(call, header, body, caller)
        except Refusal as refusal:
            await self._tell(entered, refusal.reason, caller)
            raise
        pattern = TRANSACTIONS.get(transaction.name)
        if pattern is not None and pattern.about is About.QUERY:
            entered.trail.ask(await self.offload.cpu(query_text, body))
        return context

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        context = call.context
        if context.actor is _NOBODY:
            if isinstance(outcome, Problem) and outcome.kind is not Kind.UNAUTHENTICATED:
                await self.step.stranger(context.request_id, context.peer, f"refused input: {outcome.kind}")
            return
        pattern = TRANSACTIONS.get(context.trail.act, REFUSED)
        query = context.trail.query if pattern.about is About.QUERY else ""
        deed = Deed(pattern, "" if pattern is not REFUSED else endpoint.name, query)
        if isinstance(outcome, Problem):
            deed = deed._replace(outcome=8 if outcome.kind in _SERIOUS else 4, text=outcome.kind.value)
        await self.step.tell(context, deed)

    async def _caller(self, call: Call) -> Caller:
        shown = self.certificates.of(call)
        return await self.nodes.caller(shown.connection, shown.told)

    async def _identified(
        self, call: Call, header: etree._Element | None, body: etree._Element, caller: Caller
    ) -> Context:
        entered = call.context
        if header is not None and has_assertion(header):
            presented = Presented(_message_id(header), caller.certificate, _is_protected(call))
            return await self.spoken.context(entered, header, body, presented, caller.node)
        if entered.actor is not _NOBODY:
            return entered
        if caller.node is None or caller.actor is None:
            raise failed("a certificate of no node" if caller.subject else "no assertion, no certificate, no token")
        return replace(entered, actor=caller.actor, purpose=caller.node.purpose)

    async def _tell(self, context: Context, reason: str, caller: Caller) -> None:
        """Folded by address and reason, so that nobody fills a disk."""
        if caller.node is None and caller.subject:
            event = node_refused(micros(self.clock), context.peer, reason, caller.subject)
            await self.step.refused(event, reason)
        else:
            await self.step.stranger(context.request_id, context.peer, reason)


def _message_id(header: etree._Element) -> str:
    return (header.findtext(_MESSAGE_ID) or "").strip()


def _is_protected(call: Call) -> bool:
    """Nobody on the way reads along: TLS, as far as the address clients use tells, or this machine."""
    if call.base.startswith("https:"):
        return True
    client = call.scope.get("client")
    try:
        return client is not None and ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:
        return False
