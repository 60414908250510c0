"""Which client sends a request, and whether it has proven so (RFC 6749 2.3, RFC 7523, RFC 7591 2).

A client proves itself in the one way it is registered for. Whatever is wrong, it hears `invalid_client`, in the same
time whether the client is unknown, waits for approval or has another secret.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import unquote_plus

from server.kernel.problem import Problem
from server.smart.assertions import ASSERTION_TYPE, claimed_client
from server.smart.digest import is_secret
from server.smart.forms import Form
from server.smart.model import Client
from server.smart.refusals import refusal
from server.smart.site import Site
from server.smart.stores import SmartStore

PUBLIC, BASIC, BY_KEY = "none", "client_secret_basic", "private_key_jwt"

_LONGEST = 4096
_NOT_AUTHENTICATED = "The client could not be authenticated."
_SEVERAL = "The client uses more than one way to authenticate."


class Verifier(Protocol):
    async def verify(self, assertion: str, client: Client, site: Site) -> None:
        """Return where the assertion is this client's and new; else `invalid_client`."""
        ...


class Offered(NamedTuple):
    """What a request says of its client; `secret` or `assertion` where it offers one."""

    client: str
    secret: str | None = None
    assertion: str | None = None

    @property
    def method(self) -> str:
        if self.secret is not None:
            return BASIC
        return PUBLIC if self.assertion is None else BY_KEY


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    store: SmartStore
    assertions: Verifier

    async def authenticate(self, form: Form, authorization: str | None, site: Site) -> Client | None:
        """The proven client; a public one is proven by its name. `None` where the request names none."""
        offered = read_offer(form, authorization)
        if offered is None:
            return None
        client = await self.store.client(offered.client)
        secret = client.secret if client is not None and client.method == BASIC else ""
        has_secret = is_secret(offered.secret or "", secret)
        if client is None or not client.is_approved or client.method != offered.method:
            raise _refused(client, offered)
        if offered.assertion is not None:
            await self.assertions.verify(offered.assertion, client, site)
        elif offered.method == BASIC and not has_secret:
            raise _refused(client, offered)
        return client


def read_offer(form: Form, authorization: str | None) -> Offered | None:
    """`invalid_request` where a request uses more than one way, or names two clients."""
    given = _basic(authorization) if authorization is not None else None
    if "client_secret" in form:
        raise refusal("invalid_client", "A client's secret is sent in the Authorization header only.")
    if "client_assertion" in form or "client_assertion_type" in form:
        if given is not None:
            raise refusal("invalid_request", _SEVERAL)
        given = _asserted(form)
    named = form.get("client_id")
    if given is None:
        return Offered(named) if named else None
    if named is not None and named != given.client:
        raise refusal("invalid_request", "The client is named in two ways.")
    return given


def _asserted(form: Form) -> Offered:
    assertion = form.get("client_assertion", "")
    claimed = claimed_client(assertion) if form.get("client_assertion_type") == ASSERTION_TYPE else None
    if not claimed:
        raise refusal("invalid_client", _NOT_AUTHENTICATED)
    return Offered(claimed, None, assertion)


def _basic(header: str) -> Offered:
    """Identifier and secret are form-encoded before they are joined (RFC 6749 2.3.1)."""
    scheme, _, text = header.partition(" ")
    try:
        if scheme.lower() != "basic" or len(text) > _LONGEST:
            raise ValueError
        client, colon, secret = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
        if not client or not colon:
            raise ValueError
        return Offered(unquote_plus(client, errors="strict"), unquote_plus(secret, errors="strict"))
    except (binascii.Error, ValueError):
        problem = refusal("invalid_client", _NOT_AUTHENTICATED)
        problem.headers["WWW-Authenticate"] = 'Basic realm="weft"'
        raise problem from None


def _refused(client: Client | None, offered: Offered) -> Problem:
    """A public client is never asked for a password: its browser would ask the user for one."""
    problem = refusal("invalid_client", _NOT_AUTHENTICATED)
    is_known_public = client is not None and client.method == PUBLIC and offered.secret is None
    if not is_known_public and offered.assertion is None:
        problem.headers["WWW-Authenticate"] = 'Basic realm="weft"'
    return problem
