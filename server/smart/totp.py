"""One-time codes by time (RFC 6238): six digits of thirty seconds, one step of grace either way, each used once."""

from __future__ import annotations

import hmac
import re

import pyotp

from server.kernel.clock import SECOND

_PERIOD = 30 * SECOND
_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """160 bits, as RFC 4226 asks."""
    return pyotp.random_base32(32)


def uri(secret: str, login: str, issuer: str) -> str:
    """What an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def accepted_step(secret: str, code: str, at: int, last: int) -> int | None:
    """The time step the code belongs to; `None` where it is wrong, or no later than the `last` one accepted."""
    digits = re.sub(r"\s", "", code)
    if not _CODE.fullmatch(digits):
        return None
    present, maker = at // _PERIOD, pyotp.HOTP(secret)
    for step in (present - 1, present, present + 1):
        if step > last and hmac.compare_digest(maker.at(step), digits):
            return step
    return None
