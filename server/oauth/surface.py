"""The authorization server's rows under `/oauth`: the protocol, the pages and the public documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Problem
from server.oauth import problems
from server.oauth.authorize import Authorize, SignedIn
from server.oauth.introspect import IntrospectEndpoint
from server.oauth.launch import LaunchEndpoint
from server.oauth.register import RegisterEndpoint
from server.oauth.revoke import RevokeEndpoint
from server.oauth.token import TokenEndpoint
from server.smart.authority import Authority
from server.smart.bearer import Bearer
from server.smart.introspection import Introspection
from server.smart.launches import Launches
from server.smart.registration import Registration
from server.smart.revocation import Revocation
from server.smart.tokens import Tokens


class Rows(Protocol):
    def endpoints(self) -> tuple[Endpoint, ...]: ...


class Pages(SignedIn, Rows, Protocol):
    def error_page(self, call: Call, problem: Problem) -> Answer: ...


@dataclass(frozen=True, slots=True)
class OAuth:
    authority: Authority
    tokens: Tokens
    introspection: Introspection
    revocation: Revocation
    registration: Registration
    launches: Launches
    bearer: Bearer
    pages: Pages
    documents: Rows

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            *Authorize(self.authority, self.pages).endpoints(),
            *TokenEndpoint(self.tokens).endpoints(),
            *IntrospectEndpoint(self.introspection).endpoints(),
            *RevokeEndpoint(self.revocation).endpoints(),
            *RegisterEndpoint(self.registration).endpoints(),
            *LaunchEndpoint(self.launches, self.bearer, self.pages).endpoints(),
            *self.pages.endpoints(),
            *self.documents.endpoints(),
        )

    def problem(self, call: Call, problem: Problem) -> Answer:
        """The renderer of the surface."""
        return problems.render(call, problem, self.pages.error_page)
