from __future__ import annotations

import gzip
import json
import logging
from collections.abc import AsyncIterator

import pytest

from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Kind, Problem
from storage.errors import StoreUnavailable
from tests.server.http.harness import application, ask

TEXT = b'[{"0020000D": {"vr": "UI"}}]' * 200


async def _json(call: Call) -> Answer:
    return Answer(body=TEXT, media_type="application/dicom+json")


async def _base(call: Call) -> Answer:
    return Answer(body=call.base.encode(), media_type="application/octet-stream")


async def _stream(call: Call) -> Answer:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return Answer(body=pieces(), media_type="application/octet-stream", length=6)


async def _echo(call: Call) -> Answer:
    return Answer(body=[piece async for piece in call.stream()])


async def _problem(call: Call) -> Answer:
    raise Problem(Kind.INVALID, "limit is not a number", retry_after=3)


async def _fault(call: Call) -> Answer:
    raise RuntimeError("secret detail")


async def _unavailable(call: Call) -> Answer:
    raise StoreUnavailable("disk full at some place")


async def _query(call: Call) -> Answer:
    return Answer(body=json.dumps(call.query).encode())


ROWS = [
    Endpoint(name, method, f"/{name}", "read", handler, "PS3.18")
    for name, method, handler in [
        ("json", "GET", _json),
        ("base", "GET", _base),
        ("stream", "GET", _stream),
        ("echo", "POST", _echo),
        ("problem", "GET", _problem),
        ("fault", "GET", _fault),
        ("unavailable", "GET", _unavailable),
        ("query", "GET", _query),
    ]
]
APP = application(ROWS)


def test_the_base_is_what_the_client_used() -> None:
    assert ask(APP, "GET", "/dicomweb/base").body == b"http://pacs.example:8080/dicomweb"


@pytest.mark.parametrize(
    ("host", "socket", "base"),
    [
        ("127.0.0.1", ("127.0.0.1", 8080), "http://127.0.0.1:8080/dicomweb"),
        ("localhost", ("127.0.0.1", 8080), "http://localhost:8080/dicomweb"),
        ("127.0.0.1", ("127.0.0.1", 80), "http://127.0.0.1/dicomweb"),
        ("pacs.example", ("127.0.0.1", 8080), "http://pacs.example/dicomweb"),
        ("127.0.0.1:9", ("127.0.0.1", 8080), "http://127.0.0.1:9/dicomweb"),
    ],
)
def test_a_port_left_out_is_that_of_the_socket_only_where_the_host_is(
    host: str, socket: tuple[str, int], base: str
) -> None:
    assert ask(APP, "GET", "/dicomweb/base", headers={"host": host}, server=socket).body == base.encode()


def test_a_configured_base_wins_over_the_host_header() -> None:
    app = application(ROWS, base_url="https://images.example/")
    assert ask(app, "GET", "/dicomweb/base").body == b"https://images.example/dicomweb"


@pytest.mark.parametrize("host", ["", "a b", "evil\x01", "x/../y", "h:999999"])
def test_a_host_header_that_is_no_host_is_refused(host: str) -> None:
    assert ask(APP, "GET", "/dicomweb/base", headers={"host": host}).status == 400


def test_a_stream_with_a_known_length_carries_it() -> None:
    sent = ask(APP, "GET", "/dicomweb/stream")
    assert (sent.body, sent.header("content-length")) == (b"onetwo", "6")


def test_head_has_the_headers_of_get_and_no_body() -> None:
    got, head = ask(APP, "GET", "/dicomweb/stream"), ask(APP, "HEAD", "/dicomweb/stream")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", got.header("content-length"))


def test_an_unknown_path_is_404_and_a_wrong_method_405_with_allow() -> None:
    assert ask(APP, "GET", "/dicomweb/nowhere").status == 404
    wrong = ask(APP, "DELETE", "/dicomweb/json")
    assert (wrong.status, wrong.header("allow")) == (405, "GET, HEAD, OPTIONS")


def test_a_problem_is_rendered_by_the_surface() -> None:
    sent = ask(APP, "GET", "/dicomweb/problem")
    assert (sent.status, sent.header("retry-after")) == (400, "3")
    assert b"limit is not a number" in sent.body


def test_a_fault_is_logged_and_answered_without_details(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        sent = ask(APP, "GET", "/dicomweb/fault")
    assert sent.status == 500
    assert b"secret" not in sent.body
    assert (sent.header("x-request-id") or "?") in caplog.text
    assert "secret detail" in caplog.text


def test_a_store_that_cannot_be_reached_is_503() -> None:
    sent = ask(APP, "GET", "/dicomweb/unavailable")
    assert (sent.status, sent.header("retry-after")) == (503, "5")
    assert b"disk full" not in sent.body


def test_json_is_compressed_when_the_client_takes_gzip() -> None:
    plain = ask(APP, "GET", "/dicomweb/json")
    packed = ask(APP, "GET", "/dicomweb/json", headers={"accept-encoding": "br, gzip;q=0.5"})
    refused = ask(APP, "GET", "/dicomweb/json", headers={"accept-encoding": "gzip;q=0"})
    assert (plain.body, plain.header("content-encoding")) == (TEXT, None)
    assert (gzip.decompress(packed.body), packed.header("content-encoding")) == (TEXT, "gzip")
    assert packed.header("content-length") == str(len(packed.body))
    assert refused.header("content-encoding") is None


def test_a_page_of_an_allowed_origin_may_read_and_a_preflight_says_so() -> None:
    app = application(ROWS, origins="https://viewer.example, https://other.example/")
    allowed = ask(app, "GET", "/dicomweb/json", headers={"origin": "https://other.example"})
    refused = ask(app, "GET", "/dicomweb/json", headers={"origin": "https://evil.example"})
    assert allowed.header("access-control-allow-origin") == "https://other.example"
    assert refused.header("access-control-allow-origin") is None
    asked = {"origin": "https://viewer.example", "access-control-request-method": "POST"}
    preflight = ask(app, "OPTIONS", "/dicomweb/echo", headers=asked)
    assert preflight.status == 204
    assert "POST" in (preflight.header("access-control-allow-methods") or "")
    for name in ("accept", "authorization", "content-type"):
        assert name in (preflight.header("access-control-allow-headers") or "").lower()
    asked["origin"] = "https://evil.example"
    assert ask(app, "OPTIONS", "/dicomweb/echo", headers=asked).status == 403


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8080", True),
        ("https://[::1]:5173", True),
        ("http://localhost.evil.example", False),
        ("http://evil.example", False),
        ("null", False),
    ],
)
def test_local_stands_for_the_pages_of_this_machine(origin: str, allowed: bool) -> None:
    sent = ask(application(ROWS, origins="local"), "GET", "/dicomweb/json", headers={"origin": origin})
    assert (sent.header("access-control-allow-origin") == origin) is allowed


def test_a_body_arrives_in_its_pieces() -> None:
    assert ask(APP, "POST", "/dicomweb/echo", body=[b"ab", b"", b"c"]).body == b"abc"


def test_the_query_is_decoded_as_utf8_and_anything_else_refused() -> None:
    sent = ask(APP, "GET", "/dicomweb/query", query="PatientName=%E7%8E%8B%2A&x=&x=1")
    assert json.loads(sent.body) == [["PatientName", "王*"], ["x", ""], ["x", "1"]]
    assert ask(APP, "GET", "/dicomweb/query", query="x=%FF").status == 400
    assert ask(APP, "GET", "/dicomweb/query", query="&".join(["x=1"] * 1001)).status == 400
