"""Capabilities, cross-origin access and the answers to what is not served (PS3.18 8.9, 8.5; Fetch standard)."""

from __future__ import annotations

from conformance.kit.client import Response
from conformance.kit.report import Check, Checks
from conformance.kit.session import DICOM_JSON, Session
from conformance.kit.verdict import Skipped, expect

_ORIGIN = "http://localhost:3000"
"""Of a viewer under development, which a server is most likely to allow."""


def describes_itself(session: Session) -> None:
    answer = session.client.request("OPTIONS", "/", accept="application/vnd.sun.wadl+xml, application/json;q=0.5")
    expect(answer.status == 200, f"OPTIONS of the base gave {answer.status}")
    expect(bool(answer.body), "the capabilities are empty")


def answers_a_preflight(session: Session) -> None:
    asked = {
        "Origin": _ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "accept,authorization,content-type",
    }
    answer = session.client.request("OPTIONS", "/studies", headers=asked)
    _expect_origin(answer)
    expect(answer.status in (200, 204), f"the preflight gave {answer.status}")
    allowed = answer.headers.get("access-control-allow-headers", "").lower()
    missing = [name for name in ("accept", "authorization", "content-type") if name not in allowed and allowed != "*"]
    expect(not missing, f"not allowed: {', '.join(missing)}")


def lets_browsers_read(session: Session) -> None:
    answer = session.client.get("/studies?limit=1", DICOM_JSON, origin=_ORIGIN)
    _expect_origin(answer)
    exposed = answer.headers.get("access-control-expose-headers", "").lower()
    expect("warning" in exposed, f"Warning is not exposed to scripts (exposed: {exposed or 'none'})")


def _expect_origin(answer: Response) -> None:
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed is None:
        raise Skipped("cross-origin requests are not allowed by this server")
    expect(allowed in ("*", _ORIGIN), f"Access-Control-Allow-Origin is {allowed}")


def names_the_methods_of_a_resource(session: Session) -> None:
    answer = session.client.request("PATCH", "/studies", body=b"", headers={"content-length": "0"})
    expect(answer.status == 405, f"PATCH gave {answer.status}, expected 405")
    expect("GET" in answer.headers.get("allow", ""), f"Allow is {answer.headers.get('allow')!r}")


def knows_no_other_paths(session: Session) -> None:
    answer = session.client.get("/no/such/resource", "*/*")
    expect(answer.status == 404, f"an unknown path gave {answer.status}, expected 404")


def refuses_bad_uids(session: Session) -> None:
    for uid in ("..%2f..%2fetc", "1.2.x", "1" * 200):
        answer = session.client.get(f"/studies/{uid}", "*/*")
        expect(answer.status in (400, 404), f"a Study Instance UID that is none gave {answer.status}")


CHECKS: Checks = (
    Check("describes itself", "8.9", describes_itself),
    Check("answers a cross-origin preflight", "Fetch 4.8", answers_a_preflight),
    Check("lets browsers read answers and warnings", "Fetch 3.2.3", lets_browsers_read),
    Check("names the methods of a resource", "RFC 9110 15.5.6", names_the_methods_of_a_resource),
    Check("knows no other paths", "8.5", knows_no_other_paths),
    Check("refuses UIDs that are none", "8.5", refuses_bad_uids),
)
