"""Announcing that a study changed: a record in the commit of the change, so that neither is without the other.

Announcements of one study are one record, whose version grows with each; whoever has dealt with it removes it with the
version it read, and so cannot remove a later one.
"""

from __future__ import annotations

from storage.ports import Put

OUTBOX = "bridge"

_BODY = b"-"


def announcement(study_instance_uid: str) -> Put:
    return Put(OUTBOX, study_instance_uid, _BODY)
