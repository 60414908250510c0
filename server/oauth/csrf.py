"""A token in every form that only our own pages can have: signed, and bound to the browser it was given to.

What it is bound to is in a cookie, and so is never in a page. Each token differs, so that compression of pages tells
nothing of it (BREACH).
"""

from __future__ import annotations

import hashlib
import hmac

from itsdangerous import BadData, URLSafeSerializer

from server.kernel.clock import HOUR, Clock, micros
from server.kernel.ids import new_token
from server.smart.digest import digest

_LASTS = 12 * HOUR
"""No longer than a session."""


class FormTokens:
    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._signer = URLSafeSerializer(secret, salt="weft-form", signer_kwargs={"digest_method": hashlib.sha256})
        self._clock = clock

    def new(self, binding: str) -> str:
        """A token for a form given to the browser of this binding."""
        once = new_token()
        return str(self._signer.dumps([once, micros(self._clock), digest(once + binding)]))

    def is_own(self, token: str, binding: str) -> bool:
        if not binding or len(token) > 512:
            return False
        try:
            once, made, bound = self._signer.loads(token)
        except (BadData, ValueError, TypeError):
            return False
        return hmac.compare_digest(bound, digest(once + binding)) and micros(self._clock) - made < _LASTS
