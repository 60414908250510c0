"""`weft key`: the keys that id_tokens are signed with, and those of the key files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.smart.keys import ALGORITHM
from storage.encryption.keys import rotate_data_key
from storage.encryption.signing import renew_signing_key
from storage.ports import Put

keys = group("key", "The keys that seal the archive, and that sign the trail and id_tokens.")


class Renewed(StrEnum):
    """What is in a key file."""

    ARCHIVE = "archive"
    AUDIT = "audit"


_USE = {Renewed.ARCHIVE: "seals what is stored", Renewed.AUDIT: "signs the audit trail"}


@keys.command()
def rotate(data: Data = None, records: Records = None) -> None:
    """Put a new key for id_tokens into use, in every process at once.

    The old one is published until the last token it signed has ended.
    """
    kid = acting(_rotated, data, records)
    say(f"Key {kid} signs from now on.")


@keys.command()
def renew(
    what: Annotated[Renewed, typer.Argument(metavar="archive|audit", show_default=False)],
    data: Data = None,
    records: Records = None,
) -> None:
    """Add a key to master.key or audit.key.

    `archive`: to seal what is stored; `audit`: to sign the trail. Servers use it from their next start on. The older
    keys stay in the file: what they sealed stays readable, what they signed proven.
    """
    path, id_ = acting(lambda ground: _renewed(ground, what), data, records)
    say(f"Key {id_} of {path} {_USE[what]} from each server's next start on.")
    say("Before one starts anew, bring the file to every host of this archive, and a copy to where you keep copies.")


@keys.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every key for id_tokens that is published."""
    found = acting(lambda ground: ground.smart.ring.listed(), data, records)
    rows = [
        (
            each.kid,
            ALGORITHM,
            day(each.created),
            f"until {day(each.published_until)}" if each.published_until else "in use",
        )
        for each in found
    ]
    show(("KEY", "ALGORITHM", "MADE", ""), rows, "There is no key yet.")


async def _renewed(ground: Groundwork, what: Renewed) -> tuple[Path, str]:
    if what is Renewed.ARCHIVE and ground.settings.encryption == "off":
        fail("WEFT_ENCRYPTION=off: nothing is sealed here, so there is no key to renew")
    renewed, path = {
        Renewed.ARCHIVE: (rotate_data_key, ground.settings.key_file),
        Renewed.AUDIT: (renew_signing_key, ground.settings.audit_key),
    }[what]
    id_ = await ground.offload.io(renewed, path)
    event = changed(
        micros(ground.clock), administrator(), Changed.CONFIGURATION, "C", f"Key/{id_}", f"{what} key renewed"
    )
    await ground.stores.records.commit(ground.smart.recording.acts([event]))
    return path, id_


async def _rotated(ground: Groundwork) -> str:
    smart, at = ground.smart, micros(ground.clock)

    def acts(kid: str) -> Sequence[Put]:
        event = changed(at, administrator(), Changed.CONFIGURATION, "C", f"Key/{kid}", "signing key rotated")
        return smart.recording.acts([event])

    return await smart.ring.rotate(acts)
