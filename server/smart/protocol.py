"""authlib's protocol core, run over records that were loaded before and writing none itself.

The core is synchronous and its storage hooks are called in the middle of it. Here each request is a `Case`: all that
the hooks may ask for is loaded first, and what the core decides is kept in the case, to be committed at once with the
versions that were read. So a code or a refresh token is used by one request only, whatever the number of processes.

Where the library would be laxer than we are, it is narrowed: S256 for every client, scopes compared by meaning, and
no text of the request in an error.
"""

from __future__ import annotations

import hmac
import logging
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    UnsupportedResponseTypeError,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge
from authlib.oauth2.rfc9207 import IssuerParameter

from server.kernel.problem import Problem
from server.smart.digest import new_secret
from server.smart.grant_types import BACKEND
from server.smart.model import User
from server.smart.protocol_case import Case, ClientView, CodeView, RefreshView, Request, Sent
from server.smart.refusals import refusal
from server.smart.scopes import is_subset, parse_scope, parse_scopes

_NOT_GOOD = "What was sent to be exchanged is not good, or no longer."

# It writes tokens and codes to its log at the level DEBUG.
logging.getLogger("authlib").setLevel(logging.INFO)


class _Pkce(CodeChallenge):
    """S256 for every client, confidential ones too (RFC 9700 2.1.1)."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
    CODE_CHALLENGE_METHODS = {
        "S256": lambda verifier, challenge: hmac.compare_digest(create_s256_code_challenge(verifier), challenge)
    }

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        form = grant.request.case.form
        if "code_challenge" not in form or form.get("code_challenge_method") != "S256":
            raise InvalidRequestError("A code_challenge with the method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class _CodeGrant(grants.AuthorizationCodeGrant):
    @staticmethod
    def validate_authorization_redirect_uri(request: Request, client: ClientView) -> str:
        given: str | None = request.payload.redirect_uri
        if not given or not client.check_redirect_uri(given):
            raise InvalidRequestError("The redirect_uri is not one that is registered for this client.")
        return given

    def generate_authorization_code(self) -> str:
        return new_secret()

    def save_authorization_code(self, code: str, request: Request) -> None:
        request.case.new_code = code

    def query_authorization_code(self, code: str, client: ClientView) -> CodeView | None:
        case = self.request.case
        if case.code is None or case.approval is None or case.approval.client != client.get_client_id():
            return None
        is_good = not case.code.is_used and case.code.expires > case.now
        return CodeView(case.code, case.approval) if is_good else None

    def authenticate_user(self, authorization_code: CodeView) -> User | None:
        return self.request.case.user  # type: ignore[no-any-return]

    def delete_authorization_code(self, authorization_code: CodeView) -> None:
        """It is marked as used with the commit that keeps the tokens."""

    def generate_token(self, *args: Any, **named: Any) -> Any:
        named["include_refresh_token"] = self.request.case.is_refreshable
        return super().generate_token(*args, **named)


class _RefreshGrant(grants.RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshView | None:
        case = self.request.case
        if case.refresh is None or case.approval is None or not case.is_refreshable:
            return None
        return RefreshView(case.approval)

    def _validate_token_scope(self, token: RefreshView) -> None:
        words = (self.request.payload.scope or "").split()
        asked = [parse_scope(word) for word in words]
        known = [each for each in asked if each is not None]
        if len(known) < len(asked) or not is_subset(known, parse_scopes(token.get_scope())):
            raise InvalidScopeError()

    def authenticate_user(self, refresh_token: RefreshView) -> User | None:
        return self.request.case.user  # type: ignore[no-any-return]

    def revoke_old_credential(self, refresh_token: RefreshView) -> None:
        """It is marked as used with the commit that keeps the new tokens."""


class _BackendGrant(grants.ClientCredentialsGrant):
    """The scopes are narrowed to those agreed when the token is made."""


class _Issuer(IssuerParameter):
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_issuer(self) -> str:
        return self._issuer


class Core(AuthorizationServer):
    """One for each request. `rules` are hooks that check more of an authorization request."""

    def __init__(self, case: Case, rules: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.case = case
        self.register_grant(_CodeGrant, [_Pkce(required=True), *rules])
        self.register_grant(_RefreshGrant)
        self.register_grant(_BackendGrant)
        generator = BearerTokenGenerator(_secret, _secret, lambda client, grant_type: case.expires_in)
        self.register_token_generator("default", generator)
        self.register_extension(lambda server: _Issuer(case.issuer)(server))

    def query_client(self, client_id: str) -> ClientView | None:
        client = self.case.client
        if client is None or client.id != client_id or not client.is_approved:
            return None
        return ClientView(client, is_backend=False)

    def authenticate_client(self, request: Request, methods: Any, endpoint: str = "token") -> ClientView:
        """It has been authenticated before, or not at all."""
        client = self.case.client
        if client is None:
            raise InvalidClientError("The client could not be authenticated.")
        request.auth_method = client.method
        return ClientView(client, is_backend=request.payload.grant_type == BACKEND)

    def save_token(self, token: dict[str, Any], request: Request) -> None:
        self.case.issued = token

    def get_authorization_grant(self, request: Request) -> Any:
        """What the library would say here quotes the request."""
        given, client = request.payload.response_type, self.query_client(request.payload.client_id or "")
        if client is None:
            raise InvalidRequestError("The client is not known here.")
        if given != "code":
            redirect = _CodeGrant.validate_authorization_redirect_uri(request, client)
            if given is None:
                raise InvalidRequestError("The response_type is missing.", redirect_uri=redirect)
            raise UnsupportedResponseTypeError("", redirect_uri=redirect)
        return super().get_authorization_grant(request)

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Sent:
        return Sent(status, body, dict(headers).get("Location", ""))

    def handle_error_response(self, request: Request, error: OAuth2Error) -> Sent:
        """One for the app goes to the app; any other is a problem of the request."""
        if error.redirect_uri:
            return self.handle_response(*error())
        raise problem_of(error) from None

    def authorization_refusal(self, request: Request, error: OAuth2Error) -> Sent:
        """The same for an authorization request that has not come to its decision, with our `iss` (RFC 9207)."""
        error.state = request.payload.state
        sent = self.handle_error_response(request, error)
        self.execute_hook("after_create_authorization_response", sent)
        return sent


def problem_of(error: OAuth2Error) -> Problem:
    return refusal(str(error.error), str(error.description or _TEXTS.get(str(error.error), "The request is refused.")))


def _secret(**_: Any) -> str:
    return new_secret()


_TEXTS = {
    "invalid_grant": _NOT_GOOD,
    "unsupported_response_type": "Only the response_type code is served.",
}
