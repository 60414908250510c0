"""Two nodes as a federation: one asked, both answer; and whatever a third does, the others' answers come in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from lxml import etree

from server.assembly import open_services
from server.ihe.imaging_request import ImageRequest
from server.kernel.context import LOCAL_ACTOR, Context
from server.settings import Settings
from server.xds.ebxml_reading import read_submission
from tests.contract.asserted_world import CODES, find_documents, unique_ids
from tests.contract.manifest_world import ITI_18, ITI_43, RAD_69, RAD_75, request_body
from tests.data.assertions import NOW, ORGANIZATION, ROLE, WSSE, Unsigned, coded, moment, signer
from tests.data.consents import TPO, consent, deny
from tests.data.small_files import instance_file
from tests.data.soap_messages import Answered, answered, envelope, mtom
from tests.e2e.clients import store
from tests.e2e.fhir import Fhir, put
from tests.e2e.hostile import HOSTILE, hostile, redirecting
from tests.e2e.running import Place, Server, resident_bytes, start
from tests.e2e.xds_clients import Mtom
from tests.e2e.xds_source import RIM, XDSB, Report
from tests.ports import free_port
from tests.server.commands.administering import told

AUTHORITY, EAST, WEST, SOUTH = "1.2.826.8.4", "1.2.826.8.1", "1.2.826.8.2", "1.2.826.8.3"
CX = f"P-8^^^&{AUTHORITY}&ISO"
SECONDS = 3
REPORTS = {
    root: Report(CX, f"report of {root}".encode() * 1000, number) for number, root in enumerate((EAST, WEST, SOUTH))
}
IMAGE = instance_file("1.2.826.8.5", "1.2.826.8.5.1", "1.2.826.8.5.1.1", pixels=b"\1\2" * 16)


@dataclass(frozen=True)
class Federation:
    east: Server
    west: Server
    south: Server
    """Which lets in whom its issuer speaks for, and which the east does not know."""

    def ask(self, path: str, action: str, body: bytes, *, of: Server | None = None, security: bytes = b"") -> Answered:
        message = envelope(action, body).replace(b"</s:Header>", security + b"</s:Header>")
        content, media_type = mtom(message)
        url = (of or self.east).url + path
        got = httpx.post(url, content=content, headers={"Content-Type": media_type}, timeout=60)
        return answered(got.status_code, got.headers["content-type"], got.content)

    def find(self, security: bytes = b"") -> Answered:
        return self.ask("/xca/gateway/query", ITI_18, find_documents(CX), security=security)

    def asserted(self, organization: str) -> bytes:
        """A header block of a radiologist there, good for the south, now."""
        late = (datetime.now(UTC) - NOW).total_seconds()
        audience = (
            f"<saml:AudienceRestriction><saml:Audience>{self.south.url}</saml:Audience></saml:AudienceRestriction>"
        )
        coded_name = f'<id xmlns="urn:hl7-org:v3" root="{CODES}" extension="{organization}"/>'
        unsigned = Unsigned(
            id=f"_{organization}",
            conditions=audience,
            span=(late - 30, late + 300),
            authentication=Unsigned().authentication.replace(moment(-90), moment(late - 40)),
            attributes=((ROLE, coded("309343006")), (ORGANIZATION, coded_name)),
        )
        signed = etree.tostring(signer().sign(unsigned.text))
        return f'<w:Security xmlns:w="{WSSE}">'.encode() + signed + b"</w:Security>"

    def retrieve(self, *roots: str) -> Answered:
        asked = "".join(
            f"<DocumentRequest><HomeCommunityId>urn:oid:{each}</HomeCommunityId><RepositoryUniqueId>{each}.1"
            f"</RepositoryUniqueId><DocumentUniqueId>{REPORTS[each].unique_id}</DocumentUniqueId></DocumentRequest>"
            for each in roots
        )
        body = f'<RetrieveDocumentSetRequest xmlns="{XDSB}">{asked}</RetrieveDocumentSetRequest>'
        return self.ask("/xca/gateway/retrieve", ITI_43, body.encode())

    @contextmanager
    def knowing(self, communities: dict[str, str]) -> Iterator[None]:
        """The east asks these too: base URLs by OID."""
        data = self.east.place.data
        for oid, url in communities.items():
            told(data, "community", "add", oid, f"Community {oid}", "--weft", url)
        try:
            yield
        finally:
            for oid in communities:
                told(data, "community", "remove", oid)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    places = {root: Place("federation", tmp_path_factory.mktemp("archive")) for root in (EAST, WEST, SOUTH)}
    (places[SOUTH].data / "idp.pem").write_text(signer().pem)

    def open_node(root: str) -> Server:
        settings = {"community": root, "patient_authority": AUTHORITY, "community_seconds": str(SECONDS)}
        if root == SOUTH:
            asyncio.run(_filled(places[SOUTH].data))
            settings["auth"] = "smart"
        return start(places[root], **settings)

    with ExitStack() as stop, ThreadPoolExecutor() as threads:
        east, west, south = threads.map(open_node, places)
        stop.callback(south.stop)
        stop.callback(east.stop)
        stop.callback(west.stop)
        issuer = ("https://idp.example", str(south.place.data / "idp.pem"), "--role", "309343006=radiologist")
        told(south.place.data, "issuer", "add", *issuer)
        for root, server in ((EAST, east), (WEST, west)):
            _fill(server, REPORTS[root])
        told(places[EAST].data, "community", "add", WEST, "West", "--weft", west.url)
        store(west, IMAGE)
        yield Federation(east, west, south)
        assert not south.faults(), south.tail()
        assert not east.faults(), east.tail()
        assert not west.faults(), west.tail()


def _fill(server: Server, report: Report) -> None:
    fhir = Fhir(server)
    identifier = {"system": f"urn:oid:{AUTHORITY}", "value": "P-8"}
    put(fhir, {"resourceType": "Patient", "id": "p8", "identifier": [identifier]})
    fhir.close()
    with httpx.Client(timeout=30) as http:
        assert Mtom(server.url, http).provide(report) == "Success"


def test_a_query_to_one_finds_what_both_have_and_it_is_fetched_from_there(federation: Federation) -> None:
    found = federation.find()
    assert (found.http, found.status) == (200, "Success")
    assert unique_ids(found) == {REPORTS[each].unique_id for each in (EAST, WEST)}
    homes = [each.get("home") for each in found.body.iter("{*}ExtrinsicObject")]
    assert homes == [f"urn:oid:{EAST}", f"urn:oid:{WEST}"]
    fetched = federation.retrieve(WEST, EAST)
    assert fetched.status == "Success"
    assert list(fetched.documents.items()) == [
        (REPORTS[each].unique_id, REPORTS[each].content) for each in (WEST, EAST)
    ]


def test_what_is_asked_of_a_node_alone_is_answered_by_it_alone(federation: Federation) -> None:
    local = federation.ask("/xds/registry", ITI_18, find_documents(CX))
    across = federation.ask("/xca/query", "urn:ihe:iti:2007:CrossGatewayQuery", find_documents(CX))
    assert unique_ids(local) == unique_ids(across) == {REPORTS[EAST].unique_id}


def test_images_stay_where_they_were_made_and_come_as_they_are(federation: Federation) -> None:
    asked = ImageRequest("1.2.826.8.5", "1.2.826.8.5.1", "1.2.826.8.5.1.1", f"{WEST}.2", f"urn:oid:{WEST}")
    body = request_body([asked], ["1.2.840.10008.1.2.1"])
    through = federation.ask("/xca/gateway/imaging", RAD_69, body)
    there = federation.ask("/xca/imaging", RAD_75, body, of=federation.west)
    assert through.status == there.status == "Success"
    assert through.documents == there.documents == {"1.2.826.8.5.1.1": IMAGE}


def test_neighbours_that_mean_no_good_cost_no_more_than_the_deadline(federation: Federation) -> None:
    resident = resident_bytes(federation.east.pid)
    behaviours = {**HOSTILE, "redirecting": redirecting(federation.west.url + "/xca/query")}
    with hostile(behaviours) as urls:
        oids = {f"1.2.826.8.9.{number}": url for number, url in enumerate((*urls.values(), _nobody()))}
        with federation.knowing(oids):
            began = time.monotonic()
            found = federation.find()
            took = time.monotonic() - began
    assert took < SECONDS + 5
    assert found.status == "PartialSuccess"
    assert unique_ids(found) == {REPORTS[each].unique_id for each in (EAST, WEST)}
    assert found.errors == ["XDSUnavailableCommunity"] * len(oids)
    located = [each.get("location") for each in found.body.iter("{*}RegistryError")]
    assert located == [f"urn:oid:{each}" for each in oids]
    assert resident_bytes(federation.east.pid) - resident < 400 << 20


def test_the_side_that_answers_decides_by_its_consents_until_it_is_stopped(federation: Federation) -> None:
    own = {REPORTS[each].unique_id for each in (EAST, WEST)}
    with federation.knowing({SOUTH: federation.south.url}):
        permitted, denied = (federation.find(federation.asserted(each)) for each in ("Y-1", "X-1"))
        assert (permitted.status, unique_ids(permitted)) == ("Success", own | {REPORTS[SOUTH].unique_id})
        assert (denied.status, unique_ids(denied)) == ("Success", own)
        unsaid = federation.find()
        federation.south.stop()
        stopped = federation.find(federation.asserted("Z-1"))
    for each in (unsaid, stopped):
        assert (each.status, each.errors) == ("PartialSuccess", ["XDSUnavailableCommunity"])
        assert unique_ids(each) == own


async def _filled(data: Path) -> None:
    """Somebody with a report, of which one organization is to know nothing."""
    services = await open_services(Settings(data=data, community=SOUTH, patient_authority=AUTHORITY))
    here, report = Context(LOCAL_ACTOR, "test"), REPORTS[SOUTH]
    identifiers = {"Patient": (f"urn:oid:{AUTHORITY}", "P-8"), "Organization": (f"urn:oid:{CODES}", "X-1")}
    try:
        for kind, (system, value) in identifiers.items():
            resource = {"resourceType": kind, "id": "one", "identifier": [{"system": system, "value": value}]}
            named = {"name": "X"} if kind == "Organization" else {}
            await services.fhir.repository.update(here, kind, "one", resource | named)
        objects = f'<r:RegistryObjectList xmlns:r="{RIM}">{report.objects}</r:RegistryObjectList>'
        provided = read_submission(etree.fromstring(objects))
        await services.documents.repository.provide_bytes(here, provided, {"D1": report.content})
        refusal = consent(deny(TPO, actors=["Organization/one"]), "Patient/one", id="one")
        await services.fhir.repository.update(here, "Consent", "one", refusal)
    finally:
        await services.close()


def _nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"
