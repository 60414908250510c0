"""One request to the protocol core, and our records as the core asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Payload, OAuth2Request

from server.kernel.problem import Problem
from server.smart.forms import Form
from server.smart.grant_types import BACKEND, CODE, REFRESH
from server.smart.model import Approval, Client, Code, Launch, Token, User
from server.smart.scopes import Scope, narrow, parse_scopes


@dataclass(slots=True)
class Case:
    """One request to the core: what it may need to know, and below what it decided."""

    form: Form
    issuer: str
    now: int
    expires_in: int = 0
    """Seconds of an access token."""
    fhir_base: str = ""
    client: Client | None = None
    launch: Launch | None = None
    approval: Approval | None = None
    code: Code | None = None
    refresh: Token | None = None
    user: User | None = None
    new_code: str = ""
    issued: dict[str, Any] | None = None

    @property
    def is_refreshable(self) -> bool:
        granted = self.approval.scopes if self.approval else ()
        has_asked = "offline_access" in granted or "online_access" in granted
        return has_asked and self.client is not None and REFRESH in self.client.grants


@dataclass(slots=True)
class Sent:
    """What the core would have sent."""

    status: int
    body: Any
    location: str = ""


class ClientView(ClientMixin):
    """A client as the core asks for it; what it is allowed depends on the flow, for `system/` scopes are no user's."""

    def __init__(self, client: Client, is_backend: bool) -> None:
        self.client_id = client.id
        self._client = client
        self._is_backend = is_backend

    def get_client_id(self) -> str:
        return self._client.id

    def get_default_redirect_uri(self) -> None:
        """There is none: apps name where the user is to go."""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self._client.redirects

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and CODE in self._client.grants

    def check_grant_type(self, grant_type: str) -> bool:
        """A client that cannot prove itself does not act for itself."""
        is_proven = grant_type != BACKEND or self._client.method != "none"
        return grant_type in self._client.grants and is_proven

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What of the scopes asked for this client may have in this flow; `None` where that is nothing."""
        allowed = parse_scopes(" ".join(self._client.scopes))
        try:
            asked = [each for each in parse_scopes(scope or "") if self._is_of_flow(each)]
        except Problem:
            return None
        return " ".join(each.text for each in narrow(asked, allowed)) or None

    def _is_of_flow(self, scope: Scope) -> bool:
        return not scope.is_resource or (scope.context == "system") == self._is_backend


class CodeView:
    """A code as the core asks for it."""

    code_challenge_method = "S256"

    def __init__(self, code: Code, approval: Approval) -> None:
        self._redirect = code.redirect
        self._scope = " ".join(approval.scopes)
        self.code_challenge = code.challenge

    def get_redirect_uri(self) -> str:
        return self._redirect

    def get_scope(self) -> str:
        return self._scope


class RefreshView:
    """A refresh token as the core asks for it: its scopes are those of the approval, however narrow the last access
    token was (RFC 6749 6)."""

    def __init__(self, approval: Approval) -> None:
        self._approval = approval

    def check_client(self, client: ClientView) -> bool:
        return self._approval.client == client.get_client_id()

    def get_scope(self) -> str:
        return " ".join(self._approval.scopes)


class _Payload(OAuth2Payload):
    def __init__(self, form: Form) -> None:
        self._form = form

    @property
    def data(self) -> Form:
        return self._form

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._form.items()}


class Request(OAuth2Request):
    def __init__(self, method: str, case: Case) -> None:
        # The library refuses plain HTTP here; whether that is allowed is for the settings and the proxy to say.
        super().__init__(method, "https://localhost/", headers={})
        self.payload = _Payload(case.form)
        self.case = case

    @property
    def form(self) -> Form:
        return self.case.form

    @property
    def args(self) -> Form:
        return self.case.form
