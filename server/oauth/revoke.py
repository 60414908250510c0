"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass

from server.http.surface import Answer, Call, Endpoint
from server.oauth.protocol_call import NOT_KEPT, caller_of, pairs_of, site_of
from server.smart.revocation import Revocation


@dataclass(frozen=True, slots=True)
class RevokeEndpoint:
    revocation: Revocation

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.revoke", "POST", "/revoke", "oauth", self.revoke, "RFC 7009 2"),)

    async def revoke(self, call: Call) -> Answer:
        pairs, header = await pairs_of(call), call.header("authorization")
        await self.revocation.answer(pairs, header, site_of(call), caller_of(call))
        return Answer(200, headers=list(NOT_KEPT))
