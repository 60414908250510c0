"""The client registration endpoint (RFC 7591)."""

from __future__ import annotations

from dataclasses import dataclass

from server.http.surface import Answer, Call, Endpoint
from server.oauth.protocol_call import bearer_of, body_of, caller_of, told
from server.smart.registration import Registration


@dataclass(frozen=True, slots=True)
class RegisterEndpoint:
    registration: Registration

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.register", "POST", "/register", "oauth", self.register, "RFC 7591 3"),)

    async def register(self, call: Call) -> Answer:
        token = bearer_of(call)
        return told(await self.registration.register(await body_of(call), token, caller_of(call)), 201)
