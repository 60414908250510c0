"""Where the server itself may knock: public addresses, and those hosts of the house that the operator lists.

Without this a subscription, or the address of a client's keys, would let a stranger use the server to reach any door of
its own network. A name is looked up once and the connection made to the address that was judged, so a name server
cannot answer differently the second time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Unreachable(Exception):
    """A place that the server does not call; the text says why and names no address."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """`listed`: `host`, `host:port` or `*.domain`; they are trusted whatever their address."""

    listed: frozenset[str] = frozenset()

    @staticmethod
    def parse(text: str) -> Hosts:
        return Hosts(frozenset(each.strip().lower() for each in text.split(",") if each.strip()))

    def is_listed(self, endpoint: str) -> bool:
        """Whether its host is one of those named, by an address of HTTP; nothing is looked up."""
        try:
            host, port = _place(endpoint)
        except ValueError:
            return False
        return endpoint.startswith(("http://", "https://")) and self._lists(host, port)

    async def address(self, endpoint: str) -> str | None:
        """The address to connect to; `None` for a listed host, which is looked up as usual."""
        host, port = _place(endpoint)
        if self._lists(host, port):
            return None
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unreachable("the name of the endpoint cannot be looked up") from None
        addresses = [str(each[4][0]) for each in found]
        if not addresses or not all(_is_public(each) for each in addresses):
            raise Unreachable("the endpoint is not at a public address, and its host is not listed")
        return addresses[0]

    def _lists(self, host: str, port: int) -> bool:
        domains = {"*" + host[place:] for place, letter in enumerate(host) if letter == "."}
        return bool(self.listed & ({host, f"{host}:{port}"} | domains))


def _place(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _is_public(address: str) -> bool:
    parsed = _meant(ipaddress.ip_address(address.partition("%")[0]))
    return parsed.is_global and not parsed.is_multicast


def _meant(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for: mapped, by 6to4, or by NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
