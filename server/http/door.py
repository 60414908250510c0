"""Who enters a surface, and what is remembered when they leave.

A surface asks its door once per request: `enter` names the actor or refuses, `leave` is awaited after the handler has
its answer and before the first byte is sent, so that what could not be recorded is not disclosed either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import Actor, Context
from server.kernel.problem import Problem


class Door(Protocol):
    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        """The context of the request; `UNAUTHENTICATED` with its challenge where no actor can be named."""
        ...

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """Record what was done, or tried; a `Problem` here is answered instead."""
        ...


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """Everyone is the same actor and nothing is recorded: sign-in is off, and only loopback can reach the server."""

    actor: Actor

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        return Context(self.actor, request_id)

    async def leave(self, call: Call, endpoint: Endpoint, outcome: Answer | Problem) -> None:
        """Nothing is recorded."""
