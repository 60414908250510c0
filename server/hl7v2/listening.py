"""Who may send messages, and what becomes of one: known by certificate, carried out, told of, acknowledged.

A sender is a node. Without TLS nobody is, and only the local actor of a server without sign-in, which listens on
loopback alone, is heard. The acknowledgement leaves when all is durable.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass

from hl7.exceptions import HL7Exception

from server.audit.acts import TRANSACTIONS
from server.audit.doorstep import Doorstep
from server.audit.security_events import node_refused
from server.audit.telling import Deed
from server.hl7v2.acknowledging import Code, Outcome, acknowledgement
from server.hl7v2.messages import Message, Unreadable, head_of, read_message
from server.hl7v2.mllp import Peer
from server.hl7v2.patient_feed import carry_out, refused
from server.kernel.clock import Clock, micros
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.ids import new_token
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.kernel.trail import Trail
from server.mpi.identity_feed import IdentityFeed
from server.trust.nodes import Nodes
from storage.errors import StoreUnavailable

_ACT = "ITI-8"
_UNKNOWN = Outcome(Code.REJECTED, "The sender is not known here.", "207", "MSH^3")

_log = logging.getLogger("weft.hl7v2")


@dataclass(frozen=True, slots=True)
class Senders:
    """With sign-in: nodes by their certificates."""

    nodes: Nodes
    step: Doorstep


@dataclass(frozen=True, slots=True)
class PatientFeed:
    """`senders`: `None` without sign-in."""

    feed: IdentityFeed
    offload: Offload
    clock: Clock
    senders: Senders | None = None

    async def answer(self, peer: Peer, octets: bytes) -> bytes:
        """The acknowledgement of a message, whatever it is."""
        head = head_of(octets)
        try:
            outcome = await self._outcome(peer, octets)
        except StoreUnavailable:
            outcome = Outcome(Code.REJECTED, "The store cannot be reached.", "206", "MSH^1")
        except Problem as problem:
            outcome = refused(problem)
        except Exception:
            _log.exception("a message could not be carried out")
            outcome = Outcome(Code.REJECTED, "The message could not be carried out.", "207", "MSH^1")
        return acknowledgement(head, outcome, new_token(10), self.clock.now())

    async def _outcome(self, peer: Peer, octets: bytes) -> Outcome:
        context = await self._context(peer)
        if context is None:
            return _UNKNOWN
        context.trail.name(_ACT)
        try:
            message = await self.offload.cpu(_read, octets)
        except Unreadable as wrong:
            outcome = Outcome(Code.REJECTED, wrong.text, wrong.code, wrong.where)
        else:
            outcome = await carry_out(self.feed, context, message)
        await self._tell(context, outcome)
        return outcome

    async def _context(self, peer: Peer) -> Context | None:
        request = new_token(16)
        if self.senders is None:
            return Context(LOCAL_ACTOR, request, peer=peer.address, trail=Trail())
        caller = await self.senders.nodes.caller(peer.certificate)
        if caller.node is None or caller.actor is None:
            await self._strange(self.senders, peer, request, caller.subject)
            return None
        return Context(caller.actor, request, caller.node.purpose, peer.address, Trail())

    async def _strange(self, senders: Senders, peer: Peer, request: str, subject: str) -> None:
        reason = "a certificate of no node" if subject else "no certificate"
        if subject:
            event = node_refused(micros(self.clock), peer.address, reason, subject)
            await senders.step.refused(event, reason)
        else:
            await senders.step.stranger(request, peer.address, reason)

    async def _tell(self, context: Context, outcome: Outcome) -> None:
        """What was written has its event in its own commit; what changed nothing, or was refused, is told here."""
        if self.senders is None:
            return
        failed = 0 if outcome.code is Code.ACCEPTED else 4
        text = f"{outcome.code} {outcome.condition}".strip() if failed else ""
        await self.senders.step.tell(context, Deed(TRANSACTIONS[_ACT], "", "", failed, text))


def server_tls(certificate: str, key: str, authorities: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; whoever shows no certificate of our authorities does not connect."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authorities)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _read(octets: bytes) -> Message:
    try:
        return read_message(octets)
    except (ValueError, LookupError, HL7Exception) as error:
        raise Unreadable("The message cannot be taken apart.", "207") from error
