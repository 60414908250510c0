"""The imaging cases of the NIST toolkit for an initiating gateway (iig), over two communities that answer RAD-75.

Of most images only the UIDs came with the cases; stand-ins of these UIDs are stored for them.
"""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from lxml import etree

from server.dicom.part10 import scan
from server.kernel.offload import Offload
from server.xca.neighbour import Neighbour
from storage.sqlite.records import SqliteRecords
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import RAD_69, ManifestWorld
from tests.data.small_files import instance_file
from tests.data.soap_messages import Answered
from tests.server.xca.gateway_world import Gateway, close_gateway, open_gateway

COMMUNITIES = {"a": "101", "b": "102"}
"""The last arcs of homes and imaging sources."""
STEPS = 29
_ABSENT = re.compile(r"\.999$")
_Image = tuple[str, str, str, str]
"""Community, study, series and instance."""


def test_the_cases_of_an_initiating_gateway(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "xds"
    with (folder / "EXPECTED.tsv").open(newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        steps = [each for each in rows if "toolkit/imaging/iig_" in each["testplan"]]
    assert len(steps) == STEPS
    with asyncio.Runner() as runner:
        offload = Offload()
        world = ManifestWorld(SqliteRecords(tmp_path / "weft.sqlite", offload), tmp_path, offload)
        runner.run(world.prepare())
        world.door.context = SERVER_CONTEXT
        runner.run(world.store(*_images(folder)))
        apps = {
            name: httpx.ASGITransport(app=world.soap_app(_source(arc), _home(arc)))  # type: ignore[arg-type]
            for name, arc in COMMUNITIES.items()
        }
        neighbours = [
            Neighbour(_home(arc), name, imaging=f"https://{name}.example/xds/gateway")
            for name, arc in COMMUNITIES.items()
        ]
        answers = {name: each.handle_async_request for name, each in apps.items()}
        gateway = open_gateway(tmp_path / "own", runner, *neighbours, **answers)
        for case in sorted({Path(each["testplan"]).parts[2] for each in steps}):
            _check(gateway, folder, case, [each for each in steps if f"/{case}/" in each["testplan"]])
        close_gateway(gateway)
        runner.run(world.records.close())
        offload.close()


def _home(arc: str) -> str:
    return f"urn:oid:1.3.6.1.4.1.21367.13.70.{arc}"


def _source(arc: str) -> str:
    return f"1.3.6.1.4.1.21367.13.71.{arc}"


def _images(folder: Path) -> list[bytes]:
    named = {each for path in folder.glob("toolkit/imaging/iig_*/*/RAD-*.xml") for each in _asked(_parsed(path))}
    return [instance_file(*each) for each in sorted({each[1:] for each in named if not _ABSENT.search(each[3])})]


def _check(gateway: Gateway, folder: Path, case: str, steps: list[dict[str, str]]) -> None:
    (retrieve,) = (each for each in steps if each["step"] == "retrieve")
    plan = folder / retrieve["testplan"]
    gateway.sites.asked.clear()
    answer = gateway.ask("/xca/gateway/imaging", RAD_69, (plan.parent / retrieve["message"]).read_bytes())
    assert answer.status == retrieve["expected_status"], (case, answer.errors)
    for step in steps:
        root = _parsed(folder / step["testplan"])
        for assertion in root.iter("Assert"):
            _hold(gateway, answer, root, assertion)


def _hold(gateway: Gateway, answer: Answered, root: etree._Element, assertion: etree._Element) -> None:
    match assertion.get("process"):
        case "sameRetImgs":
            assert _given(answer.body) == _given(root)
        case "registryErrorListNotEmpty":
            assert answer.errors
        case "sameReqImgs":
            (simulated,) = assertion.iter("SimTransaction")
            (message,) = gateway.sites.asked[str(simulated.get("id")).removeprefix("rig_")]
            bodies = list(root.iter(str(assertion.get("std")))) or [root]
            assert set(_asked(message)) == set(_asked(bodies[0]))
            assert _syntaxes(message) == _syntaxes(bodies[0])
        case "sameDcmImgs":
            uids = [scan(each).sop_instance_uid for each in answer.documents.values()]
            assert uids == list(answer.documents)
        case other:
            raise AssertionError(f"nothing here answers {other}")


def _parsed(path: Path) -> etree._Element:
    return etree.parse(path, etree.XMLParser(resolve_entities=False, recover=True)).getroot()


def _asked(root: etree._Element) -> Iterator[_Image]:
    for study in root.iter("{*}StudyRequest"):
        for series in study.iter("{*}SeriesRequest"):
            for each in series.iter("{*}DocumentRequest"):
                uids = (study.get("studyInstanceUID", ""), series.get("seriesInstanceUID", ""))
                yield (_text(each, "HomeCommunityId"), *uids, _text(each, "DocumentUniqueId"))


def _given(root: etree._Element) -> set[tuple[str, str]]:
    found = root.iter("{*}DocumentResponse")
    return {(_text(each, "HomeCommunityId"), _text(each, "DocumentUniqueId")) for each in found}


def _syntaxes(root: etree._Element) -> set[Any]:
    return {(each.text or "").strip() for each in root.iter("{*}TransferSyntaxUID")}


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()
