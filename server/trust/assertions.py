"""XUA: whom the SAML assertion in a SOAP header speaks for (ITI TF-2 3.40, WSS SAML Token Profile 1.1).

A user's assertion goes with every transaction of a session, so it may come again until it ends; a message may not.
Hence what is used up is the pair of assertion and wsa:MessageID, in every process at once, and a message without an id
uses the assertion up for all that have none. One that says OneTimeUse is good for a single message. Against a thief,
who could write a new id, helps that a bearer is believed only over a connection nobody can read, and a holder of a key
only with the certificate of that connection. Rejected: each assertion once, which ends every session after one query.

The signature of an assertion that was verified already is not verified again while its issuer is unchanged and the
certificate good: it is found by the digest of its octets. Everything about time, audience and who shows it is asked
with every message. New ones are verified one after the other, and where many wait the rest is turned away: whoever
sends forgeries by the thousand keeps newcomers waiting, but neither those who are known nor the rest of the server.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from lxml import etree

from server.kernel.clock import SECOND, Clock
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.names import WSSE
from server.trust import saml
from server.trust.certificates import read_pem
from server.trust.conditions import SKEW, Own, Presented, check
from server.trust.refusals import failed, invalid
from server.trust.saml import Assertion, Value
from server.trust.signature import ASSERTION, SAML, signed
from server.trust.store import HeldIssuer, TrustStore

SECURITY = f"{{{WSSE}}}Security"
_OTHERS = (
    f"{{{SAML}}}EncryptedAssertion",
    "{urn:oasis:names:tc:SAML:1.0:assertion}Assertion",
    f"{{{WSSE}}}UsernameToken",
)
"""Tokens that speak for somebody too, in ways not understood here."""
_LONGEST = 128 << 10
_LONGEST_ID, _LONGEST_ISSUER = 512, 1024
_MOST_KEPT, _MOST_WAITING = 512, 64
_WITH_ID = etree.XPath("//@*[local-name()='ID' or local-name()='Id' or local-name()='id'][. = $id]")


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a good assertion says, as it says it; what that gives is for `server.trust.subjects` to tell."""

    subject: Value
    """NameID; its system is the NameQualifier."""
    alias: str
    name: str
    """For people."""
    organizations: tuple[str, ...]
    """`system|value`."""
    roles: tuple[Value, ...]
    purposes: tuple[Value, ...]
    provider: tuple[Value, ...]
    """National numbers of the provider."""
    resource: str
    """The one patient it is for, as a CX; empty where it says nothing of patients."""
    home: str
    id: str
    issuer: str
    not_on_or_after: datetime


class _Found(NamedTuple):
    """The one assertion of a header, not verified yet."""

    octets: bytes
    digest: bytes
    id: str
    issuer: str


class _Kept(NamedTuple):
    assertion: Assertion
    until: datetime
    """When a certificate of its issuer ends."""


class Assertions:
    def __init__(self, store: TrustStore, clock: Clock, offload: Offload, own: Own) -> None:
        self._store = store
        self._clock = clock
        self._offload = offload
        self._own = own
        self._kept: OrderedDict[tuple[bytes, int], _Kept] = OrderedDict()
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def verify(self, header: etree._Element, presented: Presented) -> tuple[Asserted, HeldIssuer]:
        """`UNAUTHENTICATED` with a WS-Security code, whatever is wrong with it (`Refusal.reason` tells)."""
        found = await self._offload.cpu(_located, header)
        held = await self._store.issuer(found.issuer) if len(found.issuer) <= _LONGEST_ISSUER else None
        if held is None:
            raise failed("an issuer that nobody here believes")
        assertion = await self._verified(found, held)
        now = self._clock.now()
        check(assertion, held.issuer, presented, self._own, now)
        await self._use(assertion, presented)
        return _asserted(assertion), held

    async def _verified(self, found: _Found, held: HeldIssuer) -> Assertion:
        key = (found.digest, held.version)
        kept = self._standing(key) or await self._anew(key, found, held.issuer.certificates)
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return kept.assertion

    def _standing(self, key: tuple[bytes, int]) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and self._clock.now() <= kept.until else None

    async def _anew(self, key: tuple[bytes, int], found: _Found, certificates: tuple[str, ...]) -> _Kept:
        if self._waiting >= _MOST_WAITING:
            raise Problem(Kind.BUSY, "Too many assertions are waiting to be verified.", retry_after=1)
        self._waiting += 1
        try:
            async with self._turn:
                # A session may begin with many messages at once.
                if (kept := self._standing(key)) is not None:
                    return kept
                return await self._offload.cpu(_examined, found, certificates, self._clock.now())
        finally:
            self._waiting -= 1

    async def _use(self, assertion: Assertion, presented: Presented) -> None:
        message = "" if assertion.is_for_one_use else presented.message[:_LONGEST_ID]
        # For as long as any process takes it, be its clock behind that of the one that forgets.
        until = int((assertion.end + 2 * SKEW).timestamp() + 1) * SECOND
        kind = "once" if assertion.is_for_one_use else "message"
        if not await self._store.use_once(kind, assertion.issuer, assertion.id, message, until=until):
            raise failed("replayed")


