from __future__ import annotations

import pytest

from server.http.routing import Router
from server.http.surface import Answer, Call, Endpoint


async def _handler(call: Call) -> Answer:
    return Answer(body=call.base.encode())


def _row(name: str, path: str, method: str = "GET") -> Endpoint:
    return Endpoint(name, method, path, "read", _handler, "PS3.18")


ROUTER = Router(
    [
        _row("search", "/studies"),
        _row("store", "/studies", "POST"),
        _row("study", "/studies/{study}"),
        _row("metadata", "/studies/{study}/metadata"),
        _row("bulk", "/studies/{study}/bulkdata/{path:path}"),
        _row("root", "/"),
    ]
)


@pytest.mark.parametrize(
    ("path", "name", "values"),
    [
        ("/studies", "search", {}),
        ("/studies/1.2", "study", {"study": "1.2"}),
        ("/studies/1.2/metadata", "metadata", {"study": "1.2"}),
        ("/studies/1.2/bulkdata/a/0/b", "bulk", {"study": "1.2", "path": "a/0/b"}),
        ("/", "root", {}),
    ],
)
def test_a_path_finds_its_endpoint_and_values(path: str, name: str, values: dict[str, str]) -> None:
    found = ROUTER.find(path)
    assert found is not None
    assert found.methods["GET"].name == name
    assert found.path == values


@pytest.mark.parametrize(
    "path", ["/nothing", "/studies/", "/studies//metadata", "/studies/1/2", "/studies/1/metadata/"]
)
def test_other_paths_find_nothing(path: str) -> None:
    assert ROUTER.find(path) is None


def test_methods_of_one_path_stand_beside_each_other() -> None:
    found = ROUTER.find("/studies")
    assert found is not None
    assert sorted(found.methods) == ["GET", "POST"]


def test_two_rows_may_not_claim_one_place() -> None:
    with pytest.raises(ValueError, match="claim the same"):
        Router([_row("one", "/studies/{study}"), _row("two", "/studies/{study}")])
    with pytest.raises(ValueError, match="called both"):
        Router([_row("one", "/studies/{study}"), _row("two", "/studies/{other}/series")])
