"""`weft client`: apps and backend services, and what each may ask for at most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec.structs import replace

from server.access.roles import SYSTEM, USER_ROLES
from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail, settings_or_exit
from server.commands.feeds import Authorities, Feeds, authorities, tell
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.kernel.ids import new_token
from server.kernel.problem import Kind, Problem
from server.smart.client_authentication import BASIC, BY_KEY, PUBLIC
from server.smart.digest import digest, new_secret
from server.smart.grant_types import BACKEND, CODE, REFRESH
from server.smart.model import Client
from server.smart.registration import Metadata, check_metadata
from server.smart.scopes import parse_scopes
from storage.errors import VersionConflict

clients = group("client", "Apps and backend services that may ask for tokens.")

_METHODS = {"public": PUBLIC, "secret": BASIC, "key": BY_KEY}
_ROLES = (SYSTEM, *sorted(USER_ROLES))

_PLAIN_ID = re.compile(r"[A-Za-z0-9._~\-]{1,64}", re.ASCII)
_OTHERS = "`weft client list` shows all"

Name = Annotated[str, typer.Argument(help="As users see it.")]
Id = Annotated[str, typer.Argument(help="client_id, as `weft client list` shows it.")]


@clients.command()
def add(
    name: Name,
    scope: Annotated[list[str], typer.Option(help="What it may ask for at most: 'patient/*.rs launch/patient'.")],
    redirect: Annotated[list[str] | None, typer.Option(help="Where codes may be sent, exactly; repeat it.")] = None,
    launch_url: Annotated[str, typer.Option(help="Where an EHR opens the app.")] = "",
    by: Annotated[str, typer.Option(help="How it proves itself: public (PKCE only), secret or key.")] = "",
    jwks: Annotated[Path | None, typer.Option(help="File with its public keys.", exists=True, dir_okay=False)] = None,
    jwks_url: Annotated[str, typer.Option(help="https address of its public keys.")] = "",
    backend: Annotated[bool, typer.Option("--backend", help="Acts for itself, without a user.")] = False,
    role: Annotated[list[str] | None, typer.Option(help=f"Of a backend service: {', '.join(_ROLES)}.")] = None,
    purpose: Annotated[str, typer.Option(help="Purpose of use (TREAT, HRESCH…) it states where it states none.")] = "",
    patient: Annotated[list[str] | None, typer.Option(help="Logical id of a patient it is limited to; repeat.")] = None,
    fhir_user: Annotated[str, typer.Option(help="Device/4: what consents may name it by.")] = "",
    feeds: Feeds = None,
    client_id: Annotated[str, typer.Option("--id", help="client_id; made up where none is given.")] = "",
    data: Data = None,
    records: Records = None,
) -> None:
    """Let an app or a backend service in. Its secret, if it has one, is shown once."""
    by = by or ("key" if backend or jwks or jwks_url else "public")
    _check(by, role or (), client_id)
    if by == "key" and not jwks and not jwks_url:
        fail("it proves itself by key: give its public keys with --jwks FILE or --jwks-url https://…")
    if not backend and not redirect:
        fail("an app that users sign in with needs --redirect; a service that acts for itself is --backend")
    grants = (BACKEND,) if backend else (CODE, REFRESH)
    metadata = Metadata(
        redirect_uris=tuple(redirect or ()),
        client_name=name,
        token_endpoint_auth_method=_METHODS[by],
        grant_types=grants,
        scope=" ".join(scope),
        jwks=_read_keys(jwks),
        jwks_uri=jwks_url,
        initiate_login_uri=launch_url,
    )
    secret = new_secret()
    client = Client(
        client_id or new_token(16),
        name,
        _METHODS[by],
        _scopes(metadata.scope),
        metadata.redirect_uris,
        launch_url,
        digest(secret) if by == "secret" else "",
        metadata.jwks,
        jwks_url,
        grants,
        purpose,
        tuple(patient) if patient else None,
        tuple(role or (SYSTEM,)),
        fhir_user,
        authorities(feeds),
    )
    acting(lambda ground: _kept(ground, client, metadata), data, records, _OTHERS)
    say(f"client_id {client.id}")
    if by == "secret":
        say(f"client_secret, shown only now: {secret}")
    _tell_left_out(metadata.scope, client)
    say(f"It finds the rest at {settings_or_exit(data=data).own_url}/fhir (iss, aud)")


@clients.command()
def approve(id: Id, data: Data = None, records: Records = None) -> None:
    """Let in an app that registered itself and waits, or was shut out."""

    async def work(ground: Groundwork) -> None:
        await _change(ground, id, "approved", is_approved=True)

    acting(work, data, records, _OTHERS)
    say(f"{id} may ask for tokens.")


@clients.command("feeds")
def feeds_(id: Id, authority: Authorities = None, data: Data = None, records: Records = None) -> None:
    """Name anew whose identities may be fed through it.

    By the authorities that assign them (ITI-44, ITI-104).
    """
    told = authorities(authority)

    async def work(ground: Groundwork) -> None:
        await _change(ground, id, "feeds", feeds=told)

    acting(work, data, records, _OTHERS)
    tell(id, told)


@clients.command()
def revoke(id: Id, data: Data = None, records: Records = None) -> None:
    """Shut an app out: all approvals and tokens end at once."""

    async def work(ground: Groundwork) -> None:
        await _change(ground, id, "revoked", is_approved=False)
        await ground.smart.approvals.end_client(id)

    acting(work, data, records, _OTHERS)
    say(f"{id} is shut out, and its tokens are dead. `weft client approve {id}` lets it in again.")


@clients.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every app and backend service."""
    found = acting(lambda ground: ground.smart.store.every(Client), data, records)
    rows = [_row(held.value) for held in sorted(found, key=lambda held: held.value.name.casefold())]
    show(("CLIENT_ID", "NAME", "BY", "SCOPES", "PURPOSE", "FEEDS", "SINCE", ""), rows, "There is no client yet.")


