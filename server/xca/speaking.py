"""For whom another community is asked: whoever asks us, by the assertion they brought, or else this server itself.

An assertion is a key to every audience it names, so it is handed on only to a community that each of its restrictions
names too: by its homeCommunityId, by an address of it, or by what the operator entered. To any other the question comes
from this server, known by its certificate, and is judged there by what that server may see.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from server.soap.names import WSSE
from server.trust.assertions import SECURITY
from server.trust.signature import ASSERTION, SAML
from server.xca.neighbour import Neighbour

_RESTRICTION = f"{{{SAML}}}Conditions/{{{SAML}}}AudienceRestriction"
_AUDIENCE = f"{{{SAML}}}Audience"


@dataclass(frozen=True, slots=True)
class Token:
    """An assertion as it came, which was found good here."""

    octets: bytes = b""
    audiences: tuple[frozenset[str], ...] = ()
    """Of each restriction."""

    @classmethod
    def of(cls, header: etree._Element | None) -> Token:
        """What the header of a request brought; the empty token where that is no single assertion."""
        found = [] if header is None else header.findall(f"{SECURITY}/{ASSERTION}")
        if len(found) != 1:
            return cls()
        audiences = (
            frozenset((each.text or "").strip() for each in restriction.iterfind(_AUDIENCE))
            for restriction in found[0].iterfind(_RESTRICTION)
        )
        return cls(etree.tostring(found[0], encoding="UTF-8", with_tail=False), tuple(audiences))

    def for_(self, neighbour: Neighbour) -> bytes:
        """The header block that shows it there; empty where it is not meant for there."""
        if not self.audiences or not all(_means(neighbour, each) for each in self.audiences):
            return b""
        return f'<w:Security xmlns:w="{WSSE}">'.encode() + self.octets + b"</w:Security>"


def _means(neighbour: Neighbour, audiences: frozenset[str]) -> bool:
    """An address means the server it is on: the audience is that address, or what it lies below."""
    names = {neighbour.id, *neighbour.audiences}
    addresses = [each for each in (neighbour.query, neighbour.retrieve, neighbour.imaging) if each]
    return any(
        audience in names or (is_address(audience) and all(_lies_below(each, audience) for each in addresses))
        for audience in audiences
    )


def is_address(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _lies_below(url: str, base: str) -> bool:
    return url == base or url.startswith(base.rstrip("/") + "/")
