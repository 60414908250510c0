"""`weft serve`: looks at machine and stores first, so that what is wrong is told in one sentence."""

from __future__ import annotations

import asyncio

import typer

from server.assembly import Services
from server.commands.configuration import failing_clearly, settings_help, settings_or_exit
from server.commands.listening import check_machine
from server.commands.options import Auth, Blobs, Certificate, Data, Host, Key, Port, Records, Workers, alone
from server.commands.over_services import opened
from server.serve import run
from server.settings import Settings
from server.smart.model import User

serving = alone()


@serving.command(epilog=settings_help())
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
    """Serve DICOMweb, FHIR, XDS and sign-in until Ctrl-C.

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


def check_stores(settings: Settings) -> None:
    """Open and close everything once: the first start makes its keys here, and a wrong setting is told at once."""

    async def open_and_close() -> list[str]:
        async with opened(settings) as services:
            return [] if settings.auth == "off" else await _missing(services)

    with failing_clearly():
        for each in asyncio.run(open_and_close()):
            typer.echo(f"weft: {each}", err=True)


async def _missing(services: Services) -> list[str]:
    """What must be done before anybody can see anything."""
    told = []
    if not await services.smart.store.every(User, limit=1):
        told.append("nobody may sign in yet; let somebody in with: weft user add LOGIN ROLE")
    if not services.access.is_keyed:
        told.append(
            "this archive is older than sign-in; until `weft reindex` has run, beside this server, nobody sees it"
        )
    return told
