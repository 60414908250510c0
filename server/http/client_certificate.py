"""The certificate a client showed: of its TLS connection, or as a trusted proxy tells it (RFC 9440).

A `Client-Cert` header is nothing but text unless a proxy wrote it, which takes out what clients wrote themselves. So it
is read only from the addresses of trusted proxies, as the socket has them, and told apart from one seen here: whoever
believes it decides for each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from server.http.surface import Call

CLIENT_CERTIFICATE, SOCKET_PEER = "weft.client-certificate", "weft.socket-peer"
"""Extensions of the ASGI scope that `server.http.protocol` fills: DER, and the address before any proxy's word."""

_HEADER = "client-cert"


class Shown(NamedTuple):
    connection: bytes | None = None
    """DER, checked by TLS against our authorities."""
    told: str = ""
    """The field a trusted proxy wrote, unread."""


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    proxies: Sequence[IPv4Network | IPv6Network] = ()

    @staticmethod
    def behind(proxies: str) -> ClientCertificates:
        """Comma-separated addresses or networks."""
        listed = (each.strip() for each in proxies.split(","))
        return ClientCertificates(tuple(ip_network(each) for each in listed if each))

    def of(self, call: Call) -> Shown:
        extensions: Mapping[str, Any] = call.scope.get("extensions") or {}
        connection = extensions.get(CLIENT_CERTIFICATE)
        told = call.header(_HEADER) or ""
        if not told or not self._is_proxy(str(extensions.get(SOCKET_PEER, ""))):
            return Shown(connection)
        return Shown(connection, told)

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found in each for each in self.proxies)
