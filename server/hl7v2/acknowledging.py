"""Acknowledgements in original mode: MSH, MSA and, where something was wrong, ERR (HL7 2.3.1 and 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.hl7v2.messages import Head, codec_of
from server.xds.datatypes import escape


class Code(StrEnum):
    """MSA-1."""

    ACCEPTED = "AA"
    ERROR = "AE"
    """The content cannot be taken; sent again as it is, it never can."""
    REJECTED = "AR"
    """Not a message for here, or not now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    code: Code = Code.ACCEPTED
    text: str = ""
    """Holds no patient data."""
    condition: str = ""
    """HL7 table 0357."""
    where: str = ""
    """`PID^3`."""


_CONDITIONS = {
    "100": "Segment sequence error", "101": "Required field missing", "102": "Data type error",
    "103": "Table value not found", "200": "Unsupported message type", "201": "Unsupported event code",
    "202": "Unsupported processing id", "203": "Unsupported version id", "204": "Unknown key identifier",
    "205": "Duplicate key identifier", "206": "Application record locked", "207": "Application internal error",
}  # fmt: skip


def acknowledgement(head: Head, outcome: Outcome, control_id: str, moment: datetime) -> bytes:
    """In the charset of the message."""
    event = f"^{escape(head.event)}" if head.event else ""
    msh = [
        "MSH", "^~\\&", *map(escape, (head.receiving_application or "WEFT", head.receiving_facility)),
        *map(escape, (head.application, head.facility)), moment.strftime("%Y%m%d%H%M%S"), "", f"ACK{event}",
        control_id, escape(head.processing) or "P", escape(head.version) or "2.3.1",
    ]  # fmt: skip
    if head.charset:
        msh += ["", "", "", "", "", escape(head.charset)]
    lines = ["|".join(msh), f"MSA|{outcome.code}|{escape(head.control_id)}|{escape(outcome.text)}"]
    if outcome.condition:
        lines.append(_error(outcome, head.version))
    return ("\r".join(lines) + "\r").encode(codec_of(head.charset), "replace")


def _error(outcome: Outcome, version: str) -> str:
    segment, _, field = outcome.where.partition("^")
    condition = f"{outcome.condition}^{_CONDITIONS.get(outcome.condition, '')}^HL70357"
    if version < "2.5":
        return f"ERR|{segment}^1^{field}^{condition.replace('^', '&')}"
    return f"ERR||{segment}^1^{field}|{condition}|E|||{escape(outcome.text)}"
