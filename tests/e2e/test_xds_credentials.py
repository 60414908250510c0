"""With sign-in: the same transactions for a node by its certificate, a person an issuer speaks for, and a token."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pydicom
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from conformance.kit.client import multipart
from tests.data.assertions import WSSE, certificate_of, fresh_assertion, signer
from tests.e2e.running import Place, Server, eventually, start
from tests.e2e.smart_app.hospital import let_in_service
from tests.e2e.test_xds_clients import AUTHORITY, FILES, REPOSITORY, ROOT, STUDY, named_in
from tests.e2e.xds_clients import FIND_DOCUMENTS, WSDLS, Fault, Image, Named, Zeep, entries
from tests.e2e.xds_source import Report
from tests.server.commands.administering import told
from tests.server.smart.keeping import ec_key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and certificates of the server, a node and an issuer, each in one file."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "north", "idp"):
        pair = signer(name)
        key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        certificate = certificate_of(pair.key, name, address="127.0.0.1").public_bytes(Encoding.PEM).decode()
        (folder / f"{name}.pem").write_text(key + certificate)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Server]:
    place = Place("credentials", tmp_path_factory.mktemp("archive"), {"WEFT_COMMUNITY": ROOT})
    north, pair, idp = (str(certificates / f"{each}.pem") for each in ("north", "server", "idp"))
    told(place.data, "node", "add", "north", "--certificate", north)
    told(place.data, "issuer", "add", "https://idp.example", idp, "--role", "309343006=radiologist")
    let_in_service(place, "reader", ec_key(), "system/*.cruds", "--purpose", "TREAT")
    tls = {"tls_certificate": pair, "tls_key": pair, "tls_client_authorities": north}
    server = start(place, scheme="https", auth="smart", **tls)
    try:
        yield server
    finally:
        assert server.stop() in (0, -15)
    assert not server.faults(), server.tail()


@dataclass(frozen=True)
class Web:
    """FHIR and DICOMweb with a backend service's token."""

    http: httpx.Client
    token: str

    def store(self, *files: bytes) -> None:
        body, content_type = multipart([("application/dicom", each) for each in files], "application/dicom")
        got = self.http.post("/dicomweb/studies", content=body, headers={**self._named, "content-type": content_type})
        assert got.status_code == 200, got.text

    def number(self) -> str:
        """Master number of the one patient who has one, as a CX."""
        for each in self.http.get("/fhir/Patient", headers=self._named).json().get("entry", ()):
            for identifier in each["resource"]["identifier"]:
                if identifier["system"] == f"urn:oid:{AUTHORITY}":
                    return f"{identifier['value']}^^^&{AUTHORITY}&ISO"
        return ""

    @property
    def _named(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def web(server: Server, certificates: Path) -> Iterator[Web]:
    context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
    with httpx.Client(base_url=server.url, verify=context, timeout=30) as http:
        eventually(lambda: _is_ready(http))
        yield Web(http, _token(http, server.url + "/oauth/token"))


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _token(http: httpx.Client, url: str) -> str:
    claims = {"iss": "reader", "sub": "reader", "aud": url, "jti": str(uuid4()), "exp": int(time.time()) + 120}
    asked = {
        "grant_type": "client_credentials",
        "scope": "system/*.cruds",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": ec_key().signed(claims),
    }
    got = http.post(url, data=asked)
    assert got.status_code == 200, got.text
    return str(got.json()["access_token"])


@pytest.fixture(scope="module")
def client(server: Server, web: Web, certificates: Path, shared: Path) -> Iterator[Callable[[str], Zeep]]:
    """zeep as somebody."""
    with ExitStack() as sessions:

        def made(who: str) -> Zeep:
            session = sessions.enter_context(requests.Session())
            session.trust_env = False
            session.verify = str(certificates / "server.pem")
            zeep = Zeep(server.url, shared / WSDLS, session)
            match who:
                case "node":
                    session.cert = str(certificates / "north.pem")
                case "token":
                    session.headers["Authorization"] = f"Bearer {web.token}"
                case "person":
                    zeep.security = lambda: _security(server.url)
            return zeep

        yield made


def _security(url: str) -> etree._Element:
    header = etree.Element(f"{{{WSSE}}}Security")
    header.append(fresh_assertion(url, id=f"_{uuid4()}"))
    return header


@pytest.fixture(scope="module")
def report(client: Callable[[str], Zeep], web: Web) -> Report:
    """Provided by the node, of a patient whose images a service stored."""
    web.store(*FILES.values())
    report = Report(eventually(web.number), b"No finding.", 1)
    assert client("node").provide(report) == "Success"
    return report


@pytest.mark.parametrize("who", ["node", "person", "token"])
def test_whoever_is_known_finds_and_retrieves(client: Callable[[str], Zeep], report: Report, who: str) -> None:
    zeep = client(who)
    found = eventually(lambda: _with_manifest(zeep, report))
    contents = zeep.retrieve(*(Named(REPOSITORY, each) for each in found))
    assert contents[report.unique_id] == report.content
    (manifest,) = (each for name, each in contents.items() if found[name].get("mimeType") == "application/dicom")
    assert zeep.images(*named_in(pydicom.dcmread(io.BytesIO(manifest)))) == FILES


def _with_manifest(zeep: Zeep, report: Report) -> dict[str, etree._Element]:
    found = entries(zeep.find(FIND_DOCUMENTS, report.patient))
    return found if len(found) == 2 else {}


def test_nobody_else_is_answered(client: Callable[[str], Zeep], report: Report) -> None:
    nobody = client("nobody")
    for ask in (
        lambda: nobody.find(FIND_DOCUMENTS, report.patient),
        lambda: nobody.provide(report),
        lambda: nobody.retrieve(Named(REPOSITORY, report.unique_id)),
        lambda: nobody.images(Image(STUDY, f"{STUDY}.1", f"{STUDY}.1.1", f"{ROOT}.2")),
    ):
        with pytest.raises(Fault):
            ask()
