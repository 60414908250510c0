"""A problem becomes a status, a report of one shape, and the headers its status demands."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.dicomweb.problems import render
from server.http.surface import Answer, Call
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Issue, Kind, Problem


def _render(problem: Problem, accept: str = "") -> Answer:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "headers": [(b"accept", accept.encode())]}
    return render(Call(scope, receive, {}, "http://h/dicomweb", Context(LOCAL_ACTOR, "r")), problem)


def _body(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def test_the_report_names_what_is_wrong_and_where() -> None:
    problem = Problem(Kind.INVALID, "Two things.", (Issue("not a date", "StudyDate"), Issue("unknown")))
    answer = _render(problem)
    assert (answer.status, answer.media_type) == (400, "application/json")
    assert orjson.loads(_body(answer)) == {
        "status": 400,
        "kind": "invalid",
        "text": "Two things.",
        "issues": [{"text": "not a date", "location": "StudyDate"}, {"text": "unknown", "location": None}],
    }


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "text/plain"])
def test_a_reader_of_text_gets_text(accept: str) -> None:
    answer = _render(Problem(Kind.NOT_FOUND, "No such study.", (Issue("unknown", "0020000D"),)), accept)
    assert (answer.status, answer.media_type) == (404, "text/plain; charset=utf-8")
    assert _body(answer) == b"No such study.\n0020000D: unknown\n"


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/dicom+json", "text/plain, application/json;q=0.1", "image/jpeg"]
)
def test_everybody_else_gets_json(accept: str) -> None:
    assert _render(Problem(Kind.GONE, "x"), accept).media_type == "application/json"


def test_statuses_that_demand_a_header_have_it() -> None:
    assert ("Retry-After", "7") in _render(Problem(Kind.UNAVAILABLE, "x", retry_after=7)).headers
    assert ("Allow", "GET") in _render(Problem(Kind.METHOD_NOT_ALLOWED, "x", headers={"Allow": "GET"})).headers
    assert ("WWW-Authenticate", "Bearer") in _render(Problem(Kind.UNAUTHENTICATED, "x")).headers
    own = Problem(Kind.UNAUTHENTICATED, "x", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert [value for name, value in _render(own).headers if name == "WWW-Authenticate"] == [
        'Bearer error="invalid_token"'
    ]
