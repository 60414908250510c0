"""Documents and images behind the SOAP door: asked by people for whom an issuer speaks, under consents in force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from lxml import etree

from server.access.consent.policies import Policy, Site
from server.access.consent.source import Consents
from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.audit.doorstep import Doorstep
from server.bridge.imaging_study import resource_id
from server.fhir.affiliations import RecordedAffiliations
from server.fhir.json_form import decode
from server.fhir.search.request import SearchRequest
from server.fhir.stored import from_record
from server.http.application import SurfaceApplication
from server.http.client_certificate import ClientCertificates
from server.http.cors import Cors
from server.http.surface import Call, Endpoint
from server.ihe.directory import RecordedDirectory
from server.ihe.door import SoapDoor
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_request import ImageRequest
from server.ihe.imaging_staging import Staging
from server.ihe.registry import RegistryRows
from server.ihe.repository import RepositoryRows
from server.ihe.spoken import Spoken
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.soap.surface import SoapSurface
from server.trust.assertions import Assertions
from server.trust.conditions import Own
from server.trust.model import Issuer
from server.trust.nodes import Nodes
from server.trust.store import TrustStore
from server.xds.document_removal import DocumentRemoval
from server.xds.metadata import Code
from server.xds.removing import Removals
from server.xds.updating import Updates
from server.xds.vocabulary import APPROVED, QUERY, RIM, XDSB
from storage.ports import Records
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import COMMUNITY, EXPLICIT_LITTLE, RAD_69, RAD_75, ManifestWorld, request_body
from tests.data.assertions import (
    AUDIENCE,
    ISSUER,
    NOW,
    ORGANIZATION,
    PURPOSE,
    ROLE,
    SOAP,
    WSA,
    WSSE,
    Unsigned,
    coded,
    signer,
)
from tests.data.exchange import exchange
from tests.data.soap_messages import Answered, answered
from tests.data.xds_objects import document, submission
from tests.server.audit.recording import Remembered

GLN = "urn:gs1:gln"
CODES = "2.16.156.10011.1.5"
"""Root of institution codes."""
ROLES = {"radiologist": "309343006", "patient": "PAT"}
ACTIONS = {
    "ITI-18": ("/xds/registry", "urn:ihe:iti:2007:RegistryStoredQuery"),
    "ITI-43": ("/xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet"),
    "ITI-38": ("/xds/gateway", "urn:ihe:iti:2007:CrossGatewayQuery"),
    "ITI-39": ("/xds/gateway", "urn:ihe:iti:2007:CrossGatewayRetrieve"),
    "RAD-69": ("/xds/imaging", RAD_69),
    "RAD-75": ("/xds/gateway", RAD_75),
}
FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"


class NoTokens:
    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        raise Problem(Kind.UNAUTHENTICATED, "no tokens here")


class AssertedWorld(ManifestWorld):
    def __init__(self, records: Records, folder: Path, offload: Offload, policy: Policy = Policy.ALL_NORMAL) -> None:
        super().__init__(records, folder, offload)
        self.clock.moment = NOW
        self.access.consents = Consents(
            records, self.clock, Site(policy=policy), RecordedAffiliations(records, self.clock)
        )
        self.log = Remembered()
        self.numbers = count(1)
        self.actors: list[Context] = []
        self.trust = TrustStore(records)
        assertions = Assertions(self.trust, self.clock, offload, Own(AUDIENCE, COMMUNITY.home))
        directory = RecordedDirectory(records, self.index)
        self.gate = SoapDoor(
            NoTokens(),
            Doorstep(self.log, self.clock),
            Nodes(self.trust, self.clock),
            ClientCertificates(),
            Spoken(assertions, directory, self.access.consents, self.log, self.clock, offload),
            self.clock,
            offload,
        )
        self.xds = self._surface()

    def _surface(self) -> SurfaceApplication:
        documents, offload = self.documents, self.offload
        rows = RegistryRows(self.registry, self.queries, Updates(self.registry), Removals(self.registry), offload)
        removal = DocumentRemoval(self.records, documents.contents, documents.visibility, self.access, COMMUNITY)
        repository = RepositoryRows(documents, removal, offload)
        staging = Staging(self.blobs, Recoder(FrameCoder(self.retriever)))
        images = ImagingSource(self.retriever, staging, COMMUNITY.imaging_source, COMMUNITY.home)
        paths = {
            "/registry": rows.transactions(),
            "/repository": repository.transactions(),
            "/imaging": images.transactions(),
            "/gateway": (*rows.gateway(), *repository.gateway(), *images.gateway()),
        }
        surface = SoapSurface("xds", paths, self.blobs, offload, self.gate)
        return SurfaceApplication(
            prefix="/xds", endpoints=surface.endpoints(), problem=surface.problem, door=self.gate, cors=Cors.parse(""),
            offload=offload, base_url=AUDIENCE,
        )  # fmt: skip

    async def prepare(self) -> None:
        await super().prepare()
        roles = {code: (role,) for role, code in ROLES.items()}
        issuer = Issuer(ISSUER, (signer().pem,), roles=roles)
        await self.records.commit([self.trust.put(issuer)])

    async def person(self, name: str) -> str:
        """A Patient with a master number: its CX."""
        await self.put({"resourceType": "Patient", "id": name, "identifier": [{"system": "urn:mrn", "value": name}]})
        return await self.number(f"Patient/{name}")

    async def number(self, patient: str) -> str:
        identity = await self.index.enroll(SERVER_CONTEXT, patient)
        return f"{identity.number.value}^^^&{COMMUNITY.patient_authority}&ISO"

    async def subject_of(self, study: str) -> str:
        """`Patient/3`: whose a study is."""
        [record] = await self.records.get("fhir-ImagingStudy", [resource_id(study)])
        subject: str = decode(from_record("ImagingStudy", record).body)["subject"]["reference"]
        return subject

    async def document(self, patient: str, label: str = "N", context: Context = SERVER_CONTEXT, **more: Any) -> str:
        """Provided with content: its uniqueId."""
        number = next(self.numbers)
        entry = document(
            **{
                "id": "d", "unique_id": f"1.2.3.77.{id(self)}.{number}", "patient_id": patient,
                "hash": "", "size": None, "repository_unique_id": "",
                "confidentiality_codes": (Code(label, "2.16.840.1.113883.5.25", label),),
            } | more
        )  # fmt: skip
        made = submission(entry, unique_id=f"1.2.3.78.{id(self)}.{number}", patient_id=patient)
        await self.documents.provide_bytes(context, made, {"d": f"content {number}".encode()})
        return entry.unique_id

    async def say(self, name: str, asker: str, body: bytes) -> Answered:
        """One transaction with an assertion of its own in its header."""
        path, action = ACTIONS[name]
        message = (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header><a:Action>{action}</a:Action><a:MessageID>'
            f'urn:uuid:{next(self.numbers)}</a:MessageID><w:Security xmlns:w="{WSSE}">{asker}</w:Security></s:Header>'
            "<s:Body>"
        ).encode()
        return await self._posted(path, message + body + b"</s:Body></s:Envelope>")

    async def _posted(self, path: str, content: bytes) -> Answered:
        head = b'--B\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <r@x>\r\n\r\n'
        kind = 'multipart/related; boundary=B; type="application/xop+xml"; start="<r@x>"'
        more: dict[str, Any] = {"server": None, "client": ("10.0.0.7", 5), "extensions": {}}
        whole = head + content + b"\r\n--B--\r\n"
        status, headers, body = await exchange(self.xds, "POST", path, {"content-type": kind}, whole, **more)
        return answered(status, headers["content-type"], body)

    async def finds(self, asker: str, patient: str, kind: str = "LeafClass", *, across: bool = False) -> Answered:
        return await self.say("ITI-38" if across else "ITI-18", asker, find_documents(patient, kind))

    async def gets(self, asker: str, *unique_ids: str, across: bool = False) -> Answered:
        body = "".join(
            f"<x:DocumentRequest><x:HomeCommunityId>{COMMUNITY.home}</x:HomeCommunityId>"
            f"<x:RepositoryUniqueId>{COMMUNITY.repository}</x:RepositoryUniqueId>"
            f"<x:DocumentUniqueId>{each}</x:DocumentUniqueId></x:DocumentRequest>"
            for each in unique_ids
        )
        whole = f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}">{body}</x:RetrieveDocumentSetRequest>'
        return await self.say("ITI-39" if across else "ITI-43", asker, whole.encode())

    async def images(self, asker: str, asked: Sequence[ImageRequest], *, across: bool = False) -> Answered:
        return await self.say("RAD-75" if across else "RAD-69", asker, request_body(asked, (EXPLICIT_LITTLE,)))

    async def searches(self, actor: Actor, patient: str, purpose: str = "TREAT") -> set[str]:
        """ITI-67 as this actor: the uniqueIds of what is found."""
        request = SearchRequest("DocumentReference", (("patient", patient),), strict=True)
        found = await self.searcher.search(Context(actor, "search", purpose), request)
        resources = [decode(each.body) for each in found.matches]
        return {each["masterIdentifier"]["value"].removeprefix("urn:oid:") for each in resources}

    @staticmethod
    def holder(role: str, reference: str = "", organizations: Sequence[str] = ()) -> Actor:
        """Of a token, and to consents the same as the subject of an assertion."""
        return Actor(
            f"token|{role}|{reference}", "x", (Grant(INTERACTIONS),), frozenset((role,)), user="u",
            fhir_user=reference, organizations=frozenset(organizations),
        )  # fmt: skip


def asker(
    number: int, role: str = "radiologist", purpose: str = "TREAT", organization: str = "", person: str = "dr-a"
) -> str:
    """A signed assertion; `organization` is the code of an institution."""
    attributes = [(ROLE, coded(ROLES[role])), (PURPOSE, coded(purpose, "2.16.840.1.113883.5.8", "PurposeOfUse"))]
    if organization:
        attributes.append((ORGANIZATION, f'<id xmlns="urn:hl7-org:v3" root="{CODES}" extension="{organization}"/>'))
    unsigned = Unsigned(id=f"_{number}", subject=person, namequalifier=GLN, attributes=tuple(attributes))
    return etree.tostring(signer().sign(unsigned.text)).decode()


def find_documents(patient: str, kind: str = "LeafClass") -> bytes:
    number = patient.replace("&", "&amp;")
    slots = "".join(
        f'<r:Slot name="{name}"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>'
        for name, value in (
            ("$XDSDocumentEntryPatientId", f"'{number}'"),
            ("$XDSDocumentEntryStatus", f"('{APPROVED}')"),
        )
    )
    return (
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnComposedObjects="true" '
        f'returnType="{kind}"/><r:AdhocQuery id="{FIND}">{slots}</r:AdhocQuery></q:AdhocQueryRequest>'
    ).encode()


def unique_ids(answer: Answered) -> set[str]:
    """Of the documents in a LeafClass answer."""
    named = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    found = answer.body.iter(f"{{{RIM}}}ExternalIdentifier")
    return {str(each.get("value")) for each in found if each.get("identificationScheme") == named}
