"""What monitoring reads of the audit trail, in the text format of Prometheus: counts and states, nothing of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.audit.alerts import KINDS

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Figures:
    alerts: Mapping[str, int]
    """By kind, of all processes since the log began."""
    lost: int
    """Events of this process that were never recorded."""
    is_failing: bool


def exposition(figures: Figures) -> str:
    lines = [
        "# HELP weft_audit_alerts_total Unusual access found in the audit log.",
        "# TYPE weft_audit_alerts_total counter",
        *(f'weft_audit_alerts_total{{kind="{kind}"}} {figures.alerts.get(kind, 0)}' for kind in KINDS),
        "# HELP weft_audit_lost_total Events of this process that could not be recorded.",
        "# TYPE weft_audit_lost_total counter",
        f"weft_audit_lost_total {figures.lost}",
        "# HELP weft_audit_failing Whether the audit journal could not be written last time.",
        "# TYPE weft_audit_failing gauge",
        f"weft_audit_failing {int(figures.is_failing)}",
    ]
    return "\n".join(lines) + "\n"
