"""id_tokens: who signed in, when and how, signed for one client (OpenID Connect Core 2, SMART `fhirUser`)."""

from __future__ import annotations

from typing import Any

import jwt

from server.kernel.clock import Clock
from server.kernel.offload import Offload
from server.smart.keys import ALGORITHM, TOKEN_SECONDS, KeyRing, SigningKey
from server.smart.model import Approval, User
from server.smart.site import Site

PASSWORD_ONLY, TWO_FACTORS = "password", "two-factors"
"""Names of `acr`, below the issuer: what the sign-in proved."""
_FHIR_USER_SCOPES = frozenset({"fhirUser", "profile"})


class IdTokens:
    """Issues them; what is told of the sign-in is what the approval remembers of it."""

    def __init__(self, ring: KeyRing, clock: Clock, offload: Offload) -> None:
        self._ring = ring
        self._clock = clock
        self._offload = offload

    async def issue(self, site: Site, user: User, approval: Approval) -> str:
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": site.issuer,
            "sub": user.id,
            "aud": approval.client,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "acr": authentication_context(site, approval.methods),
            "amr": list(approval.methods),
            **_optional(site, user, approval),
        }
        return await self._offload.cpu(_signed, claims, await self._ring.signing())


def authentication_contexts(site: Site) -> list[str]:
    """Every `acr` that an id_token may carry."""
    return [f"{site.issuer}/acr/{each}" for each in (PASSWORD_ONLY, TWO_FACTORS)]


def authentication_context(site: Site, methods: tuple[str, ...]) -> str:
    """Two factors are two where they are of different kinds: what one knows, and what one has."""
    has_two = "mfa" in methods or ("pwd" in methods and len(set(methods) - {"pwd"}) > 0)
    return f"{site.issuer}/acr/{TWO_FACTORS if has_two else PASSWORD_ONLY}"


def _optional(site: Site, user: User, approval: Approval) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if approval.nonce:
        claims["nonce"] = approval.nonce
    if approval.auth_time:
        claims["auth_time"] = approval.auth_time // 1_000_000
    if user.fhir_user and _FHIR_USER_SCOPES & set(approval.scopes):
        claims["fhirUser"] = site.resource(user.fhir_user)
    if user.name and "profile" in approval.scopes:
        claims["name"] = user.name
    return claims


def _signed(claims: dict[str, Any], key: SigningKey) -> str:
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})