def has_assertion(header: etree._Element | None) -> bool:
    """Whether somebody is spoken for, well or not."""
    return header is not None and next(header.iter(ASSERTION, *_OTHERS), None) is not None


def _located(header: etree._Element) -> _Found:
    """In its place, and the only one with its ID in the whole message."""
    assertions = list(header.iter(ASSERTION, *_OTHERS))
    if len(assertions) != 1 or assertions[0].tag != ASSERTION:
        raise invalid("one assertion that can be read, and no more")
    assertion = assertions[0]
    security = assertion.getparent()
    if security is None or security.tag != SECURITY or security.getparent() is not header:
        raise invalid("an assertion in another place than wsse:Security")
    id = assertion.get("ID", "")
    if not 0 < len(id) <= _LONGEST_ID or len(_identical(header, id)) != 1:
        raise invalid("an ID that is none, or that others have")
    octets = etree.tostring(assertion, with_tail=False)
    if len(octets) > _LONGEST:
        raise invalid("an assertion longer than anybody needs")
    return _Found(octets, hashlib.sha256(octets).digest(), id, saml.issuer_named(assertion))


def _identical(header: etree._Element, id: str) -> list[object]:
    found = _WITH_ID(header.getroottree(), id=id)
    return list(found) if isinstance(found, list) else []


def _examined(found: _Found, certificates: tuple[str, ...], moment: datetime) -> _Kept:
    assertion = saml.read(signed(found.octets, certificates, moment))
    if assertion.id != found.id or assertion.issuer != found.issuer:
        raise invalid("what is signed is another assertion")
    ends = [each.end for pem in certificates for each in read_pem(pem.encode())]
    return _Kept(assertion, min((each for each in ends if each >= moment), default=moment))


def _asserted(assertion: Assertion) -> Asserted:
    resources = {_plain(each) for each in assertion.values(saml.RESOURCE)}
    if not (assertion.is_readable(saml.RESOURCE) and assertion.is_readable(saml.PURPOSE)):
        raise invalid("a patient or a purpose in words that are not understood")
    if len(resources) > 1:
        raise invalid("several patients at once")
    names = assertion.values(saml.NAME)
    homes = assertion.values(saml.HOME)
    return Asserted(
        subject=assertion.subject,
        alias=assertion.alias,
        name=names[0].value if names else assertion.subject.value,
        organizations=tuple(dict.fromkeys(each.token for each in assertion.values(saml.ORGANIZATION))),
        roles=assertion.values(saml.ROLE),
        purposes=assertion.values(saml.PURPOSE),
        provider=(*assertion.values(saml.PROVIDER), *assertion.values(saml.NPI)),
        resource=next(iter(resources), ""),
        home=homes[0].value if homes else "",
        id=assertion.id,
        issuer=assertion.issuer,
        not_on_or_after=assertion.end,
    )


def _plain(value: Value) -> str:
    """A CX, as text or as a v3 id; some senders escape its ampersands twice."""
    if value.system:
        return f"{value.value}^^^&{value.system}&ISO"
    return value.value.replace("&amp;", "&")
