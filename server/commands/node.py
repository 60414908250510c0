"""`weft node`: other systems that may connect by their own certificates, and as what (IHE ATNA)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from server.access.consent.purposes import TREATMENT, is_known
from server.access.roles import SYSTEM
from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail, settings_or_exit
from server.commands.feeds import Authorities, Feeds, authorities, tell
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.trust.certificates import normal_name, read_pem
from server.trust.model import Node
from server.trust.store import TrustStore
from server.trust.subjects import ASSIGNABLE
from storage.errors import VersionConflict

nodes = group("node", "Other systems that connect by certificate (mutual TLS).")

_OTHERS = "`weft node list` shows all"
_NAME = re.compile(r"[\w .:@/-]{1,100}")

Name = Annotated[str, typer.Argument(help="As administrators and the audit trail call it.")]


@nodes.command()
def add(
    name: Name,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with its certificate.", exists=True, dir_okay=False)
    ] = None,
    subject: Annotated[str, typer.Option(help="Or the name in it, 'CN=gateway,O=Hospital', whoever issued it.")] = "",
    role: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(sorted(ASSIGNABLE))}; repeat it.")] = None,
    organization: Annotated[str, typer.Option(help="Organization/5 or system|value: whose it is.")] = "",
    purpose: Annotated[str, typer.Option(help="Purpose of use of what it asks by itself.")] = TREATMENT,
    fhir_user: Annotated[str, typer.Option(help="Device/4: what consents may name it by.")] = "",
    by_proxy: Annotated[
        bool, typer.Option("--by-proxy", help="A trusted proxy tells of its certificate (Client-Cert, RFC 9440).")
    ] = False,
    feeds: Feeds = None,
    data: Data = None,
    records: Records = None,
) -> None:
    """Let a system in by its certificate, which an authority of WEFT_TLS_CLIENT_AUTHORITIES has issued."""
    if bool(certificate) == bool(subject):
        fail("give its certificate with --certificate FILE, or the name in it with --subject 'CN=…'")
    if not _NAME.fullmatch(name):
        fail("a name is at most 100 letters, digits, spaces and . : @ / -")
    node = Node(
        id=name,
        thumbprint=_thumbprint(certificate) if certificate else "",
        subject=_subject(subject) if subject else "",
        roles=_roles(role or [SYSTEM]),
        organization=organization,
        purpose=_purpose(purpose),
        fhir_user=fhir_user,
        is_by_proxy=by_proxy,
        feeds=authorities(feeds),
    )
    acting(lambda ground: _kept(ground, node), data, records, _OTHERS)
    say(f"{name} may connect as {', '.join(node.roles)}.")
    if not by_proxy and not settings_or_exit(data=data).tls_client_authorities:
        say("WEFT_TLS_CLIENT_AUTHORITIES is not set, so the server asks nobody for a certificate yet.")


@nodes.command("feeds")
def feeds_(name: Name, authority: Authorities = None, data: Data = None, records: Records = None) -> None:
    """Name anew whose identities a system may feed.

    By the authorities that assign them (ITI-8, ITI-44).
    """
    told = authorities(authority)

    async def work(ground: Groundwork) -> None:
        store = TrustStore(ground.stores.records)
        node = await store.get(Node, name)
        if node is None:
            raise Problem(Kind.NOT_FOUND, f"There is no node {name}.")
        event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "U", f"Node/{name}", "feeds")
        put = store.put(replace(node, feeds=told))
        await ground.stores.records.commit([put, *ground.smart.recording.acts([event])])

    acting(work, data, records, _OTHERS)
    tell(name, told)


@nodes.command()
def remove(name: Name, data: Data = None, records: Records = None) -> None:
    """Shut a system out, from its next request on."""

    async def work(ground: Groundwork) -> None:
        store = TrustStore(ground.stores.records)
        if await store.get(Node, name) is None:
            raise Problem(Kind.NOT_FOUND, f"There is no node {name}.")
        event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "D", f"Node/{name}")
        await ground.stores.records.commit([store.delete(Node, name), *ground.smart.recording.acts([event])])

    acting(work, data, records, _OTHERS)
    say(f"{name} is shut out.")


@nodes.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show the systems that may connect."""
    found = acting(lambda ground: TrustStore(ground.stores.records).every(Node), data, records)
    rows = [_row(each) for each in sorted(found, key=lambda each: each.id)]
    show(
        ("NODE", "CERTIFICATE", "ROLES", "ORGANIZATION", "PURPOSE", "FEEDS", "SINCE", ""), rows, "No node is known yet."
    )


def _row(node: Node) -> tuple[str, ...]:
    return (
        node.id,
        node.thumbprint[:16] or node.subject,
        " ".join(node.roles),
        node.organization,
        node.purpose,
        " ".join(node.feeds),
        day(node.since),
        "by proxy" if node.is_by_proxy else "",
    )


async def _kept(ground: Groundwork, node: Node) -> None:
    store, at = TrustStore(ground.stores.records), micros(ground.clock)
    event = changed(at, administrator(), Changed.CONFIGURATION, "C", f"Node/{node.id}")
    put = store.put(replace(node, since=at), expected=0)
    try:
        await ground.stores.records.commit([put, *ground.smart.recording.acts([event])])
    except VersionConflict:
        raise Problem(Kind.CONFLICT, f"There is a node {node.id} already.") from None


def _thumbprint(file: Path) -> str:
    try:
        found = read_pem(file.read_bytes())
    except (OSError, ValueError):
        fail(f"{file} holds no certificate")
    return found[0].thumbprint


def _subject(text: str) -> str:
    try:
        return normal_name(text)
    except ValueError:
        fail(f"--subject {text}: a name such as 'CN=gateway,O=Hospital,C=CN' (RFC 4514)")


def _roles(told: list[str]) -> tuple[str, ...]:
    if unknown := sorted(set(told) - ASSIGNABLE):
        fail(f"--role {unknown[0]}: one of {', '.join(sorted(ASSIGNABLE))}")
    return tuple(dict.fromkeys(told))


def _purpose(told: str) -> str:
    if not is_known(told):
        fail(f"--purpose {told}: a code of HL7 v3 ActReason such as TREAT or HRESCH")
    return told
