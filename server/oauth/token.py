"""The token endpoint (RFC 6749 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from server.http.surface import Answer, Call, Endpoint
from server.oauth.protocol_call import caller_of, pairs_of, site_of, told
from server.smart.tokens import Tokens


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    tokens: Tokens

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.token", "POST", "/token", "oauth", self.exchange, "RFC 6749 3.2"),)

    async def exchange(self, call: Call) -> Answer:
        pairs, header = await pairs_of(call), call.header("authorization")
        return told(await self.tokens.answer(pairs, header, site_of(call), caller_of(call)))
