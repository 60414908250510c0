"""Syslog messages and their frames on a TLS connection (RFC 5424, RFC 5425) as IHE ATNA sends them (ITI-20)."""

from __future__ import annotations

import os
import re
from typing import Final

from server.audit.balp import instant_text

_PRIORITY: Final = 10 * 8 + 5
"""Facility 10 (security and authorization), severity 5 (notice)."""
EVENT = "IHE+RFC-3881"
CHECKPOINT = "WEFT+CHECKPOINT"
_BOM = b"\xef\xbb\xbf"
_PRINTABLE = re.compile(r"[^\x21-\x7e]")


def syslog_message(body: bytes, recorded: int, host: str, kind: str = EVENT) -> bytes:
    """`body` is UTF-8 text; `recorded` in microseconds."""
    name = _PRINTABLE.sub("", host)[:255] or "-"
    head = f"<{_PRIORITY}>1 {instant_text(recorded)} {name} weft {os.getpid()} {kind} - "
    return head.encode("ascii") + _BOM + body


def framed(message: bytes) -> bytes:
    """Octet counting (RFC 5425 4.3)."""
    return b"%d %b" % (len(message), message)
