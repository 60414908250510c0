"""Runs the server: worker processes, TLS, a graceful stop."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import uvicorn

from server.http.protocol import BoundedProtocol
from server.settings import Settings

_GRACE_SECONDS = 30
_KEEP_ALIVE_SECONDS = 75


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way get 30 seconds to end. Returns when all has been closed."""
    _hand_to_workers(settings)
    tls: dict[str, Any] = {}
    if settings.tls_certificate:
        tls = {
            "ssl_certfile": settings.tls_certificate,
            "ssl_keyfile": settings.tls_key,
            "ssl_context_factory": modern_tls,
        }
    if settings.tls_client_authorities:
        # Asked for, not demanded: browsers and apps have none, and who shows none is no node.
        tls |= {"ssl_ca_certs": settings.tls_client_authorities, "ssl_cert_reqs": ssl.CERT_OPTIONAL}
    uvicorn.run(
        "server.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="auto",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_level=settings.log_level,
        forwarded_allow_ips=settings.proxies,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        **tls,
    )


def modern_tls(config: uvicorn.Config, made: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 or newer, and of 1.2 only ciphers that authenticate and forget their keys (RFC 9325 4.2)."""
    context = made()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    return context


def _hand_to_workers(settings: Settings) -> None:
    """Worker processes are started afresh and read the environment, so the settings go there."""
    for each in fields(settings):
        os.environ[f"WEFT_{each.name.upper()}"] = str(getattr(settings, each.name))
