"""Cookies of the pages: random names for what the server keeps and for the browser, and the language somebody chose.

`__Host-` binds a cookie to this host and to https. Browsers refuse it over plain http, which only a server on
loopback speaks; there the names are plain.
"""

from __future__ import annotations

from server.http.surface import Call

SESSION, VISIT, FORM, LANGUAGE, DEVICE = "session", "visit", "form", "language", "device"
_LASTING = (LANGUAGE, DEVICE)

_PREFIX = "weft-"
_LONGEST = 8192
_YEAR = 365 * 24 * 3600


def read(call: Call, name: str) -> str:
    """The value of one of our cookies; empty where the browser has none.

    Each header by itself, and a comma ends nothing: a host beside this one may set cookies that hold one.
    """
    wanted = _full(call, name)
    for field, header in call.scope["headers"]:
        if field.lower() != b"cookie" or len(header) > _LONGEST:
            continue
        for part in str(header, "latin-1").split(";"):
            key, _, value = part.strip().partition("=")
            if key == wanted:
                return value.strip('"')
    return ""


def kept(call: Call, name: str, value: str) -> tuple[str, str]:
    """The header that has the browser keep a value until it is closed, or for a year."""
    lasting = f"; Max-Age={_YEAR}" if name in _LASTING else ""
    return ("Set-Cookie", f"{_full(call, name)}={value}{_attributes(call)}{lasting}")


def dropped(call: Call, name: str) -> tuple[str, str]:
    return ("Set-Cookie", f"{_full(call, name)}={_attributes(call)}; Max-Age=0")


def is_secure(call: Call) -> bool:
    return call.base.startswith("https:")


def _full(call: Call, name: str) -> str:
    return ("__Host-" if is_secure(call) else "") + _PREFIX + name


def _attributes(call: Call) -> str:
    # Lax, because an app's page sends its user here by a link; no POST from another site carries the cookie.
    return "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure(call) else "")
