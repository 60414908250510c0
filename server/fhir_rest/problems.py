"""A problem as FHIR says it: a status and an OperationOutcome, in the form the client asked for (R4 http.html)."""

from __future__ import annotations

from server.fhir import outcome
from server.fhir_rest.formats import for_problem
from server.fhir_rest.rendering import rendered
from server.http.surface import Answer, Call
from server.kernel.problem import Kind, Problem

STATUS = {
    Kind.INVALID: 400,
    Kind.UNSUPPORTED: 422,
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
    """The answer to a request that cannot be done; Prefer has no say in it."""
    headers = list(problem.headers.items())
    if problem.retry_after is not None:
        headers.append(("Retry-After", str(problem.retry_after)))
    if problem.kind is Kind.UNAUTHENTICATED and "WWW-Authenticate" not in problem.headers:
        headers.append(("WWW-Authenticate", "Bearer"))
    headers.append(("Vary", "Accept"))
    asked = for_problem(call)
    body = rendered(outcome.of_problem(problem), asked)
    return Answer(STATUS[problem.kind], body, asked.media_type, headers)
