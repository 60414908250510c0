"""`weft issuer`: whose assertions about people are believed, and what their codes mean here (XUA)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from server.access.consent.purposes import TREATMENT, is_known
from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail, settings_or_exit
from server.commands.feeds import Authorities, Feeds, authorities, tell
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import Clock, micros
from server.kernel.problem import Kind, Problem
from server.trust.certificates import Certificate, read_pem
from server.trust.model import Issuer
from server.trust.store import TrustStore
from server.trust.subjects import ASSIGNABLE
from storage.errors import VersionConflict

issuers = group("issuer", "Issuers of SAML assertions that are believed.")

_OTHERS = "`weft issuer list` shows all"
_ROLES = ", ".join(sorted(ASSIGNABLE))

Name = Annotated[str, typer.Argument(help="As it stands in saml:Issuer, exactly.")]
File = Annotated[Path, typer.Argument(help="PEM file with the certificate it signs with.", exists=True, dir_okay=False)]


@issuers.command()
def add(
    name: Name,
    certificate: File,
    role: Annotated[
        list[str] | None,
        typer.Option(help=f"CODE=ROLE or OID|CODE=ROLE: what a role's code gives here ({_ROLES}); repeat it."),
    ] = None,
    audience: Annotated[list[str] | None, typer.Option(help="By which it means this server, beside its URL.")] = None,
    purpose: Annotated[
        list[str] | None, typer.Option(help="CODE=PURPOSE, or the PURPOSE where none is stated (TREAT).")
    ] = None,
    organization: Annotated[str, typer.Option(help="Organization/5 or system|value, where none is named.")] = "",
    speaks_for: Annotated[
        list[str] | None, typer.Option(help="system|value: the only organizations it may name; repeat it.")
    ] = None,
    people: Annotated[str, typer.Option(help="System of the identifiers it names people by.")] = "",
    feeds: Feeds = None,
    data: Data = None,
    records: Records = None,
) -> None:
    """Believe what this issuer signs. Roles that are not mapped give no right."""
    default, purposes = _purposes(purpose or ())
    issuer = Issuer(
        id=name.strip(),
        certificates=tuple(each.pem for each in _certificates(certificate)),
        audiences=tuple(audience or ()),
        roles=_roles(role or ()),
        purposes=purposes,
        purpose=default,
        organization=organization,
        speaks_for=tuple(speaks_for or ()),
        people=people,
        feeds=authorities(feeds),
    )

    async def work(ground: Groundwork) -> None:
        at = micros(ground.clock)
        await _kept(ground, replace(issuer, since=at), "C", expected=0)

    acting(work, data, records, _OTHERS)
    say(f"Believed: {issuer.id}. Its assertions name {settings_or_exit(data=data).own_url} as their audience.")
    if not issuer.roles:
        say("No role is mapped, so its assertions give no right yet: give --role CODE=ROLE.")


@issuers.command()
def renew(name: Name, certificate: File, data: Data = None, records: Records = None) -> None:
    """Believe another certificate as well, and none before its last two."""
    found = _certificates(certificate)

    async def work(ground: Groundwork) -> None:
        issuer = await _known(ground, name)
        pems = dict.fromkeys([*issuer.certificates, *(each.pem for each in found)])
        await _kept(ground, replace(issuer, certificates=tuple(pems)[-2:]), "U")

    acting(work, data, records, _OTHERS)
    say(f"{name} signs with this certificate too.")


@issuers.command("feeds")
def feeds_(name: Name, authority: Authorities = None, data: Data = None, records: Records = None) -> None:
    """Name anew whose identities may be fed by its word.

    By the authorities that assign them, and by those for whom it asserts (ITI-44).
    """
    told = authorities(authority)

    async def work(ground: Groundwork) -> None:
        await _kept(ground, replace(await _known(ground, name), feeds=told), "U")

    acting(work, data, records, _OTHERS)
    tell(name, told)


@issuers.command()
def remove(name: Name, data: Data = None, records: Records = None) -> None:
    """Believe an issuer no more, from the next message on."""

    async def work(ground: Groundwork) -> None:
        await _known(ground, name)
        store = TrustStore(ground.stores.records)
        event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "D", f"Issuer/{name}")
        await ground.stores.records.commit([store.delete(Issuer, name), *ground.smart.recording.acts([event])])

    acting(work, data, records, _OTHERS)
    say(f"{name} is believed no more.")


@issuers.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show whose assertions are believed."""

    async def work(ground: Groundwork) -> list[tuple[str, ...]]:
        found = await TrustStore(ground.stores.records).every(Issuer)
        return [_row(each, ground.clock) for each in sorted(found, key=lambda each: each.id)]

    rows = acting(work, data, records)
    show(("ISSUER", "CERTIFICATE", "UNTIL", "ROLES", "AUDIENCES", "FEEDS", "SINCE"), rows, "No issuer is believed yet.")


def _row(issuer: Issuer, clock: Clock) -> tuple[str, ...]:
    certificates = [each for pem in issuer.certificates for each in read_pem(pem.encode())]
    ends = (f"{each.end:%Y-%m-%d}{'' if each.is_good(clock.now()) else ' over'}" for each in certificates)
    return (
        issuer.id,
        " ".join(each.thumbprint[:16] for each in certificates),
        " ".join(ends),
        " ".join(f"{code}={','.join(roles)}" for code, roles in sorted(issuer.roles.items())),
        " ".join(issuer.audiences),
        " ".join(issuer.feeds),
        day(issuer.since),
    )


async def _kept(ground: Groundwork, issuer: Issuer, action: str, expected: int | None = None) -> None:
    store = TrustStore(ground.stores.records)
    event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, action, f"Issuer/{issuer.id}")
    try:
        await ground.stores.records.commit([store.put(issuer, expected), *ground.smart.recording.acts([event])])
    except VersionConflict:
        raise Problem(Kind.CONFLICT, f"{issuer.id} is believed already.") from None


async def _known(ground: Groundwork, name: str) -> Issuer:
    found = await TrustStore(ground.stores.records).get(Issuer, name)
    if found is None:
        raise Problem(Kind.NOT_FOUND, f"There is no issuer {name}.")
    return found


def _certificates(file: Path) -> tuple[Certificate, ...]:
    try:
        found = read_pem(file.read_bytes())
    except (OSError, ValueError):
        fail(f"{file} holds no certificate")
    if not 0 < len(found) <= 2 or not all(each.can_sign for each in found):
        fail(f"{file}: one or two certificates with an RSA key of 2048 bits or an elliptic curve of 256, or more")
    return found


def _roles(told: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for each in told:
        code, _, role = each.rpartition("=")
        if not code or role not in ASSIGNABLE:
            fail(f"--role {each}: CODE=ROLE, where ROLE is one of {_ROLES}")
        found[code] = (*found.get(code, ()), role)
    return found


def _purposes(told: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The one where none is stated, and what codes mean."""
    default, found = TREATMENT, dict[str, str]()
    for each in told:
        code, _, purpose = each.rpartition("=")
        if not is_known(purpose):
            fail(f"--purpose {each}: a code of HL7 v3 ActReason such as TREAT, BTG or HRESCH")
        if code:
            found[code] = purpose
        else:
            default = purpose
    return default, found
