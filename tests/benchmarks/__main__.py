"""`python -m tests.benchmarks`: measure a server, compare two runs, or see whether searches scale.

run --base-url http://127.0.0.1:8042/dicom-web --pid 4711 --label orthanc --out orthanc.json
local --label weft --out weft.json
compare orthanc.json weft.json
qido-scale
fhir-load BUNDLES | fhir-serve | fhir-scale
access
xds
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import fhir
from tests.benchmarks.access import Site, access
from tests.benchmarks.corpus import Shape
from tests.benchmarks.load import Target
from tests.benchmarks.measure import Plan, measure
from tests.benchmarks.report import Run, compare
from tests.benchmarks.scale import SIZES, qido_scale
from tests.benchmarks.xds import DOCUMENTS, xds
from tests.e2e.running import Place, running


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    match given.command:
        case "compare":
            _print(compare(Run.load(given.one), Run.load(given.other)))
        case "qido-scale":
            runs = qido_scale(given.folder, tuple(given.sizes), given.seconds, may_use_wrk=not given.no_wrk)
            for run in runs:
                _print([run.label, *run.lines()])
            _print(compare(*runs[:2]))
        case command if command.startswith("fhir-"):
            _fhir(command, given)
        case "access":
            site = Site(given.patients, studies=given.studies, slices=given.slices)
            _print(access(site, given.rounds, given.seconds, given.only, may_use_wrk=not given.no_wrk))
        case "xds":
            _print(xds(given.folder, given.documents, given.seconds))
        case "local":
            with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
                place = Place("local", Path(given.data) if given.data else Path(folder))
                with running(place) as server:
                    _measure(given, server.dicomweb, server.pid)
        case _:
            _measure(given, given.base_url, given.pid)
    return 0


def _fhir(command: str, given: argparse.Namespace) -> None:
    match command:
        case "fhir-load":
            _print(fhir.fhir_load(given.bundles))
        case "fhir-serve":
            _print(fhir.fhir_serve(given.seconds))
        case _:
            runs = fhir.fhir_scale(tuple(given.sizes), given.seconds)
            for run in runs:
                _print([run.label, *run.lines()])
            _print(compare(*runs[:2]))


def _measure(given: argparse.Namespace, base_url: str, pid: int) -> None:
    plan = Plan(
        Target(base_url, dict(each.split(":", 1) for each in given.header), not given.no_wrk),
        pid,
        Shape(given.studies, given.slices, given.tiny),
        given.token,
        given.rounds,
        given.seconds,
        given.only,
        not given.no_store,
    )
    run = measure(plan, given.label)
    _print(run.lines())
    if given.out:
        run.save(given.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_measuring(run := commands.add_parser("run", help="a server that runs already"))
    run.add_argument("--base-url", required=True)
    run.add_argument("--pid", type=int, default=0, help="the server's process, to measure its CPU")
    _add_measuring(local := commands.add_parser("local", help="a fresh Weft on this machine"))
    local.add_argument("--data", help="folder of its archive; default: a temporary one")
    comparing = commands.add_parser("compare", help="the second run beside the first")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    scaling = commands.add_parser("qido-scale", help="searches in a small and in a large archive")
    scaling.add_argument("--folder", type=Path, help="keep the archives here")
    scaling.add_argument("--sizes", type=int, nargs=2, default=SIZES)
    scaling.add_argument("--no-wrk", action="store_true")
    scaling.add_argument("--seconds", type=float, default=3.0)
    loading = commands.add_parser("fhir-load", help="a folder of bundles, loaded; beside it a library that parses them")
    loading.add_argument("bundles", type=Path)
    serving = commands.add_parser("fhir-serve", help="a read and a search page beside canned answers")
    serving.add_argument("--seconds", type=float, default=5.0)
    growing = commands.add_parser("fhir-scale", help="a search among few and among many Observations")
    growing.add_argument("--sizes", type=int, nargs=2, default=fhir.SIZES)
    growing.add_argument("--seconds", type=float, default=5.0)
    guarded = commands.add_parser("access", help="with sign-in, consents and audit beside without")
    guarded.add_argument("--patients", type=int, default=Site.patients)
    guarded.add_argument("--studies", type=int, default=Site.studies, help="with full-sized images")
    guarded.add_argument("--slices", type=int, default=Site.slices, help="images of each")
    guarded.add_argument("--rounds", type=int, default=3)
    guarded.add_argument("--seconds", type=float, default=3.0, help="for each case")
    guarded.add_argument("--no-wrk", action="store_true")
    guarded.add_argument("--only", default="", help="cases whose name has this in it")
    registry = commands.add_parser("xds", help="stored queries over a large document registry")
    registry.add_argument("--folder", type=Path, help="keep the registry here")
    registry.add_argument("--documents", type=int, default=DOCUMENTS)
    registry.add_argument("--seconds", type=float, default=5.0, help="for each case")
    return parser


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--label", default="server")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--studies", type=int, default=10, help="CT studies")
    parser.add_argument("--slices", type=int, default=100, help="images of each")
    parser.add_argument("--tiny", type=int, default=5000, help="studies of one small image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each case")
    parser.add_argument("--only", default="", help="cases whose name matches this expression")
    parser.add_argument("--token", type=int, default=1, help="another one makes other UIDs")
    parser.add_argument("--no-store", action="store_true", help="the corpus is stored already")
    parser.add_argument("--no-wrk", action="store_true")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")


def _print(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
