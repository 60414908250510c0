"""Pages as bytes: templates filled in, under a policy that lets nothing in but our own style and one named script.

Every page says that it may not be framed, kept or told of to others (ASVS 5.0, 3.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.http.surface import Answer, Call
from server.kernel.clock import SECOND
from server.kernel.ids import new_token
from server.oauth import cookies
from server.oauth.static_files import hashed
from server.oauth.words import LANGUAGES, say_in

_HTML = "text/html; charset=utf-8"
_TEMPLATES = Path(__file__).parent / "templates"
_IMAGE = re.compile(r"https://[A-Za-z0-9.:\-]+(/[A-Za-z0-9/._~%\-]*)?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
"""What may stand in a policy: nothing that could begin another directive."""


@dataclass(frozen=True, slots=True)
class Openings:
    """What a page needs beyond itself."""

    redirect: str = ""
    """Where the app is that its form leads back to."""
    image: str = ""
    script: bool = False


CLOSED = Openings()


def page(
    call: Call,
    template: str,
    language: str,
    values: Mapping[str, Any],
    *,
    status: int = 200,
    openings: Openings = CLOSED,
) -> Answer:
    """`values` hold `request`, the value of the pending request in the page's links, empty where there is none."""
    nonce, root = new_token(16), path_of(call)
    text = (
        _environment()
        .get_template(f"{template}.html")
        .render(
            {
                "say": say_in(language),
                "language": language,
                "root": root,
                "style": f"{root}/static/{hashed('pages.css')}",
                "script": f"{root}/static/{hashed('keys.js')}" if openings.script else "",
                "nonce": nonce,
                "switches": _switches(call, language, values.get("request", "")),
                **values,
            }
        )
    )
    return Answer(status, text.encode(), _HTML, _headers(call, nonce, openings))


def leave_for(url: str) -> Answer:
    """On to another address by GET, also after a form with a password (RFC 9700 4.12)."""
    always = [("Location", url), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")]
    return Answer(303, b"", None, always)


def path_of(call: Call) -> str:
    """The path of the surface, so that links hold under whatever name the browser has for this host."""
    return urlsplit(call.base).path


def with_request(address: str, request: str) -> str:
    return f"{address}?request={quote(request, safe='')}" if request else address


def moment_text(at: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _headers(call: Call, nonce: str, openings: Openings) -> list[tuple[str, str]]:
    policy = [
        "default-src 'none'",
        "style-src 'self'",
        f"img-src 'self' data: {openings.image if _IMAGE.fullmatch(openings.image) else ''}".strip(),
        f"form-action 'self' {_scheme(openings.redirect)}".strip(),
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    if openings.script:
        policy.append(f"script-src 'nonce-{nonce}'")
    secure = [("Strict-Transport-Security", "max-age=31536000")] if cookies.is_secure(call) else []
    return [
        ("Content-Security-Policy", "; ".join(policy)),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Vary", "Accept-Language, Cookie"),
        *secure,
    ]


def _scheme(redirect: str) -> str:
    """Any host: Chromium holds to the policy whatever redirects follow a form, also those the app makes after ours."""
    scheme = urlsplit(redirect).scheme
    return "http: https:" if scheme == "http" else f"{scheme}:" if _SCHEME.fullmatch(scheme) else ""


def _switches(call: Call, language: str, request: str) -> list[tuple[str, str, str]]:
    """To this page in each other language: its code, its name and the link."""
    query = f"request={quote(request, safe='')}&" if request else ""
    path = path_of(call) + _below(call)
    return [(code, name, f"{path}?{query}lang={code}") for code, name in LANGUAGES.items() if code != language]


def _below(call: Call) -> str:
    """The path below the surface."""
    return "/" + "/".join(quote(part, safe="") for part in str(call.scope["path"]).split("/")[2:])


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_TEMPLATES)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["link"] = with_request
    return made
