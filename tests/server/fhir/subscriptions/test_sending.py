"""Notifications on the wire, and the places they may not go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from server.fhir.stored import Stored
from server.fhir.subscriptions.sending import HttpSender, Notification, Undelivered, notification
from server.fhir.subscriptions.subscribed import Channel
from server.kernel.hosts import Hosts, Unreachable
from server.kernel.offload import Offload

EMPTY = Notification("POST", "http://127.0.0.1/", (), b"")


@asynccontextmanager
async def endpoint(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that answers every request alike: its port, and what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        heard.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


@asynccontextmanager
async def sender(*listed: str) -> AsyncIterator[HttpSender]:
    opened = HttpSender(Hosts(frozenset(listed)))
    try:
        yield opened
    finally:
        await opened.close()


@pytest.mark.anyio
async def test_a_resource_is_put_below_the_endpoint() -> None:
    stored = Stored("Patient", "a", 1, 0, b'{"resourceType":"Patient"}')
    offload = Offload()
    async with endpoint(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, heard), sender("127.0.0.1") as opened:
        channel = Channel(f"http://127.0.0.1:{port}/told/", "application/fhir+json", (("X-Ward", "7"),))
        await opened.send(await notification(channel, stored, offload))
    offload.close()
    assert heard[0].startswith(b"PUT /told/Patient/a HTTP/1.1\r\n")
    for line in (b"X-Ward: 7", b"Content-Type: application/fhir+json; charset=utf-8", b"Host: 127.0.0.1:%d" % port):
        assert line in heard[0]
    assert heard[0].endswith(b"\r\n\r\n" + stored.body)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
@pytest.mark.anyio
async def test_anything_but_success_is_undelivered(answer: bytes) -> None:
    async with endpoint(answer) as (port, heard), sender(f"127.0.0.1:{port}") as opened:
        with pytest.raises(Undelivered):
            await opened.send(Notification("POST", f"http://127.0.0.1:{port}/", (), b""))
    assert len(heard) == 1


@pytest.mark.anyio
async def test_nobody_at_home_is_undelivered() -> None:
    async with sender("127.0.0.1") as opened:
        with pytest.raises(Undelivered, match="could not be reached"):
            await opened.send(Notification("POST", "http://127.0.0.1:1/", (), b""))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest/meta-data",
        "http://192.168.0.1/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://2130706433/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://127.1/",
    ],
)
@pytest.mark.anyio
async def test_private_addresses_are_refused_unless_listed(url: str) -> None:
    with pytest.raises(Unreachable):
        await Hosts().address(url)
    async with sender() as opened:
        with pytest.raises(Undelivered, match="public address"):
            await opened.send(Notification("POST", url, (), b""))


@pytest.mark.parametrize(
    ("listed", "url", "passes"),
    [
        ("ward.example", "http://ward.example/x", True),
        ("ward.example:8080", "http://WARD.example:8080/x", True),
        ("*.house.example", "https://deep.ward.house.example/x", True),
        (" a , ward.example ", "http://ward.example/", True),
        ("ward.example:80", "http://ward.example/", True),
        ("127.0.0.1:80", "http://127.0.0.1:81/", False),
        ("*.0.0.2", "http://127.0.0.1/", False),
        ("", "http://127.0.0.1/", False),
    ],
)
@pytest.mark.anyio
async def test_hosts_are_listed_by_name_port_or_domain(listed: str, url: str, passes: bool) -> None:
    hosts = Hosts.parse(listed)
    if passes:
        assert await hosts.address(url) is None
    else:
        with pytest.raises(Unreachable):
            await hosts.address(url)


@pytest.mark.anyio
async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    opened = HttpSender(Hosts(), httpx.MockTransport(answer))
    await opened.send(Notification("POST", "https://93.184.216.34:444/x", (), b""))
    await opened.close()
    assert (asked[0].url.host, asked[0].headers["host"]) == ("93.184.216.34", "93.184.216.34:444")
    assert asked[0].extensions["sni_hostname"] == "93.184.216.34"
