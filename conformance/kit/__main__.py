"""`python -m conformance.kit URL`: runs the suite against any DICOMweb service and tells what it found."""

from __future__ import annotations

import argparse
import sys

from conformance.kit.suite import run
from conformance.kit.verdict import Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.kit", description=__doc__)
    parser.add_argument("url", help="base URL of the service, such as http://127.0.0.1:8080/dicomweb")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="sent with every request")
    parser.add_argument("--quiet", action="store_true", help="tell only what failed")
    given = parser.parse_args()
    headers = dict(each.split(":", 1) for each in given.header)
    report = run(given.url, headers)
    failed = {id(each) for each in report.outcomes if each.verdict is Verdict.FAILED}
    lines = report.lines()
    for outcome, line in zip(report.outcomes, lines, strict=False):
        if not given.quiet or id(outcome) in failed:
            sys.stdout.write(line + "\n")
    sys.stdout.write(lines[-1] + "\n")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
