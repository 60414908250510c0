"""`weft backup` and `weft restore`, as the command line takes them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from server.commands.backing_up import back_up
from server.commands.backup_target import listed, url_of
from server.commands.configuration import fail, failing_clearly, settings_or_exit
from server.commands.options import Blobs, Data, Records, alone
from server.commands.rehearsing import rehearse
from server.commands.restoring import restore as run_restore

backups = alone()

Target = Annotated[str, typer.Argument(help="A folder, file:///folder or s3://bucket/prefix.")]
Source = Annotated[str, typer.Argument(help="Where `weft backup` put it.")]
Keep = Annotated[int | None, typer.Option(help="Let go of all but so many snapshots.", min=1, show_default=False)]
Listing = Annotated[bool, typer.Option("--list", help="Only show the snapshots that are there.")]
Snapshot = Annotated[str, typer.Option(help="Which one, as --list names it; the newest, unless told.")]
Rehearse = Annotated[bool, typer.Option("--rehearse", help="Restore elsewhere, check everything, remove it again.")]


@contextmanager
def ending_in_order() -> Iterator[None]:
    """On SIGTERM as on Ctrl-C: no lock stays in the target, no rehearsal in the temporary folder; the trail is told.

    SIGTERM is passed on as SIGINT, which asyncio turns into a cancellation.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        fail("broken off")
    finally:
        signal.signal(signal.SIGTERM, before)


@backups.command()
def backup(
    target: Target,
    keep: Keep = None,
    list_: Listing = False,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Copy records, files and audit trail to another place.

    Servers go on meanwhile. What is there from before is not copied again. Key files are never in it.

    Exit status: 0 done, 1 the archive itself lacks files that records name, or older snapshots were not let go of, 2 no
    snapshot was made.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly(), ending_in_order():
        if list_:
            asyncio.run(listed(settings, url_of(target, is_new=False)))
            return
        status = asyncio.run(back_up(settings, url_of(target, is_new=True), keep))
    raise typer.Exit(status)


@backups.command()
def restore(
    source: Source,
    snapshot: Snapshot = "",
    rehearsed: Rehearse = False,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Bring a snapshot back, into the empty place that the settings name.

    Its stores may be of the other kind than those that were backed up. The key files have to be there first.

    Exit status: 0 done, 1 something is missing or was found wrong, 2 nothing was restored that could be used.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    if rehearsed and (records or blobs):
        fail("--rehearse takes a place of its own; give --data only, where the key files are")
    with failing_clearly(), ending_in_order():
        url = url_of(source, is_new=False)
        status = asyncio.run((rehearse if rehearsed else run_restore)(settings, url, snapshot))
    raise typer.Exit(status)
