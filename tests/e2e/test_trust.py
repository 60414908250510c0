"""A real server asked by a node over mutual TLS and by people an issuer speaks for; each once, strangers never."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from server.audit.event import Event
from server.groundwork import Groundwork
from tests.contract.asserted_world import find_documents
from tests.data.assertions import SOAP, WSA, WSSE, Signer, fresh_assertion, signer
from tests.e2e.running import Place, Server, start
from tests.server.commands.administering import asking, told


def _file(folder: Path, name: str) -> Path:
    other: Signer = signer(name)
    key = other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (folder / f"{name}.pem").write_text(key + other.pem)
    return folder / f"{name}.pem"


def _client(certificate: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def _asked(server: Server, context: ssl.SSLContext, security: str = "", message: str = "urn:uuid:1") -> tuple[int, str]:
    """Status, and that of the registry or the subcode of the fault."""
    body = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action>urn:ihe:iti:2007:RegistryStoredQuery'
        f'</a:Action><a:MessageID>{message}</a:MessageID><w:Security xmlns:w="{WSSE}">{security}</w:Security>'
        "</s:Header><s:Body>"
    ).encode()
    body += find_documents("7^^^&1.2.3.4&ISO") + b"</s:Body></s:Envelope>"
    request = urllib.request.Request(server.url + "/xds/registry", body, {"Content-Type": "application/soap+xml"})
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            found = next(etree.fromstring(answer.read()).iter("{*}AdhocQueryResponse"))
            return answer.status, str(found.get("status")).rpartition(":")[2]
    except urllib.error.HTTPError as refused:
        with refused:
            values = [each.text for each in etree.fromstring(refused.read()).iter(f"{{{SOAP}}}Value")]
            return refused.code, str(values[-1])


def _assertion(server: Server) -> str:
    """For this server, now."""
    return etree.tostring(fresh_assertion(server.url)).decode()


def test_nodes_and_people_are_let_in_and_strangers_are_not(tmp_path: Path) -> None:
    data = tmp_path / "archive"
    files = {name: _file(tmp_path, name) for name in ("idp", "server", "north", "unknown")}
    (tmp_path / "authorities.pem").write_text(signer("north").pem + signer("unknown").pem)
    told(data, "node", "add", "north", "--certificate", str(files["north"]))
    told(data, "issuer", "add", "https://idp.example", str(files["idp"]), "--role", "309343006=radiologist")
    place = Place("trust", data, {"WEFT_TLS_CLIENT_AUTHORITIES": str(tmp_path / "authorities.pem")})
    pair = {"tls_certificate": str(files["server"]), "tls_key": str(files["server"])}
    server = start(place, scheme="https", auth="smart", **pair)
    try:
        nobody = _client(None)
        assert _asked(server, nobody) == (400, "wsse:FailedAuthentication")
        assert _asked(server, _client(files["unknown"])) == (400, "wsse:FailedAuthentication")
        assert _asked(server, _client(files["north"])) == (200, "Success")
        good = _assertion(server)
        assert _asked(server, nobody, good, "urn:uuid:2") == (200, "Success")
        assert _asked(server, nobody, good, "urn:uuid:2") == (400, "wsse:FailedAuthentication")
        assert _asked(server, nobody, good.replace("dr-a", "dr-b"), "urn:uuid:3") == (400, "wsse:FailedAuthentication")
        elsewhere = _assertion(server).replace(server.url, "https://other.example")
        assert _asked(server, nobody, elsewhere, "urn:uuid:4") == (400, "wsse:FailedAuthentication")
    finally:
        assert server.stop() in (0, -15)
    assert not server.faults(), server.tail()
    seen = [(each.subtype, each.outcome) for each in asking(data, _events)]
    assert seen.count(("ITI-18", 0)) == 2
    assert ("110126", 4) in seen


async def _events(ground: Groundwork) -> list[Event]:
    assert ground.audit is not None
    return [each.event for each in (await ground.audit.recorder.events("", 100)).events]
