"""Plain HTTP for the end-to-end suite: store and fetch, from one thread or from several."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from conformance.kit.client import Client, Response, multipart
from conformance.kit.session import DICOM, DICOM_JSON, sequence, value
from tests.e2e.running import Server

ANY_FILE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BOUNDARY = "weft-test-boundary"


def client(server: Server) -> Client:
    return Client(server.dicomweb)


def store(server: Server, *files: bytes) -> Response:
    body, content_type = multipart([(DICOM, each) for each in files], DICOM)
    return client(server).post("/studies", body, content_type, DICOM_JSON)


def stored(answer: Response) -> set[str]:
    """The SOP Instance UIDs an answer acknowledges."""
    return {value(item, "00081155") for item in sequence(answer, "00081199")}


def failures(answer: Response) -> list[int]:
    """The Failure Reasons of an answer."""
    items: list[Any] = [*sequence(answer, "00081198"), *sequence(answer, "0008119A")]
    return [value(item, "00081197") for item in items]


def fetch(server: Server, path: str) -> list[bytes]:
    """The files below a path, as they were stored."""
    answer = client(server).get(path, ANY_FILE)
    assert answer.status == 200, (path, answer.status, answer.body[:300])
    return [part.body for part in answer.parts()]


def post_stream(server: Server, chunks: Iterable[bytes]) -> tuple[int, bytes]:
    """Store one long instance, sent in chunks as they are made, from when the server has begun to read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    connection.putrequest("POST", "/dicomweb/studies")
    connection.putheader("Content-Type", f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')
    connection.putheader("Accept", "application/dicom+json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.putheader("Expect", "100-continue")
    try:
        connection.endheaders()
        _await_continue(connection.sock)
        for each in chain((head,), chunks, (tail,)):
            connection.send(b"%x\r\n%b\r\n" % (len(each), each))
        connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _await_continue(sock: socket.socket) -> None:
    """Reads the whole interim answer and nothing behind it."""
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, interim
        interim += byte
    assert interim.startswith(b"HTTP/1.1 100 "), interim


@contextmanager
def opened(server: Server, path: str, accept: str = ANY_FILE) -> Iterator[http.client.HTTPResponse]:
    """An answer whose body has not been read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    try:
        connection.request("GET", urlsplit(server.dicomweb).path + path, headers={"Accept": accept})
        yield connection.getresponse()
    finally:
        connection.close()
