"""`weft`: the command line. Options win over `WEFT_*` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.commands.audit import audits
from server.commands.bring_in import bring_in
from server.commands.client import clients
from server.commands.community import communities
from server.commands.configuration import check_stores, failing_clearly, settings_help, settings_or_exit
from server.commands.demo import demo as run_demo
from server.commands.institution import institutions
from server.commands.issuer import issuers
from server.commands.key import keys
from server.commands.listening import check_machine
from server.commands.node import nodes
from server.commands.options import Auth, Blobs, Certificate, Data, Host, Key, Port, Records, Workers
from server.commands.person import persons
from server.commands.reindex import reindex as run_reindex
from server.commands.statements import default_folder, write_or_check
from server.commands.user import users
from server.commands.verify import verify as run_verify
from server.serve import run

main = typer.Typer(
    name="weft",
    help="Weft keeps a hospital's images and nursing data, and serves them over DICOMweb and FHIR.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for _group in (users, clients, keys, audits, nodes, issuers, institutions, persons, communities):
    main.add_typer(_group)

Paths = Annotated[list[Path], typer.Argument(help="DICOM and FHIR files, folders, ZIPs, DICOMDIRs.", exists=True)]
Report = Annotated[Path | None, typer.Option(help="Write one JSON line for each file here.", dir_okay=False)]


@main.command(epilog=settings_help())
def serve(
    data: Data = None,
    records: Records = None,
    blobs: Blobs = None,
    host: Host = None,
    port: Port = None,
    auth: Auth = None,
    workers: Workers = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
) -> None:
    """Serve DICOMweb, FHIR and sign-in until Ctrl-C.

    Or SIGTERM; requests under way are finished.
    """
    settings = settings_or_exit(
        data=data,
        records=records,
        blobs=blobs,
        host=host,
        port=port,
        auth=auth,
        workers=workers,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    check_machine(settings)
    check_stores(settings)
    run(settings)


@main.command("import")
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


@main.command()
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


@main.command()
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


@main.command()
def statements(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit status 1 when they differ.")] = False,
    folder: Annotated[Path, typer.Option(help="Where they are kept.")] = default_folder(),  # noqa: B008
) -> None:
    """Write the conformance statements that the endpoints imply."""
    raise typer.Exit(write_or_check(folder, is_check=check))


@main.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demonstration archive.")] = Path("demo-data"),
    host: Host = None,
    port: Port = None,
    auth: Auth = None,
) -> None:
    """Serve sample images and a synthetic ward.

    From an archive of their own, with two users who may sign in and a token to try things with.
    """
    run_demo(settings_or_exit(data=data, host=host, port=port, auth=auth))
