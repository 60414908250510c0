"""`weft import`, `weft verify`, `weft reindex`: what is done to a whole archive, as the command line takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.commands.bring_in import bring_in
from server.commands.configuration import failing_clearly, settings_or_exit
from server.commands.options import Blobs, Data, Records, alone
from server.commands.reindex import reindex as run_reindex
from server.commands.verify import verify as run_verify

upkeep = alone()

Paths = Annotated[list[Path], typer.Argument(help="DICOM and FHIR files, folders, ZIPs, DICOMDIRs.", exists=True)]
Report = Annotated[Path | None, typer.Option(help="Write one JSON line for each file here.", dir_okay=False)]


@upkeep.command("import")
def import_(
    paths: Paths, report: Report = None, data: Data = None, records: Records = None, blobs: Blobs = None
) -> None:
    """Bring images and FHIR resources in.

    Can be interrupted and run again: what is there already is not stored twice.

    Exit status: 0 all stored, 1 some refused, 2 nothing done, 130 interrupted.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = bring_in(settings, paths, report)
    raise typer.Exit(status)


@upkeep.command()
def verify(
    decode: Annotated[bool, typer.Option("--decode", help="Decode every frame as well.")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Remove files that no record names.")] = False,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Compare every file of the archive with its digest.

    And the index with the files; `weft audit verify` is for the audit trail.

    Exit status: 0 clean, 1 something is damaged or missing, 2 the archive cannot be read.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = run_verify(settings, decode=decode, sweep=sweep)
    raise typer.Exit(status)


@upkeep.command()
def reindex(
    types: Annotated[list[str] | None, typer.Argument(help="Resource types; all when none is named.")] = None,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Compute the search keys of FHIR resources anew.

    Puts custom SearchParameters into force, and is needed once after an upgrade that adds keys, as sign-in did.
    The server may be running. Can be interrupted and run again: it goes on where it stopped.

    Exit status: 0 done, 1 another run is under way, 2 nothing done.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = run_reindex(settings, types or [])
    raise typer.Exit(status)
