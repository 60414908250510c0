"""SOAP 1.2 faults: what is wrong with an envelope, its addressing or its sender; content has answers of its own.

HTTP statuses follow the SOAP HTTP binding (Part 2, 7.5.1.2): 400 where the sender is at fault, 500 elsewhere; what HTTP
says more exactly (401 with its challenge, 404, 405, 413, 415, 503) goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape

from server.http.surface import Answer, Call
from server.kernel.problem import Kind, Problem
from server.soap.names import SOAP, SOAP_11, SOAP_TYPE, WSA, WSSE

SENDER, RECEIVER = "Sender", "Receiver"
MUST_UNDERSTAND, VERSION_MISMATCH = "MustUnderstand", "VersionMismatch"

_STATUS = {
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED_MEDIA: 415,
    Kind.BUSY: 503,
    Kind.UNAVAILABLE: 503,
    Kind.FAULT: 500,
}
_RECEIVERS = frozenset({Kind.BUSY, Kind.UNAVAILABLE, Kind.FAULT})
_ADDRESSING, _GENERAL = WSA + "/fault", WSA + "/soap/fault"
_PREFIXES = f'xmlns:s="{SOAP}" xmlns:wsa="{WSA}" xmlns:wsse="{WSSE}"'
_SUBCODES = ("wsa:", "wsse:")


@dataclass(eq=False)
class Fault(Problem):
    """A problem with what a fault tells beyond it."""

    code: str = SENDER
    relates_to: str = ""
    """MessageID of the request."""
    not_understood: tuple[str, str] = ("", "")
    """Namespace and local name of a header block."""
    is_soap_11: bool = False
    """Whether the sender speaks only that."""


def fault_of(
    problem: Problem,
    *,
    code: str = "",
    relates_to: str = "",
    not_understood: tuple[str, str] = ("", ""),
    is_soap_11: bool = False,
) -> Fault:
    """The same problem; what it tells already stays."""
    known = problem if isinstance(problem, Fault) else None
    return Fault(
        problem.kind,
        problem.text,
        problem.issues,
        problem.retry_after,
        problem.headers,
        code=code or (known.code if known else RECEIVER if problem.kind in _RECEIVERS else SENDER),
        relates_to=relates_to or (known.relates_to if known else ""),
        not_understood=not_understood if not_understood[1] or known is None else known.not_understood,
        is_soap_11=is_soap_11 or (known is not None and known.is_soap_11),
    )


def render(call: Call, problem: Problem) -> Answer:
    """The problem as a fault: what a SOAP surface answers where no transaction does."""
    fault = fault_of(problem)
    headers = list(fault.headers.items())
    if fault.retry_after is not None:
        headers.append(("Retry-After", str(fault.retry_after)))
    if fault.is_soap_11:
        return Answer(500, _soap_11(fault), "text/xml; charset=UTF-8", headers)
    return Answer(_status(fault), _envelope(fault), f"{SOAP_TYPE}; charset=UTF-8", headers)


def _status(fault: Fault) -> int:
    if fault.code in (MUST_UNDERSTAND, VERSION_MISMATCH):
        return 500
    if "WWW-Authenticate" in fault.headers:
        return 401
    return _STATUS.get(fault.kind, 400)


def _subcode(fault: Fault) -> str:
    """As `wsa:ActionNotSupported`: the code of the first issue where it is one of these vocabularies."""
    found = fault.issues[0].code if fault.issues else None
    return found if found and found.startswith(_SUBCODES) else ""


def _envelope(fault: Fault) -> bytes:
    subcode = _subcode(fault)
    inner = f"<s:Subcode><s:Value>{escape(subcode)}</s:Value></s:Subcode>" if subcode else ""
    action = _ADDRESSING if subcode.startswith("wsa:") else _GENERAL
    head = f'<wsa:Action s:mustUnderstand="true">{action}</wsa:Action><wsa:MessageID>urn:uuid:{uuid4()}</wsa:MessageID>'
    if fault.relates_to:
        head += f"<wsa:RelatesTo>{escape(fault.relates_to)}</wsa:RelatesTo>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {_PREFIXES}><s:Header>{head}{_not_understood(fault)}'
        f"</s:Header><s:Body><s:Fault><s:Code><s:Value>s:{fault.code}</s:Value>{inner}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(fault.text)}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>'
    ).encode("utf-8", "replace")


def _not_understood(fault: Fault) -> str:
    namespace, name = fault.not_understood
    if not name:
        return _upgrade() if fault.code == VERSION_MISMATCH else ""
    quoted = escape(namespace, {'"': "&quot;"})
    return f'<s:NotUnderstood qname="n:{name}" xmlns:n="{quoted}"/>'


def _upgrade() -> str:
    return f'<s:Upgrade><s:SupportedEnvelope qname="s:Envelope" xmlns:s="{SOAP}"/></s:Upgrade>'


def _soap_11(fault: Fault) -> bytes:
    """To a sender that could not read a 1.2 fault (SOAP 1.2 Part 1, appendix A)."""
    upgrade = f'<v:Upgrade xmlns:v="{SOAP}"><v:SupportedEnvelope qname="v:Envelope"/></v:Upgrade>'
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP_11}"><s:Header>{upgrade}</s:Header>'
        f"<s:Body><s:Fault><faultcode>s:{fault.code}</faultcode><faultstring>{escape(fault.text)}</faultstring>"
        "</s:Fault></s:Body></s:Envelope>"
    ).encode("utf-8", "replace")
