"""Generate Metadata (MHD ITI-106): a CDA or FHIR document alone, registered with what it tells of itself.

`$generate-metadata` on DocumentReference. It comes to one ITI-41 as every other way to provide a document does: whose
it is, who may register it and what is told of it are decided there, and no document is kept that is refused.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from uuid import uuid4

from server.fhir import json_form, xml_form
from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import missing, parameter, parameters
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.xds import cda_headers, fhir_documents
from server.xds.datatypes import Dtm, uuid_oid
from server.xds.document_reference import local_id
from server.xds.errors import ErrorCode, refused
from server.xds.fhir_codes import label_of
from server.xds.fhir_refusals import in_fhir
from server.xds.merged_patients import surviving
from server.xds.metadata import Association, Code, Submission, SubmissionSet
from server.xds.provide_bundle import ProvideBundles
from server.xds.provide_defaults import completed_document, completed_set
from server.xds.self_told import SelfTold, labels
from server.xds.vocabulary import HAS_MEMBER

ACT = "ITI-106"
DEFINITION = "https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata"
_JSON, _XML = "application/fhir+json", "application/fhir+xml"
_CDA = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml", "application/cda+xml"})
_PLACE = "Parameters.parameter[0].resource"


@dataclass(frozen=True, slots=True)
class _Sent:
    octets: bytes
    mime_type: str
    bundle: Resource | None = None
    labels: tuple[Code, ...] = ()
    """Of what it came in."""


@dataclass(frozen=True, slots=True)
class GenerateMetadata:
    by: ProvideBundles
    """The other way over FHIR, whose services serve here too."""

    def rows(self) -> tuple[Operation, ...]:
        levels, types = frozenset({Level.TYPE}), frozenset({"DocumentReference"})
        return (Operation("$generate-metadata", levels, types, True, DEFINITION, self.answer, "create"),)

    async def answer(self, context: Context, invocation: Invocation) -> Resource:
        """A reference to the DocumentReference, registered by then."""
        given = invocation.parameters
        given.allow(("document",))
        resource = given.resource("document", "Binary", "Bundle") or _posted(invocation)
        id_ = f"urn:uuid:{uuid4()}"
        try:
            await self._check(resource)
            sent = await self._offload.cpu(_sent, resource, invocation.media_type)
            if sent.bundle is not None and sent.bundle is not resource:
                await self._check(sent.bundle)
            await self._provide(context, sent, await self._offload.cpu(_told, sent), id_)
        except Problem as refusal:
            raise in_fhir(refusal, {id_: _PLACE}) from None
        return parameters(
            parameter("DocumentReference", valueReference={"reference": f"DocumentReference/{local_id(id_)}"})
        )

    @property
    def _offload(self) -> Offload:
        return self.by.repository.contents.offload

    async def _check(self, resource: Resource) -> None:
        [problem] = await self.by.validation.check_all([resource])
        if problem is not None:
            raise problem

    async def _provide(self, context: Context, sent: _Sent, told: SelfTold, id_: str) -> None:
        address = self.by.bases.local(told.patient)
        patient = address if address.startswith("Patient/") else ""
        patient_id = surviving(await self.by.subjects.of_document(context, told.numbers, patient))
        now, package = str(Dtm.of(self.by.clock.now())), f"urn:uuid:{uuid4()}"
        entry = completed_document(
            replace(told.entry, id=id_, patient_id=patient_id),
            now,
            uuid_oid(id_),
            is_comprehensive=False,
            unlabelled=self.by.unlabelled,
        )
        about = SubmissionSet(
            id=package,
            unique_id="",
            patient_id=patient_id,
            source_id=self.by.repository.community.source,
            submission_time=now,
            content_type_code=entry.type_code,
            authors=entry.authors,
        )
        whole = completed_set(about, now, uuid_oid(package), is_comprehensive=False)
        member = Association(id=f"urn:uuid:{uuid4()}", type=HAS_MEMBER, source=package, target=id_, is_original=True)
        submission = Submission((whole,), (entry,), (), (member,))
        await self.by.repository.provide_bytes(context, submission, {id_: sent.octets}, act=ACT)


def _posted(invocation: Invocation) -> Resource:
    """An operation with one resource to be given takes it as it is, too (R4 operations.html)."""
    body = invocation.body
    if body is not None and body.get("resourceType") in ("Binary", "Bundle"):
        return body
    raise missing("document")


def _sent(resource: Resource, media_type: str) -> _Sent:
    """The document as it is to be kept: a Bundle in the format it came in, the content of a Binary as it is."""
    if resource["resourceType"] == "Bundle":
        encode = xml_form.encode if media_type == _XML else json_form.encode
        return _Sent(encode(resource), media_type or _JSON, resource)
    content_type = str(resource.get("contentType", ""))
    name = content_type.partition(";")[0].strip().lower()
    try:
        octets = base64.b64decode(str(resource.get("data", "")))
    except (binascii.Error, ValueError):
        raise refused(ErrorCode.INVALID_CONTENT, "The data of the Binary are not base64.") from None
    told = tuple(filter(None, map(label_of, resource.get("meta", {}).get("security", ()))))
    if name in (_JSON, _XML):
        return _Sent(octets, name, (xml_form.decode if name == _XML else json_form.decode)(octets), told)
    if name in _CDA:
        return _Sent(octets, content_type, labels=told)
    raise Problem(Kind.UNSUPPORTED, "A document is CDA (text/xml) or FHIR (application/fhir+json, +xml) here.")


def _told(sent: _Sent) -> SelfTold:
    if sent.bundle is not None:
        made = fhir_documents.read(sent.bundle, sent.mime_type)
    else:
        made = cda_headers.read(sent.octets, sent.mime_type)
    secret = labels((*made.entry.confidentiality_codes, *sent.labels))
    return replace(made, entry=replace(made.entry, confidentiality_codes=secret))
