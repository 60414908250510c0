"""WS-Addressing of a request: what it asks for, by which id it is answered, and where to (IHE ITI TF-2 Appendix V.3).

Many senders leave out the action, the reply address or mustUnderstand, so what is absent is taken from the body; what
is there must be right. The `action` parameter of the media type decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from server.kernel.problem import Issue, Kind, Problem
from server.soap.envelope import Envelope
from server.soap.faults import MUST_UNDERSTAND, fault_of
from server.soap.message import Transaction
from server.soap.names import ANONYMOUS, ROLE, SOAP, WSA, WSSE
from server.soap.names import MUST_UNDERSTAND as MUST_UNDERSTAND_NAME

_LONGEST = 1024
_MOST_BLOCKS = 1000
_OURS = frozenset({"", SOAP + "/role/next", SOAP + "/role/ultimateReceiver"})
_ONCE = ("Action", "MessageID", "ReplyTo", "FaultTo", "To")


@dataclass(frozen=True, slots=True)
class Addressing:
    action: str = ""
    message_id: str = ""
    reply_to: str = ANONYMOUS


def read(envelope: Envelope) -> Addressing:
    """Refuses header blocks that must be understood and are not, and addressing that cannot be."""
    found: dict[str, str] = {}
    for block in _blocks(envelope):
        name = etree.QName(block)
        if name.namespace == WSA and name.localname in _ONCE:
            if name.localname in found:
                raise invalid("wsa:InvalidAddressingHeader", f"wsa:{name.localname} may stand once.")
            found[name.localname] = _text(block)
        elif name.namespace not in (WSA, WSSE, SOAP) and _is_mandatory(block):
            text = f"A header block that must be understood is not: {name.localname}."
            wanted = (name.namespace or "", name.localname)
            raise fault_of(Problem(Kind.UNSUPPORTED, text), code=MUST_UNDERSTAND, not_understood=wanted)
    reply_to = found.get("ReplyTo") or ANONYMOUS
    if found.get("FaultTo", ANONYMOUS) not in (ANONYMOUS, reply_to):
        raise only_anonymous()
    return Addressing(found.get("Action", ""), found.get("MessageID", ""), reply_to)


def choose(addressing: Addressing, body: str, rows: Iterable[Transaction]) -> Transaction:
    """The transaction the action names, which must be of such a body; without an action, the one of such a body."""
    fitting = [each for each in rows if each.body == body]
    if not addressing.action:
        if len(fitting) == 1:
            return fitting[0]
        text = "This body says too little without its wsa:Action." if fitting else "No transaction here has this body."
        raise invalid("wsa:MessageAddressingHeaderRequired" if fitting else "wsa:ActionNotSupported", text)
    named = [each for each in rows if each.action == addressing.action]
    if not named:
        raise invalid("wsa:ActionNotSupported", "No transaction here has this wsa:Action.")
    if chosen := [each for each in named if each.body == body]:
        return chosen[0]
    raise invalid("wsa:ActionMismatch", f"The body is not that of {named[0].name}, which wsa:Action names.")


def only_anonymous() -> Problem:
    return invalid("wsa:OnlyAnonymousAddressSupported", "Answers go back on the connection of their request only.")


def invalid(code: str, text: str) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, code=code),))


def _blocks(envelope: Envelope) -> list[etree._Element]:
    header = envelope.header
    if header is None:
        return []
    if len(header) > _MOST_BLOCKS:
        raise Problem(Kind.TOO_LARGE, f"A message may have at most {_MOST_BLOCKS} header blocks.")
    return [child for child in header if isinstance(child.tag, str)]


def _is_mandatory(block: etree._Element) -> bool:
    return block.get(MUST_UNDERSTAND_NAME, "").strip() in ("1", "true") and block.get(ROLE, "").strip() in _OURS


def _text(block: etree._Element) -> str:
    """Of an endpoint reference its address."""
    address = block.find(f"{{{WSA}}}Address")
    text = ((block if address is None else address).text or "").strip()
    if len(text) > _LONGEST:
        raise invalid("wsa:InvalidAddressingHeader", "An addressing header is too long.")
    return text
