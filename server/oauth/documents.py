"""Documents anybody may read: discovery, keys, brands and the style of embedded apps (SMART App Launch 2.2, OIDC)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from server.http.conditional import not_modified, weak_etag
from server.http.surface import Answer, Call, Endpoint, Handler
from server.kernel.problem import Issue, Kind, Problem
from server.smart.brands import Brands
from server.smart.discovery import Discovery
from server.smart.keys import KeyRing
from server.smart.site import Site
from server.smart.style import style_document, style_name

_JSON, _FHIR_JSON = "application/json", "application/fhir+json"
_MINUTES, _FOR_EVER = "public, max-age=300", "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Documents:
    discovery: Discovery
    ring: KeyRing
    brands: Brands

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Below the issuer."""
        return (
            _row("openid-configuration", "/.well-known/openid-configuration", self.openid, "OIDC Discovery 4"),
            _row("jwks", "/jwks", self.keys, "RFC 7517 5"),
            _row("brands", "/brands", self.brand_bundle, "SMART 2.2 brands"),
            _row("style", "/style/{name}", self.style, "SMART 2.2 styling"),
        )

    def fhir_endpoints(self) -> tuple[Endpoint, ...]:
        """Below the FHIR base, whatever Accept says."""
        return (_row("smart-configuration", "/.well-known/smart-configuration", self.smart, "SMART 2.2 conformance"),)

    async def smart(self, call: Call) -> Answer:
        return _told(call, self.discovery.smart_configuration(Site.of_surface(call.base)))

    async def openid(self, call: Call) -> Answer:
        return _told(call, self.discovery.openid_configuration(Site.of_surface(call.base)))

    async def keys(self, call: Call) -> Answer:
        return _told(call, {"keys": await self.ring.public()})

    async def brand_bundle(self, call: Call) -> Answer:
        return _told(call, await self.brands.bundle(Site.of_surface(call.base)), _FHIR_JSON)

    async def style(self, call: Call) -> Answer:
        document = style_document()
        if call.path["name"] != style_name(document):
            text = "There is no such style; smart_style_url names the present one."
            raise Problem(Kind.NOT_FOUND, text, (Issue(text, code="invalid_request"),))
        return Answer(200, document, _JSON, [("Cache-Control", _FOR_EVER)])


def _row(name: str, path: str, handler: Handler, clause: str) -> Endpoint:
    return Endpoint(f"oauth.{name}", "GET", path, "capabilities", handler, clause)


def _told(call: Call, document: dict[str, Any], media_type: str = _JSON) -> Answer:
    body = msgspec.json.encode(document)
    tag = weak_etag(hashlib.sha256(body).hexdigest()[:32])
    unchanged = not_modified(call, tag)
    if unchanged is not None:
        return unchanged
    return Answer(200, body, media_type, [("ETag", tag), ("Cache-Control", _MINUTES)])
