"""private_key_jwt: a client proves itself by a short-lived signed statement (RFC 7523, SMART asymmetric clients).

Whatever is wrong, the client hears the same `invalid_client`; the reason goes to the log. The id of a statement is
kept until it ends, as a record whose first writer wins, so a copy is refused in every process.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import jwt
import msgspec

from server.kernel.clock import SECOND, Clock
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from server.smart.client_keys import ClientKeys
from server.smart.jwks import KEY_TYPES, WrongKeys, chosen, public_key
from server.smart.model import Client
from server.smart.site import Site
from server.smart.stores import SmartStore

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_LONGEST = 8192
_LONGEST_ID = 512
_MOST_AHEAD, _SKEW = 300, 5
"""Seconds: how far ahead a statement may end, and how far two clocks may differ."""
_REFUSED = "The client could not be authenticated."

_log = logging.getLogger("weft.smart")


class Assertions:
    """Checks statements of clients, each once."""

    def __init__(self, store: SmartStore, clock: Clock, keys: ClientKeys, offload: Offload) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._offload = offload

    async def verify(self, assertion: str, client: Client, site: Site) -> None:
        """Return where the statement is this client's, for our token endpoint, and new; else `invalid_client`."""
        try:
            algorithm, kid = _header(assertion, client)
            key = chosen(await self._keys.of(client, kid), kid, algorithm)
            if key is None:
                raise WrongKeys("no key of the client has the id")
            claims = await self._offload.cpu(_claims, assertion, public_key(key, algorithm), algorithm)
            identifier, end = _checked(claims, client, site, self._clock.now().timestamp())
            await self._use(client, identifier, end)
        except WrongKeys as error:
            _log.info("the assertion of client %s is refused: %s", client.id, error)
            raise Problem(Kind.UNAUTHENTICATED, _REFUSED, (Issue(_REFUSED, code="invalid_client"),)) from None

    async def _use(self, client: Client, identifier: str, end: float) -> None:
        """Keep the id until the statement has ended for clocks behind ours too."""
        name = hashlib.sha256(msgspec.json.encode([client.id, identifier])).hexdigest()
        if not await self._store.use_once(name, int((end + 2 * _SKEW) * SECOND)):
            raise WrongKeys("it has been used before")


def claimed_client(assertion: str) -> str | None:
    """The client an assertion says it is from: not proven, only whose keys to ask."""
    try:
        claims = jwt.decode(_bounded(assertion), options={"verify_signature": False})
    except (jwt.PyJWTError, WrongKeys, ValueError, RecursionError):
        return None
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else None


def _bounded(assertion: str) -> str:
    if len(assertion) > _LONGEST:
        raise WrongKeys("it is too long")
    return assertion


def _header(assertion: str, client: Client) -> tuple[str, str]:
    """Algorithm and key id. `jku` may repeat what is registered and is never followed."""
    try:
        header = jwt.get_unverified_header(_bounded(assertion))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise WrongKeys("it is not a JWT") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in KEY_TYPES:
        raise WrongKeys("its algorithm is neither RS384 nor ES384")
    if not isinstance(kid, str):
        raise WrongKeys("it names no key")
    if "jku" in header and (not client.jwks_url or header["jku"] != client.jwks_url):
        raise WrongKeys("its jku is not the registered address")
    if {"crit", "jwk", "x5u"} & set(header):
        raise WrongKeys("its header demands what is not done here")
    return str(algorithm), kid


def _claims(assertion: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
    """What a good signature stands for."""
    try:
        claims = msgspec.json.decode(jwt.PyJWS().decode(assertion, key, algorithms=[algorithm]))
    except (jwt.PyJWTError, msgspec.DecodeError, ValueError, RecursionError):
        raise WrongKeys("its signature or its form is wrong") from None
    if not isinstance(claims, dict):
        raise WrongKeys("it is not a JSON object")
    return claims


def _checked(claims: dict[str, Any], client: Client, site: Site, now: float) -> tuple[str, float]:
    """The id and the end of the statement."""
    if not client.id or claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise WrongKeys("iss and sub are not the client")
    if claims.get("aud") not in (site.token, [site.token]):
        raise WrongKeys("aud is not the token endpoint")
    end = _moment(claims.get("exp"))
    if end is None or not now - _SKEW < end <= now + _MOST_AHEAD + _SKEW:
        raise WrongKeys("exp is missing, past, or more than five minutes ahead")
    for name in ("nbf", "iat"):
        if name in claims and ((begin := _moment(claims[name])) is None or begin > now + _SKEW):
            raise WrongKeys(f"{name} is ahead")
    identifier = claims.get("jti")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _LONGEST_ID:
        raise WrongKeys("jti is missing or too long")
    return identifier, end


def _moment(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1 << 40 else None  # type: ignore[arg-type, operator]
