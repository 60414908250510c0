"""What apps learn of the authorization server before they ask it anything.

Two documents of one set of facts: `.well-known/smart-configuration` (SMART App Launch 2.2, conformance) and
`.well-known/openid-configuration` (OpenID Connect Discovery 3, RFC 8414). Nothing stands here that is not served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.smart.id_tokens import authentication_contexts
from server.smart.jwks import KEY_TYPES
from server.smart.keys import ALGORITHM
from server.smart.site import Site

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    # Argonaut SMART Imaging Access: the same token opens ImagingStudy here and DICOMweb beside it, in both modes.
    "smart-imaging-access",
    "http://fhir.org/argonaut/smart-imaging/capabilities/app-launch",
    "http://fhir.org/argonaut/smart-imaging/capabilities/backend-services",
)

SCOPES = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "patient/*.rs",
    "patient/*.read",
    "patient/ImagingStudy.rs",
    "user/*.cruds",
    "user/*.rs",
    "user/*.read",
    "system/*.rs",
    "system/*.read",
    "system/ImagingStudy.rs",
)
"""A choice of them: other types, interactions and queries are granted as these are."""

GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
CLIENT_METHODS = ("none", "client_secret_basic", "private_key_jwt")


@dataclass(frozen=True, slots=True)
class Discovery:
    """`can_register`: whether apps may register themselves; `brand`: identifier of the organization that serves."""

    can_register: bool = False
    brand: str = ""

    def smart_configuration(self, site: Site) -> dict[str, Any]:
        brand = {"user_access_brand_identifier": _url_identifier(self.brand)} if self.brand else {}
        return {
            **self._shared(site),
            "management_endpoint": site.oauth("account"),
            "user_access_brand_bundle": site.oauth("brands"),
            **brand,
            "capabilities": list(CAPABILITIES),
        }

    def openid_configuration(self, site: Site) -> dict[str, Any]:
        return {
            **self._shared(site),
            "response_modes_supported": ["query"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "acr_values_supported": authentication_contexts(site),
            "claims_supported": [
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "nonce",
                "auth_time",
                "acr",
                "amr",
                "fhirUser",
                "name",
            ],
            "claims_parameter_supported": False,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "authorization_response_iss_parameter_supported": True,
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "ui_locales_supported": ["zh-CN", "en"],
        }

    def _shared(self, site: Site) -> dict[str, Any]:
        registration = {"registration_endpoint": site.oauth("register")} if self.can_register else {}
        return {
            "issuer": site.issuer,
            "jwks_uri": site.oauth("jwks"),
            "authorization_endpoint": site.oauth("authorize"),
            "token_endpoint": site.token,
            "introspection_endpoint": site.oauth("introspect"),
            "revocation_endpoint": site.oauth("revoke"),
            **registration,
            "grant_types_supported": list(GRANT_TYPES),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": list(CLIENT_METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(KEY_TYPES),
            "scopes_supported": list(SCOPES),
        }


def _url_identifier(url: str) -> dict[str, str]:
    return {"system": "urn:ietf:rfc:3986", "value": url}
