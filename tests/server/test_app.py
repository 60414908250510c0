"""What the assembly decides before any surface is asked."""

from __future__ import annotations

import pytest

from server.app import is_addressed_locally


@pytest.mark.parametrize(
    ("host", "local"),
    [
        (b"localhost:8080", True),
        (b"LOCALHOST", True),
        (b"127.0.0.1:8080", True),
        (b"127.8.9.1", True),
        (b"[::1]:8080", True),
        (b"rebound.example:8080", False),
        (b"127.0.0.1.rebound.example", False),
        (b"", False),
    ],
)
def test_without_sign_in_only_this_machine_is_a_host(host: bytes, local: bool) -> None:
    assert is_addressed_locally({"headers": [(b"accept", b"*/*"), (b"host", host)]}) is local
