"""A problem as DICOMweb says it: the status of PS3.18 8.5 and a Status Report as its body (PS3.18 8.6.3).

The report is JSON of one fixed shape, `{"status", "kind", "text", "issues": [{"text", "location"}]}`, or plain text for
a reader that asks for text and not for JSON, such as a browser.
"""

from __future__ import annotations

import orjson

from server.http.surface import Answer, Call
from server.kernel.problem import Kind, Problem

STATUS = {
    Kind.INVALID: 400,
    Kind.UNSUPPORTED: 400,
    Kind.UNSUPPORTED_MEDIA: 415,
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


def render(call: Call, problem: Problem) -> Answer:
    """The answer to a request that cannot be done."""
    status = STATUS[problem.kind]
    headers = list(problem.headers.items())
    if problem.retry_after is not None:
        headers.append(("Retry-After", str(problem.retry_after)))
    if status == 401 and "WWW-Authenticate" not in problem.headers:
        headers.append(("WWW-Authenticate", "Bearer"))
    accept = (call.header("accept") or "").lower()
    if "text/" in accept and "json" not in accept:
        return Answer(status, _text(problem), "text/plain; charset=utf-8", headers)
    return Answer(status, _json(status, problem), "application/json", headers)


def _json(status: int, problem: Problem) -> bytes:
    issues = [{"text": issue.text, "location": issue.location} for issue in problem.issues]
    return orjson.dumps({"status": status, "kind": problem.kind, "text": problem.text, "issues": issues})


def _text(problem: Problem) -> bytes:
    lines = [problem.text, *(f"{issue.location or '-'}: {issue.text}" for issue in problem.issues)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")
