"""The grants that are served (RFC 6749 4 and 6)."""

from __future__ import annotations

CODE, REFRESH, BACKEND = "authorization_code", "refresh_token", "client_credentials"
GRANT_TYPES = (CODE, REFRESH, BACKEND)
