"""Whether somebody may still act long after a request of theirs: what was begun for them goes on only as long.

A subscription outlives the tokens it was made with, so it is not these that are asked after but who stands behind
them: the user, with the roles and patients of then, and the client.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.kernel.context import SERVER, Actor
from server.smart.standing import limits
from server.smart.stores import SmartStore


@dataclass(frozen=True, slots=True)
class StandingActors:
    store: SmartStore

    async def stands(self, actor: Actor) -> bool:
        """Whether user and client are still good, with the same rights."""
        if SERVER in actor.roles:
            return True
        client = await self.store.client(actor.client) if actor.client else None
        if client is None or not client.is_approved:
            return False
        user = await self.store.user(actor.user) if actor.user else None
        if actor.user and (user is None or not user.is_active):
            return False
        roles = user.roles if user is not None else client.roles
        return frozenset(roles) == actor.roles and (limits(user, client) or frozenset()) == actor.own_patients
