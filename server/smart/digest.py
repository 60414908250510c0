"""What is kept of a secret: its SHA-256. Secrets here are 256 random bits, so a slow hash would add nothing."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """256 random bits, safe in a URL: a code, a token, a client's secret, a cookie."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_secret(offered: str, kept: str) -> bool:
    """Whether a secret has this digest, in a time that tells nothing. One is made up where none is kept."""
    return hmac.compare_digest(digest(offered), kept or digest("")) and bool(kept)
