"""How long what is given lasts, in microseconds: short where it is a bearer's, bounded where it can be renewed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.kernel.clock import DAY, HOUR, MINUTE, SECOND
from server.smart.model import Approval


@dataclass(frozen=True, slots=True)
class Lifetimes:
    code: int = 60 * SECOND
    access: int = HOUR
    backend: int = 5 * MINUTE
    launch: int = 5 * MINUTE
    offline: int = 180 * DAY
    """Absolute end of refreshing with `offline_access` (ASVS 5.0, 10.4.8)."""
    online: int = DAY
    """The same with `online_access`, whose session ends sooner."""
    emergency: int = HOUR
    grace: int = 10 * SECOND
    """How long a spent refresh token is answered again: the first answer may have been lost on its way. Each answer
    has tokens of its own; after that the spent token ends the whole approval."""

    def end_of(self, approval: Approval) -> int:
        """Once its code has been exchanged."""
        if approval.break_glass:
            return approval.created + self.emergency
        return approval.created + self._refreshed(approval.scopes)

    def _refreshed(self, scopes: Sequence[str]) -> int:
        if "offline_access" in scopes:
            return self.offline
        return self.online if "online_access" in scopes else self.code + self.access
