"""Which identities a node, an issuer or a client may feed, as these commands are told it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from server.commands.acting import say
from server.commands.configuration import fail
from server.kernel.context import ANY

_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[\x21-\x7e]{1,200}", re.ASCII)

Feeds = Annotated[
    list[str] | None,
    typer.Option(
        "--feeds", help=f"OID of an authority whose identities it may feed, or {ANY}; repeat it. None: it feeds none."
    ),
]
Authorities = Annotated[
    list[str] | None, typer.Argument(help=f"OIDs of these authorities, or {ANY}; none given: it feeds nothing.")
]


def authorities(told: Sequence[str] | None) -> tuple[str, ...]:
    found = dict.fromkeys(each.removeprefix("urn:oid:") for each in told or ())
    for each in found:
        if each != ANY and not _OID.fullmatch(each) and not _URI.fullmatch(each):
            fail(f"{each}: an OID such as 2.999.7, the system of such identifiers, or {ANY}")
    return tuple(found)


def tell(name: str, feeds: Sequence[str]) -> None:
    whose = "any authority" if ANY in feeds else ", ".join(feeds)
    say(f"{name} may feed identities of {whose}." if feeds else f"{name} may feed no identities.")
