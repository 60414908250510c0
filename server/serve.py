"""Runs the server: worker processes, TLS, a graceful stop."""

from __future__ import annotations

import os
from dataclasses import fields

import uvicorn

from server.http.protocol import BoundedProtocol
from server.settings import Settings

_GRACE_SECONDS = 30
_KEEP_ALIVE_SECONDS = 75


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way get 30 seconds to end. Returns when all has been closed."""
    _hand_to_workers(settings)
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
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def _hand_to_workers(settings: Settings) -> None:
    """Worker processes are started afresh and read the environment, so the settings go there."""
    for each in fields(settings):
        os.environ[f"WEFT_{each.name.upper()}"] = str(getattr(settings, each.name))
