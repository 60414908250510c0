"""OAuth errors as answers: JSON for what programs ask, a page for what browsers show (RFC 6749 5.2, RFC 6750 3).

An answer has the RFC's code and a fixed sentence; nothing of the request comes back in it.
"""

from __future__ import annotations

from collections.abc import Callable

from server.http.surface import Answer, Call
from server.kernel.problem import Kind, Problem
from server.oauth.protocol_call import told
from server.smart.refusals import code_of

STATUS = {
    Kind.INVALID: 400,
    Kind.UNSUPPORTED: 400,
    # Another content type is an invalid request to RFC 6749 5.2.
    Kind.UNSUPPORTED_MEDIA: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.GONE: 410,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 412,
    Kind.NOT_ACCEPTABLE: 406,
    Kind.TOO_LARGE: 413,
    Kind.BUSY: 429,
    Kind.UNAVAILABLE: 503,
    Kind.FAULT: 500,
}

_PROGRAMS = ("/token", "/introspect", "/revoke", "/register", "/launch", "/jwks", "/brands", "/style/", "/.well-known/")
_QUOTED = str.maketrans({'"': "'", "\\": "/"})

PageOf = Callable[[Call, Problem], Answer]


def render(call: Call, problem: Problem, page_of: PageOf) -> Answer:
    below = str(call.scope["path"]).partition("/oauth")[2]
    return in_json(call, problem) if below.startswith(_PROGRAMS) else page_of(call, problem)


def in_json(call: Call, problem: Problem) -> Answer:
    text = problem.text.encode("ascii", "replace").decode().translate(_QUOTED)
    headers = list(_challenged(call, problem).items())
    if problem.retry_after is not None:
        headers.append(("Retry-After", str(problem.retry_after)))
    return told({"error": code_of(problem), "error_description": text}, STATUS[problem.kind], headers)


def _challenged(call: Call, problem: Problem) -> dict[str, str]:
    """Every 401 names a scheme; to a page's script none that would have its browser ask for a password."""
    if problem.kind is not Kind.UNAUTHENTICATED:
        return problem.headers
    code = code_of(problem)
    plain = f'Bearer realm="weft", error="{code}"' if code == "invalid_token" else 'Bearer realm="weft"'
    is_script = call.header("origin") is not None and call.header("authorization") is None
    given = problem.headers.get("WWW-Authenticate")
    return {**problem.headers, "WWW-Authenticate": plain if given is None or is_script else given}
