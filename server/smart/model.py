"""What the authorization server keeps: users, clients, sessions, launches, approvals and tokens.

Each is a record encoded as JSON, found by id or by one key. Secrets, codes and tokens are kept as their SHA-256 only
(they are 256 random bits, so a slow hash would add nothing); passwords as argon2id; second-factor secrets as they are,
encrypted at rest like every record.
"""

from __future__ import annotations

from typing import Any

import msgspec

USER, CLIENT, SESSION = "smart-user", "smart-client", "smart-session"
LAUNCH, CODE, APPROVAL, TOKEN = "smart-launch", "smart-code", "smart-approval", "smart-token"
USED, SIGNING_KEY = "smart-used", "smart-key"
"""`USED`: ids of assertions (`iss`, `jti`) already seen, kept until they expire."""


class WebAuthnKey(msgspec.Struct, frozen=True):
    """A registered authenticator."""

    id: str
    """Credential id, base64url."""
    public_key: str
    """COSE key, base64url."""
    count: int
    name: str
    added: int


class User(msgspec.Struct, frozen=True):
    """Someone who signs in."""

    id: str
    login: str
    """Unique, compared casefolded; key `login` of the record."""
    name: str
    roles: tuple[str, ...]
    fhir_user: str = ""
    """`Practitioner/12`; empty: the user has no place in the records (an administrator)."""
    own_patients: tuple[str, ...] = ()
    """Logical ids: of a patient their own, of a proxy those acted for."""
    password: str = ""
    """argon2id; empty: no sign-in until it is set."""
    must_change: bool = False
    totp: str = ""
    """Base32; empty: not enrolled."""
    totp_step: int = 0
    """The last time step accepted: a code works once."""
    webauthn: tuple[WebAuthnKey, ...] = ()
    recovery: tuple[str, ...] = ()
    """SHA-256 of recovery codes not yet used."""
    is_active: bool = True
    created: int = 0
    """Microseconds since 1970; so are all moments here."""


class Client(msgspec.Struct, frozen=True):
    """An app or a backend service."""

    id: str
    name: str
    method: str
    """`none` (public), `client_secret_basic` or `private_key_jwt`."""
    scopes: tuple[str, ...]
    """At most these are granted; each as the client may ask, `patient/*.rs` covers all it contains."""
    redirects: tuple[str, ...] = ()
    launch_url: str = ""
    secret: str = ""
    """SHA-256 in hexadecimal."""
    jwks: dict[str, Any] | None = None
    jwks_url: str = ""
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    """grant_types it may use; `client_credentials` for backend services."""
    purpose: str = ""
    """Purpose of use of a backend service (HL7 v3 ActReason); empty: none stated, so consent refuses."""
    patients: tuple[str, ...] | None = None
    """Logical ids the client is limited to; `None`: every patient its scopes reach."""
    roles: tuple[str, ...] = ("system",)
    """Of a backend service, which acts for itself; a user's client has the user's."""
    fhir_user: str = ""
    """`Device/4`: what consents may name the client by."""
    feeds: tuple[str, ...] = ()
    """Assigning authorities whose patient identities may be fed through it."""
    is_approved: bool = True
    policy_url: str = ""
    logo_url: str = ""
    created: int = 0


class Session(msgspec.Struct, frozen=True):
    """A browser in which a user is signed in; its id is the SHA-256 of the cookie."""

    id: str
    user: str
    """Key `user` of the record."""
    started: int
    seen: int
    methods: tuple[str, ...]
    """RFC 8176 `amr`: `pwd`, `otp`, `hwk`, `mfa`."""
    csrf: str


class Launch(msgspec.Struct, frozen=True):
    """What an EHR launch carries; the id is the SHA-256 of the `launch` value. Used once, for one client."""

    id: str
    client: str
    user: str
    """The signed-in user it is for; empty: whoever signs in at the authorize endpoint."""
    patient: str = ""
    encounter: str = ""
    imaging_study: str = ""
    intent: str = ""
    fhir_context: tuple[dict[str, Any], ...] = ()
    need_patient_banner: bool = True
    expires: int = 0


class Approval(msgspec.Struct, frozen=True):
    """What a user (or an administrator, for a backend service) let a client do: the family of codes and tokens.

    Deleting it ends them all. Keys: `user`, `client`, `session`.
    """

    id: str
    client: str
    scopes: tuple[str, ...]
    """As granted, in the version of the scope language that was asked for."""
    user: str = ""
    session: str = ""
    patient: str = ""
    encounter: str = ""
    intent: str = ""
    fhir_context: tuple[dict[str, Any], ...] = ()
    need_patient_banner: bool | None = None
    """`None` outside an EHR launch."""
    purpose: str = "TREAT"
    break_glass: str = ""
    nonce: str = ""
    auth_time: int = 0
    methods: tuple[str, ...] = ()
    has_id_token: bool = False
    created: int = 0
    expires: int = 0
    """The absolute end of all refreshing."""
    last_used: int = 0


class Code(msgspec.Struct, frozen=True):
    """An authorization code; the id is its SHA-256. Kept, as used, until its tokens end: a second use revokes them."""

    id: str
    approval: str
    redirect: str
    challenge: str
    expires: int
    is_used: bool = False


class Token(msgspec.Struct, frozen=True):
    """An access or refresh token; the id is its SHA-256. Key `approval`."""

    id: str
    approval: str
    kind: str
    """`access` or `refresh`."""
    scopes: tuple[str, ...]
    issued: int
    expires: int
    used_at: int = 0
    """Of a refresh token: when it was exchanged; its use again after a short grace revokes the approval."""
