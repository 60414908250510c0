"""Events of a backup (DICOM Export) and of a restore (Import), told by the administrator at the command line.

Places are told without what opens them: a URL's user, password and parameters are left out.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from server.audit.codes import EXPORT, IMPORT
from server.audit.event import Entity, Event
from server.audit.who import Who

SUBTYPE_TAKEN, SUBTYPE_RESTORED = "backup", "restore"


def backed_up(at: int, who: Who, target: str) -> Event:
    """Told before anything leaves: so it is in the backup's own copy of the journal."""
    return _event(EXPORT, SUBTYPE_TAKEN, "R", at, who, Entity("backup", place_of(target)))


def not_backed_up(at: int, who: Who, target: str) -> Event:
    """After the other: what left until then did leave, and is no snapshot."""
    text = "broken off"
    return _event(EXPORT, SUBTYPE_TAKEN, "R", at, who, Entity("backup", place_of(target)), outcome=8, text=text)


def restored(at: int, who: Who, source: str, snapshot: str, told: str) -> Event:
    """Told in the journal that was restored, once all of it is there."""
    return _event(IMPORT, SUBTYPE_RESTORED, "C", at, who, Entity("backup", f"{place_of(source)} {snapshot}", told))


def place_of(url: str) -> str:
    if url.startswith("file:"):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _event(
    code: str, subtype: str, action: str, at: int, who: Who, entity: Entity, *, outcome: int = 0, text: str = ""
) -> Event:
    facts = (code, subtype, action, at, outcome, text)
    return Event(*facts, user_name=who.name, roles=who.roles, entities=(entity,))
