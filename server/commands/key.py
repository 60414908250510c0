"""`weft key`: the keys that id_tokens are signed with."""

from __future__ import annotations

from collections.abc import Sequence

from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.smart.keys import ALGORITHM
from storage.ports import Put

keys = group("key", "The keys that sign who is who (id_tokens).")


@keys.command()
def rotate(data: Data = None, records: Records = None) -> None:
    """Put a new signing key into use, in every process at once.

    The old one is published until the last token it signed has ended.
    """
    kid = acting(_rotated, data, records)
    say(f"Key {kid} signs from now on.")


@keys.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every key that is published."""
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


async def _rotated(ground: Groundwork) -> str:
    smart, at = ground.smart, micros(ground.clock)

    def acts(kid: str) -> Sequence[Put]:
        event = changed(at, administrator(), Changed.CONFIGURATION, "C", f"Key/{kid}", "signing key rotated")
        return smart.recording.acts([event])

    return await smart.ring.rotate(acts)
