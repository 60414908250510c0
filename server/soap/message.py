"""What passes between the SOAP shell and a transaction: a parsed request in, a body with its attachments out.

An attachment is in the blob store before its transaction runs, counted and hashed as it came; whoever keeps one says so
(`keep`), and whatever nobody kept is deleted when the exchange ends, however it ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from server.kernel.context import Context
from server.kernel.measuring import Received

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Attachment:
    """One binary of an answer, streamed; `length` in octets is known before the first byte."""

    content: AsyncIterator[Bytes]
    length: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as its transaction sees it."""

    context: Context
    body: etree._Element
    """The child of soap:Body. Where a binary stood, its element is empty and has the attribute `BINARY`."""
    header: etree._Element | None
    received: Mapping[str, Received]
    """By the value of `BINARY`."""
    base: str
    """Absolute URL of the surface as the client sees it."""

    def binary(self, element: etree._Element) -> Received | None:
        """What an element of xs:base64Binary held."""
        return self.received.get(element.get(BINARY, ""))


BINARY = "{urn:weft:soap}binary"
"""Attribute that stands for a binary taken out of the message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The child of soap:Body, ready encoded, with its namespaces declared on itself.

    Each attachment stands in it where `placeholder(number)` does, counted from 0; the shell puts an xop:Include there,
    or base64 where the request was no MTOM.
    """

    body: bytes
    attachments: tuple[Attachment, ...] = ()


def placeholder(number: int) -> bytes:
    """What stands for an attachment within the body until it is sent."""
    return b"<?attachment %d?>" % number


Perform: TypeAlias = Callable[[Exchange], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row: what is called by which action, and who answers.

    A `Problem` its handler raises with kind UNAUTHENTICATED becomes a SOAP fault; any other is its own dialect's matter
    (`refuse`), because what is wrong with the content of a valid message is no fault (TF-2 Appendix V).
    """

    name: str
    """`ITI-18`; also the row of `server.audit.acts`."""
    action: str
    response_action: str
    body: str
    """Name of the element in soap:Body, `{namespace}local`."""
    perform: Perform
    refuse: Callable[[Exchange, Exception], Reply]
    is_mtom: bool = False
    """Whether it is packed with MTOM as a rule; what is sent otherwise is taken too, and answered alike."""
    interaction: str = "search"
    """Under which the access decision is asked."""
