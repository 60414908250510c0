"""Where this server is for its clients: every absolute URL of the authorization server, from one root."""

from __future__ import annotations

from dataclasses import dataclass

FHIR, OAUTH, DICOMWEB, XDS, XCA = "/fhir", "/oauth", "/dicomweb", "/xds", "/xca"


@dataclass(frozen=True, slots=True)
class Site:
    """`root` is `https://host` without a final slash, as the client sees it."""

    root: str

    @staticmethod
    def of_surface(base: str) -> Site:
        """The site of a surface at `base`: its issuer, or its FHIR base."""
        return Site(base.rsplit("/", 1)[0])

    @property
    def fhir(self) -> str:
        """What apps send as `aud` and an EHR as `iss`."""
        return self.root + FHIR

    @property
    def dicomweb(self) -> str:
        return self.root + DICOMWEB

    @property
    def xds(self) -> str:
        return self.root + XDS

    @property
    def xca(self) -> str:
        return self.root + XCA

    @property
    def issuer(self) -> str:
        return self.root + OAUTH

    @property
    def token(self) -> str:
        return self.oauth("token")

    def oauth(self, name: str) -> str:
        """The endpoint of this name: `authorize`, `jwks`, `introspect`…"""
        return f"{self.issuer}/{name}"

    def resource(self, reference: str) -> str:
        """The absolute URL of `Patient/3`."""
        return f"{self.fhir}/{reference}"
