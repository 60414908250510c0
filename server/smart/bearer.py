"""Who a bearer token stands for: the actor of the request and its purpose of use (RFC 6750).

What was found is kept while the records stay as they are, so a hot request costs some microseconds and a token that
was revoked, in whatever process, opens nothing any more. Where the records cannot tell whether they have changed,
it is kept for half a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from server.access.roles import SYSTEM
from server.kernel.clock import SECOND, Clock, micros
from server.kernel.context import Actor, Grant
from server.smart.digest import digest
from server.smart.model import Approval, Client, Token
from server.smart.refusals import refusal
from server.smart.scopes import grants, parse_scopes
from server.smart.standing import ACCESS, Standing, limits, standing_of
from server.smart.stores import SmartStore

_MOST = 4096
_KEPT = SECOND // 2


class Access(NamedTuple):
    """What a good access token gives."""

    actor: Actor
    purpose: str
    approval: Approval
    token: Token


class _Kept(NamedTuple):
    access: Access
    revision: int | None
    since: int
    until: int


class Bearer:
    def __init__(self, store: SmartStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def authenticate(self, token: str) -> Access:
        """`UNAUTHENTICATED` with the code `invalid_token`, whatever is wrong with it."""
        now, revision = micros(self._clock), await self._store.records.revision()
        id = digest(token)
        kept = self._kept.get(id)
        if kept is not None and kept.revision == revision and kept.since <= now < kept.until:
            return kept.access
        standing = await standing_of(self._store, token, now)
        if standing is None or standing.token.kind != ACCESS:
            self._kept.pop(id, None)
            raise refusal("invalid_token", "The access token is not good, or no longer.")
        access = _access(standing)
        self._keep(id, access, revision, now)
        return access

    def _keep(self, id: str, access: Access, revision: int | None, now: int) -> None:
        until = min(access.token.expires, access.approval.expires)
        if revision is None:
            until = min(until, now + _KEPT)
        if len(self._kept) >= _MOST:
            self._kept.clear()
        self._kept[id] = _Kept(access, revision, now, until)


def _access(standing: Standing) -> Access:
    token, approval, client, user = standing
    limit = limits(user, client)
    scopes = parse_scopes(" ".join(token.scopes))
    actor = Actor(
        id="|".join((user.id if user else "", client.id, approval.patient)),
        name=user.name if user else client.name,
        grants=_agreed(
            grants(scopes, approval.patient, limit, user.fhir_user if user else ""), client, is_user=user is not None
        ),
        roles=frozenset(user.roles if user else client.roles),
        user=user.id if user else "",
        client=client.id,
        fhir_user=user.fhir_user if user else client.fhir_user,
        own_patients=limit or frozenset(),
        session=approval.id,
        break_glass=approval.break_glass,
        feeds=frozenset(client.feeds),
    )
    return Access(actor, approval.purpose, approval, token)


def _agreed(granted: Iterable[Grant], client: Client, *, is_user: bool) -> tuple[Grant, ...]:
    """A client that is limited to some patients reaches no others, whoever uses it and in whatever role; where it acts
    for itself as a system only, it has them as its own."""
    if client.patients is None or (not is_user and set(client.roles) <= {SYSTEM}):
        return tuple(granted)
    return tuple(
        each if each.patient else replace(each, patient=patient)
        for each in granted
        for patient in ((each.patient,) if each.patient else client.patients)
    )
