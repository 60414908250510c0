"""Pages of other origins: what is public is for all of them, the rest for those that are let in."""

from __future__ import annotations

import pytest

from server.dicomweb import problems
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.door import OpenDoor
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import LOCAL_ACTOR
from server.kernel.offload import Offload
from tests.server.http.harness import Sent, ask

APP, STRANGER = "https://app.example", "https://stranger.example"


async def _hello(_: Call) -> Answer:
    return Answer(200, b"hello", "text/plain")


async def _is_app(origin: str) -> bool:
    return origin == APP


def asked(method: str, path: str, origin: str, **headers: str) -> Sent:
    rows = (
        Endpoint("public", "GET", "/public", "capabilities", _hello, ""),
        Endpoint("private", "GET", "/private", "read", _hello, ""),
    )
    application = SurfaceApplication(
        prefix="/dicomweb",
        endpoints=rows,
        problem=problems.render,
        door=OpenDoor(LOCAL_ACTOR),
        cors=Cors.parse("https://listed.example", _is_app),
        offload=Offload(io_threads=1, cpu_threads=1),
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(application, method, f"/dicomweb{path}", headers={"origin": origin, **named})


@pytest.mark.parametrize("origin", [APP, STRANGER, "null"])
def test_d14_and_d15_what_is_public_is_for_every_page(origin: str) -> None:
    assert asked("GET", "/public", origin).header("Access-Control-Allow-Origin") == "*"


@pytest.mark.parametrize(
    ("origin", "allowed"), [(APP, APP), ("https://listed.example", "https://listed.example"), (STRANGER, None)]
)
def test_what_is_not_public_is_for_registered_and_listed_origins(origin: str, allowed: str | None) -> None:
    assert asked("GET", "/private", origin).header("Access-Control-Allow-Origin") == allowed


def test_no_answer_lets_a_page_use_a_browsers_cookies() -> None:
    for path in ("/public", "/private"):
        assert asked("GET", path, APP).header("Access-Control-Allow-Credentials") is None


def test_t06_a_registered_app_may_ask_first() -> None:
    sent = asked("OPTIONS", "/private", APP, access_control_request_method="GET")
    assert (sent.status, sent.header("Access-Control-Allow-Methods")) == (204, "GET, HEAD, OPTIONS")
    told = (sent.header("Access-Control-Allow-Headers") or "").lower()
    assert "authorization" in told
    assert "content-type" in told


@pytest.mark.parametrize(("path", "status"), [("/public", 204), ("/private", 403)])
def test_a_stranger_may_ask_first_for_what_is_public(path: str, status: int) -> None:
    assert asked("OPTIONS", path, STRANGER, access_control_request_method="GET").status == status


def test_an_error_is_told_to_a_registered_app_too() -> None:
    sent = asked("GET", "/absent", APP)
    assert (sent.status, sent.header("Access-Control-Allow-Origin")) == (404, APP)
