"""A request's head is bounded on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from server.http import protocol
from server.http.protocol import BoundedProtocol


async def _application(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    """Answers `ok`, or what it was sent and how."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    if body:
        body += b" " + b",".join(name for name, _ in scope["headers"])
    answer = body or b"ok"
    length = str(len(answer)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(_application, http=BoundedProtocol, lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the tests alone that wait for its end: a busy machine may need longer to send a head."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)


def _received(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := connection.recv(4096):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def test_an_ordinary_request_is_answered_twice_on_one_connection(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"\r\n\r\nok"):  # head and body may come one after the other
                assert (piece := connection.recv(4096)), answer
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200")


def test_an_endless_header_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        try:
            for _ in range(4000):
                connection.sendall(b"a" * 4096)
        except (BrokenPipeError, ConnectionResetError):
            return
        assert _received(connection).startswith(b"HTTP/1.1 400")


@pytest.mark.usefixtures("is_impatient")
def test_a_head_sent_too_slowly_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert _received(connection) == b""


@pytest.mark.usefixtures("is_impatient")
def test_a_connection_that_says_nothing_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        assert _received(connection) == b""


_OFFER = (
    b"POST /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: x\r\nHTTP2-Settings: AAEAAEAA\r\n"
    b"Transfer-Encoding: chunked\r\nUpgrade: h2c\r\n\r\n"
)
_CHUNKS = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 7, 70, 10_000], ids=str)
def test_an_offer_of_another_protocol_is_declined_and_the_body_read(address: tuple[str, int], piece: int) -> None:
    sent = _OFFER + _CHUNKS + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), piece):
            connection.sendall(sent[start : start + piece])
        answer = _received(connection)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"abcdefg host,transfer-encoding" in answer
    assert answer.endswith(b"ok")


def test_a_tunnel_is_refused_once(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert _received(connection).count(b"HTTP/1.1") == 1
