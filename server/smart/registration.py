"""Apps register themselves, as far as the policy lets them: RFC 7591.

`off` refuses all; `token` wants an access token with the scope `__register`; `approval` takes anybody's. Whatever the
way, a new app waits for an administrator's approval before it can ask for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from server.audit.security_events import Changed, changed
from server.audit.writes import Recording
from server.kernel.clock import SECOND, Clock, micros
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.smart.client_authentication import BASIC, BY_KEY, PUBLIC
from server.smart.digest import digest, new_secret
from server.smart.grant_types import BACKEND, CODE, REFRESH
from server.smart.jwks import inline_keys
from server.smart.model import Client
from server.smart.recording import Caller, who
from server.smart.refusals import refusal
from server.smart.scopes import parse_scopes
from server.smart.standing import ACCESS, Standing, standing_of
from server.smart.stores import SmartStore

Policy = Literal["off", "token", "approval"]

REGISTER = "__register"

_MOST_WAITING = 200
"""Apps that wait for approval, where anybody may register."""
_MOST_URLS, _LONGEST_URL, _LONGEST_NAME, _LONGEST_SCOPE = 20, 2048, 200, 8192
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Metadata(msgspec.Struct, frozen=True):
    """Of RFC 7591 2 what is heeded here; other members are ignored, as the RFC has it."""

    redirect_uris: tuple[str, ...] = ()
    client_name: str = ""
    token_endpoint_auth_method: str = BASIC
    grant_types: tuple[str, ...] = (CODE,)
    response_types: tuple[str, ...] = ("code",)
    scope: str = ""
    jwks: Any = None
    jwks_uri: str = ""
    logo_uri: str = ""
    policy_uri: str = ""
    initiate_login_uri: str = ""
    """Where an EHR opens the app (OpenID Connect Registration 2)."""


def read_metadata(body: bytes) -> Metadata:
    try:
        return msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong("The body is not client metadata as it should be.") from None


@dataclass(frozen=True, slots=True)
class Registration:
    store: SmartStore
    clock: Clock
    recording: Recording
    policy: Policy = "off"

    async def register(self, body: bytes, token: str, caller: Caller) -> dict[str, Any]:
        """The client's information; its secret is told here and never again."""
        asker = await self._let_in(token)
        metadata = read_metadata(body)
        check_metadata(metadata)
        now, secret = micros(self.clock), new_secret()
        client = _client(metadata, secret, now)
        told = who(caller, asker.client if asker else "", asker.user if asker else None)
        event = changed(now, told, Changed.CONFIGURATION, "C", f"Client/{client.id}", "registered, waits for approval")
        await self.store.commit(self.store.put(client, 0), *self.recording.acts([event]))
        return _information(client, secret)

    async def _let_in(self, token: str) -> Standing | None:
        if self.policy == "off":
            raise refusal("access_denied", "Apps cannot register themselves here.")
        if self.policy == "token":
            standing = await standing_of(self.store, token, micros(self.clock))
            if standing is None or standing.token.kind != ACCESS:
                raise refusal("invalid_token", "The access token is not good, or no longer.")
            if REGISTER not in standing.token.scopes:
                raise refusal("insufficient_scope", "The access token is not one to register apps with.")
            return standing
        waiting = [held for held in await self.store.every(Client) if not held.value.is_approved]
        if len(waiting) >= _MOST_WAITING:
            raise Problem(Kind.BUSY, "Too many apps wait for approval.", retry_after=3600)
        return None


def check_metadata(metadata: Metadata) -> None:
    """`invalid_redirect_uri` or `invalid_client_metadata` for what no client may have."""
    grants, method = set(metadata.grant_types), metadata.token_endpoint_auth_method
    if method not in (PUBLIC, BASIC, BY_KEY) or not grants or not grants <= {CODE, REFRESH, BACKEND}:
        raise _wrong("The token_endpoint_auth_method or a grant type is not served.")
    if set(metadata.response_types) - {"code"}:
        raise _wrong("Only the response type code is served.")
    if len(metadata.client_name) > _LONGEST_NAME or len(metadata.scope) > _LONGEST_SCOPE:
        raise _wrong("The client_name or the scope is too long.")
    if not " ".join(metadata.client_name.split()).isprintable():
        raise _wrong("The client_name has characters that are not seen, or turn others round.")
    if BACKEND in grants and method != BY_KEY:
        raise _wrong("A client that acts for itself proves itself by key.")
    check_redirects(metadata.redirect_uris, is_needed=CODE in grants)
    _check_keys(metadata, method)
    for url in (metadata.logo_uri, metadata.policy_uri, metadata.initiate_login_uri):
        if url and not is_safe_url(url):
            raise _wrong("A URL is not one that is taken.")


def check_redirects(redirects: Sequence[str], *, is_needed: bool = True) -> None:
    if len(redirects) > _MOST_URLS or (is_needed and not redirects) or not all(map(is_safe_url, redirects)):
        text = "A redirect is an https URL, or http of the loopback address, without wildcard, fragment or user."
        raise refusal("invalid_redirect_uri", text)


def is_safe_url(url: str) -> bool:
    """What codes and launches may be sent to: https, or the machine of a native app itself (RFC 8252 7.3)."""
    if len(url) > _LONGEST_URL or "*" in url or "#" in url or "\\" in url or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or " " in url or "@" in parts.netloc or port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _check_keys(metadata: Metadata, method: str) -> None:
    if metadata.jwks is not None and metadata.jwks_uri:
        raise _wrong("The jwks is given in the metadata or at jwks_uri, not both.")
    if method == BY_KEY and metadata.jwks is None and not metadata.jwks_uri:
        raise _wrong("A client that proves itself by key has a jwks or a jwks_uri.")
    if metadata.jwks is not None:
        inline_keys(metadata.jwks)
    if metadata.jwks_uri and (not is_safe_url(metadata.jwks_uri) or not metadata.jwks_uri.startswith("https:")):
        raise _wrong("The jwks_uri is not an https URL.")


def _client(metadata: Metadata, secret: str, now: int) -> Client:
    own = tuple(each.text for each in parse_scopes(metadata.scope) if not each.text.startswith("__"))
    is_backend = BACKEND in metadata.grant_types
    scopes = tuple(each for each in own if is_backend or not each.startswith("system/"))
    id = new_token(16)
    return Client(
        id,
        " ".join(metadata.client_name.split()) or id,
        metadata.token_endpoint_auth_method,
        scopes,
        metadata.redirect_uris,
        metadata.initiate_login_uri,
        digest(secret) if metadata.token_endpoint_auth_method == BASIC else "",
        metadata.jwks,
        metadata.jwks_uri,
        metadata.grant_types,
        is_approved=False,
        policy_url=metadata.policy_uri,
        logo_url=metadata.logo_uri,
        created=now,
    )


def _information(client: Client, secret: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created // SECOND,
        "client_name": client.name,
        "redirect_uris": list(client.redirects),
        "token_endpoint_auth_method": client.method,
        "grant_types": list(client.grants),
        "response_types": ["code"] if CODE in client.grants else [],
        "scope": " ".join(client.scopes),
    }
    if client.method == BASIC:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    optional = {
        "jwks": client.jwks,
        "jwks_uri": client.jwks_url,
        "logo_uri": client.logo_url,
        "policy_uri": client.policy_url,
        "initiate_login_uri": client.launch_url,
    }
    return told | {name: value for name, value in optional.items() if value}


def _wrong(text: str) -> Problem:
    return refusal("invalid_client_metadata", text)
