"""`weft community`: other communities that are asked for documents and images along with this one (IHE XCA)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from msgspec.structs import replace

from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail, settings_or_exit
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.settings import is_loopback
from server.trust.certificates import read_pem
from server.xca.neighbour import MOST, Neighbour, Neighbours, home_of
from server.xds.community import open_community
from storage.errors import VersionConflict

communities = group("community", "Other communities that are asked along with this one.")

_OTHERS = "`weft community list` shows all"
_OID = re.compile(r"(?=.{3,64}$)(urn:oid:)?[0-2](\.(0|[1-9]\d*))+", re.ASCII)

Home = Annotated[str, typer.Argument(help="Its homeCommunityId, an OID.")]
Name = Annotated[str, typer.Argument(help="As people read it.")]


@communities.command()
def add(
    home: Home,
    name: Name,
    weft: Annotated[str, typer.Option(help="URL of another Weft; its three addresses follow from it.")] = "",
    query: Annotated[str, typer.Option(help="Address of its gateway for queries (ITI-38).")] = "",
    retrieve: Annotated[str, typer.Option(help="For documents (ITI-39).")] = "",
    imaging: Annotated[str, typer.Option(help="For images (RAD-75).")] = "",
    patient_authority: Annotated[
        str, typer.Option(help="OID that assigns its patient numbers; none: they are the same as here.")
    ] = "",
    authority: Annotated[
        Path | None, typer.Option(help="PEM file of who issued its certificate.", exists=True, dir_okay=False)
    ] = None,
    show_certificate: Annotated[
        bool, typer.Option("--show-certificate", help="Show it ours, WEFT_TLS_CERTIFICATE.")
    ] = False,
    audience: Annotated[
        list[str] | None, typer.Option(help="By which assertions may mean it as well; repeat it.")
    ] = None,
    data: Data = None,
    records: Records = None,
) -> None:
    """Ask another community too, or tell anew how it is reached.

    Assertions are handed on to communities they name as audience; any other is asked in this server's own name, and
    knows it by its certificate.
    """
    for each in (home, patient_authority):
        if each and not _OID.fullmatch(each):
            fail(f"{each}: an OID of at most 64 characters, such as 2.16.156.10011")
    base = weft.rstrip("/")
    found = Neighbour(
        id=home_of(home),
        name=name.strip()[:200],
        query=_address(query or (base and f"{base}/xca/query")),
        retrieve=_address(retrieve or (base and f"{base}/xca/retrieve")),
        imaging=_address(imaging or (base and f"{base}/xca/imaging")),
        patient_authority=patient_authority.removeprefix("urn:oid:"),
        authority=_authority(authority) if authority else "",
        shows_certificate=show_certificate,
        audiences=tuple(audience or ()),
    )
    if not (found.query or found.retrieve or found.imaging):
        fail("give its address with --weft URL, or with --query, --retrieve and --imaging")
    if show_certificate and not settings_or_exit(data=data).tls_certificate:
        say("WEFT_TLS_CERTIFICATE is not set, so there is no certificate to show yet.")
    acting(lambda ground: _kept(ground, found), data, records, _OTHERS)
    say(f"{found.name} ({found.id}) is asked as well.")


@communities.command()
def remove(home: Home, data: Data = None, records: Records = None) -> None:
    """Ask a community no longer, from the next request on."""
    wanted = home_of(home)

    async def work(ground: Groundwork) -> None:
        known = Neighbours(ground.stores.records, "")
        if wanted not in [each.id for each in await known.every()]:
            raise Problem(Kind.NOT_FOUND, f"There is no community {wanted}.")
        event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "D", f"community {wanted}")
        await ground.stores.records.commit([known.delete(wanted), *ground.smart.recording.acts([event])])

    acting(work, data, records, _OTHERS)
    say(f"{wanted} is asked no longer.")


@communities.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show the communities that are asked."""
    found = acting(lambda ground: Neighbours(ground.stores.records, "").every(), data, records)
    rows = [
        (
            each.id,
            each.name,
            each.query,
            each.retrieve,
            each.imaging,
            each.patient_authority or "as here",
            "ours shown" if each.shows_certificate else "",
            day(each.since),
        )
        for each in found
    ]
    titles = ("COMMUNITY", "NAME", "QUERY", "RETRIEVE", "IMAGING", "PATIENT NUMBERS", "CERTIFICATE", "SINCE")
    show(titles, rows, "No other community is known yet.")


async def _kept(ground: Groundwork, told: Neighbour) -> None:
    settings, records, at = ground.settings, ground.stores.records, micros(ground.clock)
    own = await open_community(records, settings.community, settings.patient_authority)
    if told.id == own.home:
        raise Problem(Kind.INVALID, f"{told.id} is this community itself.")
    known = Neighbours(records, own.home)
    listed = [each.id for each in await known.every()]
    if told.id not in listed and len(listed) >= MOST:
        raise Problem(Kind.INVALID, f"At most {MOST} communities can be asked.")
    event = changed(
        at, administrator(), Changed.CONFIGURATION, "U" if told.id in listed else "C", f"community {told.id}"
    )
    try:
        await records.commit([known.put(replace(told, since=at)), *ground.smart.recording.acts([event])])
    except VersionConflict:
        raise Problem(Kind.CONFLICT, "It was changed by somebody else meanwhile.") from None


def _address(url: str) -> str:
    """In the clear only within this machine: what goes there and comes back is of patients."""
    if not url:
        return ""
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if (
        not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
        or not (parts.scheme == "https" or is_near)
    ):
        fail(f"{url}: an address such as https://host/path (http only within this machine), without ? and #")
    return url


def _authority(file: Path) -> str:
    try:
        text = file.read_bytes()
        read_pem(text)
        return text.decode("ascii")
    except (OSError, ValueError):
        fail(f"{file} holds no certificate")
