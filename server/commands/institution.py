"""`weft institution`: hospitals and practices, and how images tell that they are theirs."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from server.assembly import Services
from server.audit.security_events import Changed, changed
from server.commands.acting import administrator, say, show
from server.commands.configuration import fail
from server.commands.options import Data, Records, group
from server.commands.over_services import at_the_command_line, over_services
from server.kernel.clock import micros
from server.mpi.institutions import Institution

institutions = group("institution", "Hospitals and practices whose images and numbers come here.")

_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
_OTHERS = "`weft institution list` shows all"

Code = Annotated[str, typer.Argument(help="Its code in the national register, or the region's.")]
Name = Annotated[str, typer.Argument(help="As people read it.")]


@institutions.command()
def add(
    code: Code,
    name: Name,
    oid: Annotated[str, typer.Option(help="OID that assigns its patient and examination numbers.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="InstitutionName in its images; repeat it.")] = None,
    patient_issuer: Annotated[
        list[str] | None, typer.Option(help="Name or OID of the issuer of its patient numbers; repeat it.")
    ] = None,
    accession_issuer: Annotated[
        list[str] | None, typer.Option(help="Name or OID of the issuer of its examination numbers; repeat it.")
    ] = None,
    data: Data = None,
    records: Records = None,
) -> None:
    """Register an institution, or tell anew how it is known."""
    if oid and not _OID.fullmatch(oid.removeprefix("urn:oid:")):
        fail(f"--oid {oid}: an OID such as 2.16.156.10011")
    made = Institution(
        code.strip(),
        name.strip(),
        oid.removeprefix("urn:oid:"),
        tuple(patient_issuer or ()),
        tuple(accession_issuer or ()),
        tuple(alias or ()),
    )

    async def work(services: Services) -> None:
        at = micros(services.clock)
        event = changed(at, administrator(), Changed.CONFIGURATION, "C", f"institution {made.code}", "registered")
        beside = services.smart.recording.acts([event])
        await services.documents.institutions.add(at_the_command_line(), made, beside)

    over_services(work, data, records, _OTHERS)
    say(f"{made.name} is registered under {made.code}.")


@institutions.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every institution."""

    async def work(services: Services) -> list[Institution]:
        return await services.documents.institutions.every()

    found = over_services(work, data, records)
    rows = [
        (
            each.code,
            each.name,
            each.oid,
            "; ".join(each.aliases),
            "; ".join((*each.patient_issuers, *each.accession_issuers)),
        )
        for each in found
    ]
    show(("CODE", "NAME", "OID", "IN IMAGES", "ISSUERS"), rows, "There is no institution yet.")
