"""The introspection endpoint (RFC 7662)."""

from __future__ import annotations

from dataclasses import dataclass

from server.http.surface import Answer, Call, Endpoint
from server.oauth.protocol_call import caller_of, pairs_of, site_of, told
from server.smart.introspection import Introspection


@dataclass(frozen=True, slots=True)
class IntrospectEndpoint:
    introspection: Introspection

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.introspect", "POST", "/introspect", "oauth", self.introspect, "RFC 7662 2"),)

    async def introspect(self, call: Call) -> Answer:
        pairs, header = await pairs_of(call), call.header("authorization")
        return told(await self.introspection.answer(pairs, header, site_of(call), caller_of(call)))
