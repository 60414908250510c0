"""Secrets of this installation that its processes share and nobody needs to see."""

from __future__ import annotations

import os

from storage.errors import VersionConflict
from storage.ports import Put, Records

_SECRETS = "smart-secret"


async def shared_secret(records: Records, name: str) -> bytes:
    """32 random bytes, made by whoever asks first."""
    for record in await records.get(_SECRETS, [name]):
        return bytes(record.body)
    made = os.urandom(32)
    try:
        await records.commit([Put(_SECRETS, name, made, expected=0)])
    except VersionConflict:
        return await shared_secret(records, name)
    return made
