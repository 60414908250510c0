"""What is asked about documents: over SOAP as a registry, repository and gateway is asked, and by the operations."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from server.dicom.patient_number import local_system
from server.ihe.imaging_request import ImageRequest
from server.xds.datatypes import Cx
from server.xds.vocabulary import APPROVED, QUERY, RIM, STUDY_INSTANCE, XDSB
from tests.access.asking import Ask
from tests.access.hospital import Hospital
from tests.access.records import CITIZENS, UIDS
from tests.contract.manifest_world import request_body
from tests.data.soap_messages import envelope, mtom
from tests.data.structured_documents import cda

_FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
_FIND_SETS = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
_BY_REFERENCE = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
_GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
_EVERY_STATUS = f"('{APPROVED}','{APPROVED.replace('Approved', 'Deprecated')}')"
_RETRIEVE = "iti:2007:RetrieveDocumentSet"
_LITTLE = "1.2.840.10008.1.2.1"


def documents(hospital: Hospital) -> Iterator[Ask]:
    manifests = hospital.manifests()
    for told, slots in _queries(hospital, manifests):
        yield _soap("xds.registry", "iti:2007:RegistryStoredQuery", _query(slots), f"ITI-18 {told}")
    for study, unique_id in sorted(manifests.items()):
        yield _soap("xds.repository", _RETRIEVE, _retrieval(hospital, unique_id), f"ITI-43 manifest of {study}")
    for place in (("d-part", "e-open", "i-open"), ("d-part", "e-psy", "i-psy"), ("d-q", "e-q", "i-q")):
        body = _retrieval_of_image(hospital, place)
        yield _soap("xds.imaging", "rad:2009:RetrieveImagingDocumentSet", body, f"RAD-69 {place[2]}")
    yield from _across(hospital, manifests["d-part"])


def _across(hospital: Hospital, manifest: str) -> Iterator[Ask]:
    """As other communities ask us, and as ours asks the gateway."""
    home = hospital.services.documents.community.home
    _, asked = next(_queries(hospital, {}))
    for path, at in (("", f' home="{home}"'), ("gateway.", "")):
        action = "RegistryStoredQuery" if path else "CrossGatewayQuery"
        told = "gateway, " if path else ""
        yield _soap(f"xca.{path}query", f"iti:2007:{action}", _query(asked, at), f"{told}FindDocuments of p")
        action = _RETRIEVE if path else "iti:2007:CrossGatewayRetrieve"
        body = _retrieval(hospital, manifest, home)
        yield _soap(f"xca.{path}retrieve", action, body, f"{told}manifest of d-part")
        action = "rad:2009:RetrieveImagingDocumentSet" if path else "rad:2011:CrossGatewayRetrieveImagingDocumentSet"
        body = _retrieval_of_image(hospital, ("d-part", "e-psy", "i-psy"), home)
        yield _soap(f"xca.{path}imaging", action, body, f"{told}i-psy")


def _queries(hospital: Hospital, manifests: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    for each in ("p", "q"):
        found = {"": _FIND_DOCUMENTS, "$XDSDocumentEntryPatientId": f"'{hospital.patient_id(each)}'"}
        yield f"FindDocuments of {each}", found | {"$XDSDocumentEntryStatus": _EVERY_STATUS}
    sets = {"": _FIND_SETS, "$XDSSubmissionSetPatientId": f"'{hospital.patient_id('p')}'"}
    yield "FindSubmissionSets of p", sets | {"$XDSSubmissionSetStatus": f"('{APPROVED}')"}
    number = {"$XDSDocumentEntryReferenceIdList": f"('{UIDS['d-part']}^^^^{STUDY_INSTANCE}')"}
    by_reference = {"": _BY_REFERENCE, "$XDSDocumentEntryPatientId": f"'{hospital.patient_id('p')}'"}
    yield "FindDocumentsByReferenceId d-part", by_reference | {"$XDSDocumentEntryStatus": _EVERY_STATUS} | number
    for study in ("d-part", "d-q") if manifests else ():
        named = {"$XDSDocumentEntryUniqueId": f"('{manifests[study]}')"}
        yield f"GetDocuments manifest of {study}", {"": _GET_DOCUMENTS} | named


def _query(slots: dict[str, str], at: str = "") -> str:
    held = "".join(
        f'<r:Slot name="{name}"><r:ValueList><r:Value>{value.replace("&", "&amp;")}</r:Value></r:ValueList></r:Slot>'
        for name, value in slots.items()
        if name
    )
    return (
        f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnComposedObjects="true"'
        f' returnType="LeafClass"/><r:AdhocQuery id="{slots[""]}"{at}>{held}</r:AdhocQuery></q:AdhocQueryRequest>'
    )


def _retrieval(hospital: Hospital, unique_id: str, home: str = "") -> str:
    at = f"<x:HomeCommunityId>{home}</x:HomeCommunityId>" if home else ""
    repository = hospital.services.documents.community.repository
    return (
        f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}"><x:DocumentRequest>{at}<x:RepositoryUniqueId>{repository}'
        f"</x:RepositoryUniqueId><x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId></x:DocumentRequest>"
        "</x:RetrieveDocumentSetRequest>"
    )


def _retrieval_of_image(hospital: Hospital, place: tuple[str, str, str], home: str = "") -> str:
    study, series, instance = (UIDS[each] for each in place)
    source = hospital.services.documents.community.imaging_source
    return request_body([ImageRequest(study, series, instance, source, home)], [_LITTLE]).decode()


def _soap(row: str, action: str, body: str, told: str) -> Ask:
    content, media_type = mtom(envelope(f"urn:ihe:{action}", body.encode()))
    return Ask(row, "POST", "/" + row.replace(".", "/"), content, {"content-type": media_type}, told)


def operations() -> Iterator[Ask]:
    """Those of the master index and of the regional one. What names a citizen is only ever posted."""
    for of in ("p", "q"):
        number = f"{local_system('')}|number-{of}"
        yield Ask("operation.$ihe-pix.type", "GET", f"/fhir/Patient/$ihe-pix?sourceIdentifier={number}")
    for of, source in _NUMBERS.items():
        yield _posted("Patient", "$ihe-pix", {"name": "sourceIdentifier", "valueIdentifier": source}, of)
    yield Ask("operation.$match.type", "GET", "/fhir/Patient/$match")
    for of, source in _NUMBERS.items():
        wanted = {"resourceType": "Patient", "name": [{"family": f"SECRET-{of}-self"}], "identifier": [source]}
        yield _posted("Patient", "$match", {"name": "resource", "resource": wanted}, of)
    for study in ("d-part", "d-plain", "d-q"):
        path = f"/fhir/ImagingStudy/$imaging-index?number=number-of-{study}"
        yield Ask("operation.$imaging-index.type", "GET", path)
    for of, citizen in CITIZENS.items():
        yield _posted("ImagingStudy", "$imaging-index", {"name": "citizen", "valueString": citizen}, of)


def writes(hospital: Hospital) -> Iterator[Ask]:
    """A document of somebody's, registered with what it tells of itself."""
    for number, of in enumerate(("p", "q")):
        known = Cx.parse(hospital.patient_id(of))
        octets = b64encode(cda(known.id, root=known.authority, unique=f"1.2.3.97.{number}")).decode()
        resource = {"resourceType": "Binary", "contentType": "text/xml", "data": octets}
        yield _posted("DocumentReference", "$generate-metadata", {"name": "document", "resource": resource}, of)


_NUMBERS = {of: {"system": local_system(""), "value": f"number-{of}"} for of in ("p", "q")}


def _posted(type_: str, name: str, parameter: dict[str, Any], of: str) -> Ask:
    body = {"resourceType": "Parameters", "parameter": [parameter]}
    row = f"operation.{name}.type"
    return Ask(row, "POST", f"/fhir/{type_}/{name}", body, told=f"POST /{type_}/{name} {parameter['name']} of {of}")
