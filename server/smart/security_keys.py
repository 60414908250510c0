"""Security keys and passkeys as second factors (WebAuthn level 3): the device must check who holds it.

Credentials are bound to the host name of this server, so there are none where it is reached by a bare address.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.smart.model import User, WebAuthnKey

LONGEST = 16_384
"""Characters of an authenticator's answer."""
MOST = 10
"""Keys of one user."""

_NAME = "Weft"
_FROM_BYTES = webauthn.base64url_to_bytes


@dataclass(frozen=True, slots=True)
class Party:
    """This server as authenticators know it."""

    host: str
    origin: str

    @staticmethod
    def of(base: str) -> Party | None:
        """From an absolute URL of the server; `None` where its host is no name that a key could be bound to."""
        parts = urlsplit(base)
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            is_safe = parts.scheme == "https" or host == "localhost"
            return Party(host, f"{parts.scheme}://{parts.netloc}") if host and is_safe else None
        return None


def registration(party: Party, user: User, challenge: str) -> dict[str, Any]:
    """Options for `navigator.credentials.create`."""
    options = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name=_NAME,
        user_id=user.id.encode(),
        user_name=user.login,
        user_display_name=user.name,
        challenge=_FROM_BYTES(challenge),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(user.webauthn),
    )
    return _json(options)


def authentication(party: Party, user: User, challenge: str) -> dict[str, Any]:
    """Options for `navigator.credentials.get`."""
    options = webauthn.generate_authentication_options(
        rp_id=party.host,
        challenge=_FROM_BYTES(challenge),
        allow_credentials=_descriptors(user.webauthn),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _json(options)


def registered(party: Party, answer: str, challenge: str, name: str, at: int) -> WebAuthnKey | None:
    """The new key; `None` where the answer proves nothing."""
    credential = _object(answer)
    if credential is None:
        return None
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=_FROM_BYTES(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception:
        # Whatever a parser of hostile bytes trips over: it proves nothing.
        return None
    id_, key = bytes_to_base64url(made.credential_id), bytes_to_base64url(made.credential_public_key)
    return WebAuthnKey(id_, key, made.sign_count, name[:60], at)


def proved(party: Party, answer: str, challenge: str, keys: Sequence[WebAuthnKey]) -> WebAuthnKey | None:
    """The key that answered, with its new count; `None` where none did. A count that falls back is a copied key."""
    credential = _object(answer) or {}
    known = next((each for each in keys if each.id == credential.get("id")), None)
    if known is None:
        return None
    try:
        proof = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=_FROM_BYTES(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=_FROM_BYTES(known.public_key),
            credential_current_sign_count=known.count,
            require_user_verification=True,
        )
    except Exception:
        # Whatever a parser of hostile bytes trips over: it proves nothing.
        return None
    return msgspec.structs.replace(known, count=proof.new_sign_count)


def _descriptors(keys: Sequence[WebAuthnKey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=_FROM_BYTES(each.id)) for each in keys]


def _json(options: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return made


def _object(answer: str) -> dict[str, Any] | None:
    if len(answer) > LONGEST:
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
