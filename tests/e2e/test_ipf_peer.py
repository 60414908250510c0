"""IPF, another maker's platform in Java, against the running server: source, consumer, administrator and gateway.

What it sends and receives goes through its own validators of each transaction; its documents travel as MTOM. Over FHIR
(MHD), the implementation guide's profiles are held against every answer.
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
MOBILE_STEPS = [
    "ITI-65 publishes a document",
    "ITI-18 and ITI-43 give what was published",
    "ITI-67 finds it, of the profile",
    "ITI-68 reads it",
    "ITI-66 finds its submission set, of the profile",
    "ITI-67 finds what ITI-41 provided, of the profile",
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


def test_it_can_do_all_it_offers_over_soap(peer: Path, server: Server) -> None:
    image, _, number = _examined(server, "CT_small.dcm")
    uids = (image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID, ExplicitVRLittleEndian)
    assert _told(peer, "Peer", f"127.0.0.1:{server.port}", COMMUNITY, number, *uids) == STEPS


def test_it_can_do_all_it_offers_over_fhir(peer: Path, server: Server) -> None:
    _, patient, number = _examined(server, "MR_small.dcm")
    assert _told(peer, "Mobile", f"127.0.0.1:{server.port}", patient, number) == MOBILE_STEPS


def _told(peer: Path, program: str, *arguments: str) -> list[str]:
    """The steps that ended as they should."""
    path = f"target/classes:{(peer / 'target/classpath').read_text().strip()}"
    told = run("java", "-cp", path, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", program, *arguments, folder=peer)
    assert "not ok" not in told, told[-8000:]
    return [line.removeprefix("ok ") for line in told.splitlines()]


def _examined(server: Server, name: str) -> tuple[pydicom.Dataset, str, str]:
    """A sample image once its manifest is published: the image, its patient's id here, and the patient as XDS says."""
    file = Path(str(get_testdata_file(name)))
    image = pydicom.dcmread(file, stop_before_pixels=True)
    assert stored(store(server, file.read_bytes())) == {image.SOPInstanceUID}
    patient, number = eventually(lambda: _numbered(server, image.PatientID))[0]
    eventually(lambda: _found(server, f"DocumentReference?patient={patient}&format=1.2.840.10008.5.1.4.1.1.88.59"))
    return image, patient, f"{number}^^^&{AUTHORITY}&ISO"


def _numbered(server: Server, local: str) -> list[tuple[str, str]]:
    """Id and master number of the patient whom the images call so, once there is a number."""
    return [
        (patient["id"], each["value"])
        for patient in _found(server, f"Patient?identifier={local}")
        for each in patient["identifier"]
        if each.get("system") == f"urn:oid:{AUTHORITY}"
    ]


def _found(server: Server, search: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/fhir/{search}", timeout=30) as answer:
        return [each["resource"] for each in json.load(answer).get("entry", ())]
