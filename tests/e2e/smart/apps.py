"""Apps and backend services of every kind, and how each proves itself to the token endpoint."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from server.smart.assertions import ASSERTION_TYPE
from server.smart.digest import digest
from server.smart.grant_types import BACKEND, CODE, REFRESH
from server.smart.model import Client
from tests.server.smart.keeping import ClientKey, ec_key, rsa_key

REDIRECT = "https://app.example/back"
WITH_QUERY = "https://app.example/back?tenant=1"
LAUNCH = "https://app.example/launch"
ORIGIN = "https://app.example"
WIDE = (
    "launch", "launch/patient", "launch/encounter", "launch/imagingstudy", "openid", "fhirUser", "profile",
    "offline_access", "online_access", "patient/*.cruds", "user/*.cruds",
)  # fmt: skip

Form = dict[str, str]


@dataclass(frozen=True)
class App:
    """A client as it knows itself."""

    id: str
    secret: str = ""
    key: ClientKey | None = None
    jwks: Mapping[str, Any] | None = None
    jwks_url: str = ""
    scopes: tuple[str, ...] = WIDE
    is_backend: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        if self.secret:
            return "client_secret_basic"
        return "private_key_jwt" if self.key else "none"

    def record(self) -> Client:
        return Client(
            self.id,
            self.id,
            self.method,
            self.scopes,
            () if self.is_backend else (REDIRECT, WITH_QUERY),
            "" if self.is_backend else LAUNCH,
            digest(self.secret) if self.secret else "",
            dict(self.jwks) if self.jwks else None,
            self.jwks_url,
            (BACKEND,) if self.is_backend else (CODE, REFRESH),
            **self.more,
        )

    def proof(self, token_url: str) -> tuple[Form, dict[str, str]]:
        """What it adds to a form and to the headers."""
        if self.secret:
            return {}, {"Authorization": basic(self.id, self.secret)}
        if self.key:
            return assertion(self.key, self.claims(token_url)), {}
        return {"client_id": self.id}, {}

    def claims(self, token_url: str, **changes: Any) -> dict[str, Any]:
        made = {
            "iss": self.id,
            "sub": self.id,
            "aud": token_url,
            "exp": int(time.time()) + 240,
            "jti": secrets.token_urlsafe(16),
            **changes,
        }
        return {name: value for name, value in made.items() if value is not None}


def basic(id: str, secret: str) -> str:
    """Form-encoded before it is joined (RFC 6749 2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote_plus(id)}:{quote_plus(secret)}".encode()).decode()


def assertion(key: ClientKey, claims: Mapping[str, Any], **header: Any) -> Form:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": key.signed(claims, **header)}


def apps(jwks_url: str) -> dict[str, App]:
    """By the name tests call them."""
    both = {"keys": [rsa_key().public, ec_key().public]}
    two_alike = {"keys": [rsa_key("same").public, {**rsa_key("another").public, "kid": "same"}]}
    treat = {"purpose": "TREAT"}
    all_records = ("system/*.cruds",)
    return {
        "public": App("public-app"),
        "other": App("other-app"),
        "basic": App("urn:app:basic 1", "s p:a/+%&ß"),
        "plain-secret": App("plain-app", "a-secret_of-letters"),
        "key": App("key-app", key=ec_key(), jwks=both),
        "key-url": App("key-url-app", key=rsa_key("published"), jwks_url=jwks_url),
        "one-patient": App("one-patient-app", more={"patients": ("anna",)}),
        "backend": App("backend", key=ec_key(), jwks=both, scopes=all_records, is_backend=True, more=treat),
        "agreed": App(
            "agreed-backend", key=ec_key(), jwks=both, scopes=("system/ImagingStudy.rs", "system/Patient.rs"),
            is_backend=True, more={**treat, "patients": ("anna",)},
        ),
        "nobodys": App(
            "nobodys-backend", key=ec_key(), jwks=both, scopes=("system/ImagingStudy.rs",), is_backend=True,
            more={**treat, "patients": ()},
        ),
        "ambiguous": App(
            "ambiguous-backend", key=rsa_key("same"), jwks=two_alike, scopes=all_records, is_backend=True, more=treat
        ),
        "ehr": App(
            "ehr", key=ec_key(), jwks=both, scopes=("__launch", "__introspect", "__register"), is_backend=True
        ),
        "gateway": App("gateway", "gateway-secret", scopes=("__introspect",)),
    }  # fmt: skip
