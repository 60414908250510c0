"""IPF, another maker's platform in Java, against the running server: source, consumer, administrator and gateway.

What it sends and receives goes through its own validators of each transaction; its documents travel as MTOM.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian

from tests.e2e.clients import store, stored
from tests.e2e.needed import maven, run
from tests.e2e.running import Place, Server, eventually, running

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("TEST_LENGTH") != "full", reason="builds a Java program: only with `make e2e`"),
]

PEER = Path(__file__).parent / "ipf_peer"
COMMUNITY = "1.2.826.0.1.3680043.9.7777.9"
AUTHORITY = f"{COMMUNITY}.4"
STEPS = [
    "ITI-41 provides two documents in a folder",
    "ITI-18 FindDocuments tells all that was sent",
    "ITI-18 FindDocuments by reference",
    "ITI-18 FindDocumentsByReferenceId",
    "ITI-18 GetDocuments",
    "ITI-18 sets, folders, and what they hold",
    "ITI-43 retrieves the same bytes",
    "ITI-42 registers a document of another repository",
    "ITI-41 replaces a document",
    "ITI-51 FindDocumentsForMultiplePatients",
    "ITI-38 FindDocuments and GetDocuments across",
    "ITI-39 retrieves across",
    "ITI-61 registers on demand",
    "ITI-57 deprecates",
    "refusals carry the standard's codes",
    "ITI-43 retrieves the manifest of a study",
    "RAD-69 retrieves an image",
    "RAD-75 retrieves an image across",
    "ITI-62 and ITI-86 remove",
]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the peer compiled, and beside it the class path it needs."""
    folder = tmp_path_factory.mktemp("ipf") / "peer"
    shutil.copytree(PEER, folder)
    maven(folder, "compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath")
    return folder


@pytest.fixture(scope="module")
def server(new_place: Callable[[], Place]) -> Iterator[Server]:
    with running(new_place(), community=COMMUNITY, patient_authority=AUTHORITY) as each:
        yield each


def test_ipf_can_do_all_it_offers(peer: Path, server: Server) -> None:
    file = Path(str(get_testdata_file("CT_small.dcm")))
    image = pydicom.dcmread(file, stop_before_pixels=True)
    assert stored(store(server, file.read_bytes())) == {image.SOPInstanceUID}
    number = eventually(lambda: _numbers(server))[0]
    eventually(lambda: _found(server, "DocumentReference?format=1.2.840.10008.5.1.4.1.1.88.59"))
    told = run(
        "java",
        "-cp",
        f"target/classes:{(peer / 'target/classpath').read_text().strip()}",
        "Peer",
        f"127.0.0.1:{server.port}",
        COMMUNITY,
        f"{number}^^^&{AUTHORITY}&ISO",
        *(image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, ExplicitVRLittleEndian),
        folder=peer,
    )
    assert told.splitlines() == [f"ok {each}" for each in STEPS], told[-4000:]


def _numbers(server: Server) -> list[str]:
    """Master numbers of the patients there."""
    identifiers = [each for patient in _found(server, "Patient") for each in patient.get("identifier", ())]
    return [each["value"] for each in identifiers if each.get("system") == f"urn:oid:{AUTHORITY}"]


def _found(server: Server, search: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/fhir/{search}", timeout=30) as answer:
        return [each["resource"] for each in json.load(answer).get("entry", ())]
