"""What an app asked of the authorize endpoint, kept while its user signs in, picks a patient and decides."""

from __future__ import annotations

import msgspec

from server.kernel.clock import MINUTE

REQUEST = "smart-request"

LIFETIME = 10 * MINUTE

NO_MAX_AGE = -1


class PendingRequest(msgspec.Struct, frozen=True):
    """A valid request that waits for its user; the id is the SHA-256 of the value in the pages' URLs."""

    id: str
    client: str
    redirect: str
    state: str
    scopes: tuple[str, ...]
    """As asked, without what the client may not have."""
    challenge: str
    issuer: str
    """Ours, as the app reached it."""
    nonce: str = ""
    launch: str = ""
    """Id of the EHR launch it came from."""
    purpose: str = "TREAT"
    prompts: tuple[str, ...] = ()
    """`login`, `consent`, `select_account` (OpenID Connect Core 3.1.2.1)."""
    login_hint: str = ""
    max_age: int = NO_MAX_AGE
    """Seconds since sign-in that the app accepts."""
    locales: str = ""
    network: str = ""
    """Where it came from; key `network` of the record."""
    session: str = ""
    """The session whose user decides, once somebody has signed in for it."""
    user: str = ""
    created: int = 0
    expires: int = 0
