"""`weft`: the command line. Options win over `WEFT_*` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.commands.bring_in import bring_in
from server.commands.configuration import check_stores, failing_clearly, settings_help, settings_or_exit
from server.commands.demo import demo as run_demo
from server.commands.reindex import reindex as run_reindex
from server.commands.statements import default_folder, write_or_check
from server.commands.verify import verify as run_verify
from server.serve import run

main = typer.Typer(
    name="weft",
    help="Weft keeps and serves a hospital's images over DICOMweb.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path | None, typer.Option(help="Folder of the archive (WEFT_DATA).", show_default=False)]
Records = Annotated[str | None, typer.Option(help="sqlite:///… or mongodb://… (WEFT_RECORDS).", show_default=False)]
Blobs = Annotated[str | None, typer.Option(help="file:///… or s3://… (WEFT_BLOBS).", show_default=False)]
Host = Annotated[str | None, typer.Option(help="Address to listen on (WEFT_HOST).", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on (WEFT_PORT).", show_default=False)]
Workers = Annotated[int | None, typer.Option(help="Worker processes (WEFT_WORKERS).", show_default=False)]
Certificate = Annotated[str | None, typer.Option(help="PEM file (WEFT_TLS_CERTIFICATE).", show_default=False)]
Key = Annotated[str | None, typer.Option(help="PEM file (WEFT_TLS_KEY).", show_default=False)]
Paths = Annotated[list[Path], typer.Argument(help="DICOM and FHIR files, folders, ZIPs, DICOMDIRs.", exists=True)]
Report = Annotated[Path | None, typer.Option(help="Write one JSON line for each file here.", dir_okay=False)]


@main.command(epilog=settings_help())
def serve(
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
) -> None:
    """Serve the archive over DICOMweb until Ctrl-C or SIGTERM; requests under way are finished."""
    settings = settings_or_exit(
        data=data,
        records=records,
        blobs=blobs,
        host=host,
        port=port,
        workers=workers,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    check_stores(settings)
    run(settings)


@main.command("import")
def import_(
    paths: Paths, report: Report = None, data: Data = None, records: Records = None, blobs: Blobs = None
) -> None:
    """Bring files into the archive. Can be interrupted and run again: what is there already is not stored twice.

    Exit status: 0 all stored, 1 some refused, 2 nothing done, 130 interrupted.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = bring_in(settings, paths, report)
    raise typer.Exit(status)


@main.command()
def verify(
    decode: Annotated[bool, typer.Option("--decode", help="Decode every frame as well.")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Remove files that no record names.")] = False,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Read every file of the archive and compare it with its digest, and the index with the files.

    Exit status: 0 clean, 1 something is damaged or missing, 2 the archive cannot be read.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = run_verify(settings, decode=decode, sweep=sweep)
    raise typer.Exit(status)


@main.command()
def reindex(
    types: Annotated[list[str] | None, typer.Argument(help="Resource types; all when none is named.")] = None,
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
) -> None:
    """Compute the search keys of FHIR resources anew, and put custom SearchParameters into force.

    The server may be running. Can be interrupted and run again: it goes on where it stopped.

    Exit status: 0 done, 1 another run is under way, 2 nothing done.
    """
    settings = settings_or_exit(data=data, records=records, blobs=blobs)
    with failing_clearly():
        status = run_reindex(settings, types or [])
    raise typer.Exit(status)


@main.command()
def statements(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit status 1 when they differ.")] = False,
    folder: Annotated[Path, typer.Option(help="Where they are kept.")] = default_folder(),  # noqa: B008
) -> None:
    """Write the DICOM conformance statement that the endpoints imply."""
    raise typer.Exit(write_or_check(folder, is_check=check))


@main.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demonstration archive.")] = Path("demo-data"),
    host: Host = None,
    port: Port = None,
) -> None:
    """Serve pydicom's sample images from an archive of their own."""
    run_demo(settings_or_exit(data=data, host=host, port=port))
