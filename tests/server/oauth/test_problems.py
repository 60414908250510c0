"""How problems of the OAuth surface are answered: a status for each kind, and a challenge with every 401."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.http.surface import Call
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.problem import Kind, Problem
from server.oauth.problems import STATUS, in_json
from server.smart.refusals import code_of
from tests.server.oauth.authorizing import World, serving


def asked(**headers: str) -> Call:
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/oauth/token", "query_string": b"", "headers": named}
    return Call(scope, None, {}, "https://weft.example/oauth", Context(LOCAL_ACTOR, "r1"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_status_and_a_code(kind: Kind) -> None:
    answer = in_json(asked(), Problem(kind, 'A "quoted" \\ 密 text.', retry_after=3))
    assert answer.status == STATUS[kind]
    assert b"A 'quoted' / ? text." in bytes(answer.body)  # type: ignore[arg-type]
    assert ("Retry-After", "3") in answer.headers
    assert code_of(Problem(kind, "x")) in {
        "invalid_request",
        "invalid_token",
        "access_denied",
        "temporarily_unavailable",
        "server_error",
    }


def test_a_challenge_never_has_a_browser_ask_for_a_password() -> None:
    problem = Problem(Kind.UNAUTHENTICATED, "x", headers={"WWW-Authenticate": 'Basic realm="weft"'})
    for headers, scheme in (
        ({}, "Basic"),
        ({"origin": "https://a"}, "Bearer"),
        ({"origin": "https://a", "authorization": "Basic x"}, "Basic"),
    ):
        assert dict(in_json(asked(**headers), problem).headers)["WWW-Authenticate"].startswith(scheme)
    assert "Bearer" in dict(in_json(asked(), Problem(Kind.UNAUTHENTICATED, "x")).headers)["WWW-Authenticate"]


def test_programs_are_told_in_json_and_browsers_by_a_page(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        for path in ("/token", "/introspect", "/revoke", "/register", "/launch"):
            got = await world.get(path)
            assert (got.status, got.headers["allow"], got.error) == (405, "OPTIONS, POST", "invalid_request")
        for path in ("/authorize", "/nothing"):
            assert (await world.get(path)).headers["content-type"].startswith("text/html")
        got = await world.call("GET", "/authorize", body=b"")
        assert got.status == 400

    serving(tmp_path, work)