def _row(client: Client) -> tuple[str, ...]:
    by = next(name for name, method in _METHODS.items() if method == client.method)
    return (
        client.id,
        client.name,
        f"{by}, backend" if BACKEND in client.grants else by,
        " ".join(client.scopes),
        client.purpose,
        " ".join(client.feeds),
        day(client.created),
        "" if client.is_approved else "shut out, or waits",
    )


async def _kept(ground: Groundwork, client: Client, metadata: Metadata) -> None:
    check_metadata(metadata)
    smart, at = ground.smart, micros(ground.clock)
    event = changed(at, administrator(), Changed.CONFIGURATION, "C", f"Client/{client.id}", "added")
    try:
        await smart.store.commit(smart.store.put(replace(client, created=at), 0), *smart.recording.acts([event]))
    except VersionConflict:
        raise Problem(Kind.CONFLICT, f"There is a client of this id: {client.id}.") from None


async def _change(ground: Groundwork, id: str, what: str, **members: Any) -> None:
    smart = ground.smart
    held = await smart.store.get(Client, id)
    if held is None:
        raise Problem(Kind.NOT_FOUND, f"There is no client of this id: {id}.")
    event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "U", f"Client/{id}", what)
    put = smart.store.put(replace(held.value, **members), held.version)
    await smart.store.commit(put, *smart.recording.acts([event]))


def _check(by: str, roles: Sequence[str], id: str) -> None:
    if by not in _METHODS:
        fail(f"--by {by}: public, secret or key")
    if wrong := [each for each in roles if each not in _ROLES]:
        fail(f"{', '.join(wrong)}: no such role; there are {', '.join(_ROLES)}")
    if id and not _PLAIN_ID.fullmatch(id):
        fail(f"--id {id}: up to 64 letters, digits and . _ ~ -")


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(each.text for each in parse_scopes(text))
    if not scopes:
        fail("--scope holds no scope that is understood, such as patient/*.rs, launch/patient or system/Observation.rs")
    return scopes


def _read_keys(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        return msgspec.json.decode(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        fail(f"{file} holds no JSON")


def _tell_left_out(scope: str, client: Client) -> None:
    """What is not understood gives no right, and whoever mistyped it should know."""
    if unknown := [each for each in dict.fromkeys(scope.split()) if each not in client.scopes]:
        say(f"not understood, and left out: {' '.join(unknown)}")
