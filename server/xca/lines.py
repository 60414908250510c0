"""Connections to other communities: each has its own, so that one that hangs takes up nobody else's.

What all of them may take up together is bounded as well: in memory for the envelopes of answers, in the store for the
documents in them.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import httpx

from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.client import SoapClient
from server.soap.reading import MessageLimits
from server.soap.scanning import Room
from server.xca.neighbour import Neighbour
from storage.ports import Blobs

_ROOM = 128 << 20
_STAGED = 16 << 30


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files this server shows where it is to."""

    certificate: str = ""
    key: str = ""


class Lines:
    def __init__(
        self,
        blobs: Blobs,
        offload: Offload,
        limits: MessageLimits | None = None,
        certificate: Certificate | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._blobs = blobs
        self._offload = offload
        self._limits = limits
        self._certificate = certificate or Certificate()
        self._transport = transport
        self._room, self._staged = Room(_ROOM), Room(_STAGED)
        self._clients: dict[tuple[str, str, bool], SoapClient] = {}

    async def to(self, neighbour: Neighbour) -> SoapClient:
        key = (neighbour.id, neighbour.authority, neighbour.shows_certificate)
        if key not in self._clients:
            tls = await self._offload.io(self._tls, neighbour)
            if key not in self._clients:
                self._clients[key] = self._client(tls)
        return self._clients[key]

    async def close(self) -> None:
        for each in self._clients.values():
            await each.close()

    def _client(self, tls: ssl.SSLContext) -> SoapClient:
        return SoapClient(
            self._blobs,
            self._offload,
            self._limits,
            tls,
            self._transport,
            room=self._room,
            staged=self._staged,
        )

    def _tls(self, neighbour: Neighbour) -> ssl.SSLContext:
        """TLS 1.2 or newer; names and certificates are checked."""
        try:
            context = ssl.create_default_context(cadata=neighbour.authority or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if neighbour.shows_certificate:
                context.load_cert_chain(self._certificate.certificate, self._certificate.key or None)
        except (OSError, ValueError):
            text = "This server has no certificate that it could show to the other side, or cannot read it."
            raise Problem(Kind.UNAVAILABLE, text) from None
        return context
