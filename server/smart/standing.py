"""Whether a token is good at this moment, and whose it is: asked by every use of it.

A token is as good as all that stands behind it: its approval, its client and its user.
"""

from __future__ import annotations

from typing import NamedTuple

from server.access.roles import PATIENT, PROXY
from server.smart.digest import digest
from server.smart.model import Approval, Client, Token, User
from server.smart.stores import SmartStore

ACCESS, REFRESH = "access", "refresh"

_LONGEST = 512
"""Ours have 43 characters; nothing longer is worth hashing."""


class Standing(NamedTuple):
    """A good token with what stands behind it; no `user` where a client acts for itself."""

    token: Token
    approval: Approval
    client: Client
    user: User | None


async def standing_of(store: SmartStore, text: str, now: int) -> Standing | None:
    """`None` for a token that is unknown, spent, expired or revoked, or whose client or user may no longer act."""
    if not text or len(text) > _LONGEST:
        return None
    held = await store.get(Token, digest(text))
    if held is None or held.value.used_at or held.value.expires <= now:
        return None
    approval = await store.approval(held.value.approval)
    if approval is None or approval.expires <= now:
        return None
    client = await store.client(approval.client)
    if client is None or not client.is_approved:
        return None
    user = await store.user(approval.user) if approval.user else None
    if approval.user and (user is None or not user.is_active):
        return None
    return Standing(held.value, approval, client, user)


def limits(user: User | None, client: Client) -> frozenset[str] | None:
    """Logical ids of the patients that user and client are limited to; `None` where there is no such limit."""
    own = None if user is None or not _acts_for_patients(user) else frozenset(user.own_patients)
    if client.patients is None:
        return own
    agreed = frozenset(client.patients)
    return agreed if own is None else own & agreed


def _acts_for_patients(user: User) -> bool:
    """Not one who also has a place among the staff."""
    return set(user.roles) <= {PATIENT, PROXY}
