"""What runs here, for a person who opens the server's own address: public facts, and the way to sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from server.http.surface import Answer, Call, Endpoint
from server.oauth.desk import Desk
from server.oauth.protocol_call import site_of

PATH = "/start"


@dataclass(frozen=True, slots=True)
class StartPage:
    desk: Desk

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("oauth.start", "GET", PATH, "oauth", self.show, ""),)

    async def show(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        return self.desk.show(visitor, "start", {"site": site_of(call)})
