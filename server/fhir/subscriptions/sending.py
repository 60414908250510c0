"""One notification on its way: an empty POST, or the resource by PUT below the endpoint (R4 Subscription)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from server.fhir import xml_form
from server.fhir.json_form import reread
from server.fhir.stored import Stored
from server.fhir.subscriptions.subscribed import XML, Channel
from server.kernel.hosts import Hosts, Unreachable
from server.kernel.offload import Offload

_SECONDS = 10.0


class Undelivered(Exception):
    """The endpoint did not take a notification; the text says how and holds nothing of the resource."""


@dataclass(frozen=True, slots=True)
class Notification:
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Sender(Protocol):
    async def send(self, notification: Notification) -> None:
        """Raises `Undelivered` unless the endpoint answers with success."""
        ...


async def notification(channel: Channel, stored: Stored, offload: Offload) -> Notification:
    if channel.payload is None:
        return Notification("POST", channel.endpoint, channel.headers, b"")
    body = stored.body
    if channel.payload == XML:
        body = await offload.cpu(_as_xml, body)
    headers = (*channel.headers, ("Content-Type", f"{channel.payload}; charset=utf-8"))
    return Notification("PUT", f"{channel.endpoint.rstrip('/')}/{stored.reference}", headers, body)


class HttpSender:
    """Sends over HTTP, following no redirect and reading nothing of the answer but its status."""

    def __init__(self, hosts: Hosts, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._hosts = hosts
        self._client = httpx.AsyncClient(
            timeout=_SECONDS,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            headers={"User-Agent": "Weft"},
        )

    async def send(self, notification: Notification) -> None:
        try:
            request = await self._request(notification)
            answer = await self._client.send(request, stream=True)
            await answer.aclose()
        except Unreachable as error:
            raise Undelivered(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(f"the endpoint could not be reached ({type(error).__name__})") from None
        if not answer.is_success:
            raise Undelivered(f"the endpoint answered {answer.status_code}")

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(self, notification: Notification) -> httpx.Request:
        url = httpx.URL(notification.url)
        headers = [*notification.headers, ("Host", urlsplit(notification.url).netloc)]
        extensions = {}
        address = await self._hosts.address(notification.url)
        if address is not None:
            extensions = {"sni_hostname": url.host}
            url = url.copy_with(host=address)
        return self._client.build_request(
            notification.method, url, headers=headers, content=notification.body, extensions=extensions
        )


def _as_xml(body: bytes) -> bytes:
    return xml_form.encode(reread(body))
