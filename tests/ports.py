"""Ports for servers that are started as processes of their own, which take theirs only seconds later."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

_FIRST, _COUNT = 20_000, 12_000
"""Below those that Linux gives to whoever asks for none (32768): no client's connection takes one meanwhile."""


def free_port() -> int:
    """Of 12 000, so that test processes beside this one hardly ever choose the same."""
    while True:
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
