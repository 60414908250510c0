"""`python -m conformance.kit URL`: runs the suite against any DICOMweb or FHIR R4 service and tells what it found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from conformance.kit import suite
from conformance.kit.client import Client
from conformance.kit.fhir import suite as fhir_suite
from conformance.kit.report import Report
from conformance.kit.verdict import Failed, Verdict

KINDS = ("dicomweb", "fhir")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.kit", description=__doc__)
    parser.add_argument("url", help="base URL of the service, such as http://127.0.0.1:8080/dicomweb or …/fhir")
    parser.add_argument("--kind", choices=KINDS, help="kind of the service; asked of its /metadata unless given")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="sent with every request")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="of the FHIR checks, this one")
    parser.add_argument("--quiet", action="store_true", help="tell only what failed")
    given = parser.parse_args()
    headers = dict(each.split(":", 1) for each in given.header)
    if (given.kind or kind_of(given.url, headers)) == "fhir":
        report = fhir_suite.run(given.url, headers, only=given.only)
    else:
        report = suite.run(given.url, headers)
    _tell(report, given.quiet)
    return 0 if report.is_clean else 1


def kind_of(url: str, headers: Mapping[str, str]) -> str:
    """A service with a capability statement below its base is a FHIR service."""
    try:
        answer = Client(url, headers).get("/metadata", "application/fhir+json")
        statement = answer.json() if answer.status == 200 else {}
    except Failed:
        return "dicomweb"
    is_fhir = isinstance(statement, dict) and statement.get("resourceType") == "CapabilityStatement"
    return "fhir" if is_fhir else "dicomweb"


def _tell(report: Report, is_quiet: bool) -> None:
    lines = report.lines()
    for outcome, line in zip(report.outcomes, lines, strict=False):
        if not is_quiet or outcome.verdict is Verdict.FAILED:
            sys.stdout.write(line + "\n")
    sys.stdout.write(lines[-1] + "\n")


if __name__ == "__main__":
    sys.exit(main())
