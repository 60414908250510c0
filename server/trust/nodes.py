"""Other systems by their certificates (IHE ATNA ITI-19): a connection that shows a known one acts as its node.

TLS has checked the certificate against our authorities before anything arrives here. One that a proxy tells of is
believed only of nodes an administrator has marked so, because whoever reaches the proxy may write such a header where
it is not taken out. Whom it tells of and who is none of these is nobody, rather than the proxy itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from server.kernel.clock import Clock
from server.kernel.context import INTERACTIONS, Actor, Grant
from server.trust.certificates import Certificate, from_field, read_der
from server.trust.model import Node
from server.trust.store import TrustStore


class Caller(NamedTuple):
    """Who is at the other end of a connection, as far as certificates tell."""

    node: Node | None = None
    certificate: bytes | None = None
    """DER, of the connection or of a node told of: what an assertion's holder of key is compared with."""
    subject: str = ""
    """The name in it, known or not, for the audit trail."""

    @property
    def actor(self) -> Actor | None:
        return actor_of(self.node) if self.node is not None else None


@dataclass(frozen=True, slots=True)
class Nodes:
    store: TrustStore
    clock: Clock

    async def caller(self, connection: bytes | None, told: str = "") -> Caller:
        """`connection` is DER; `told` the `Client-Cert` field of a trusted proxy, whose own certificate is then not who
        asks."""
        if told:
            return await self._told_of(told)
        if connection is None:
            return Caller()
        try:
            certificate = read_der(connection)
        except ValueError:
            return Caller(subject="unreadable")
        return Caller(await self._node(certificate), connection, certificate.subject)

    async def _told_of(self, field: str) -> Caller:
        try:
            certificate = read_der(from_field(field))
        except ValueError:
            return Caller(subject="unreadable")
        node = await self._node(certificate)
        if node is None or not node.is_by_proxy:
            return Caller(subject=certificate.subject)
        return Caller(node, certificate.der, certificate.subject)

    async def _node(self, certificate: Certificate) -> Node | None:
        if not certificate.is_good(self.clock.now()):
            return None
        return await self.store.node(certificate.thumbprint, certificate.subject)


def actor_of(node: Node) -> Actor:
    """A node acts for itself: what its roles may, as far as consents let its organization."""
    return Actor(
        id=f"node|{node.id}",
        name=node.id,
        grants=(Grant(INTERACTIONS),),
        roles=frozenset(node.roles),
        client=node.id,
        fhir_user=node.fhir_user,
        organizations=frozenset(each for each in (node.organization,) if each),
        feeds=frozenset(node.feeds),
    )
