"""What a region would see of the demonstration: everything published before anybody asks, and a query to paste.

Its OIDs stand below 2.999, the arc for examples (X.660), so that they are the same each time and nobody's.
"""

from __future__ import annotations

from dataclasses import replace

from server.assembly import Services
from server.kernel.context import LOCAL_ACTOR, Context
from server.mpi.institutions import Institution
from server.settings import Settings

COMMUNITY = "2.999.1"
_HOSPITAL = Institution("demo", "合成医院 (synthetic hospital)")
_PATIENT = "Patient/ward-03"


def with_names(settings: Settings) -> Settings:
    """Names of the region, where the reader chose none."""
    return replace(
        settings,
        community=settings.community or COMMUNITY,
        institution=settings.institution or _HOSPITAL.code,
    )


async def publish(services: Services) -> str:
    """Manifests and reports of all that is here, without waiting for the workers; a patient's master number."""
    documents = services.documents
    if await documents.institutions.get(_HOSPITAL.code) is None:
        await documents.institutions.add(Context(LOCAL_ACTOR, "ward"), _HOSPITAL)
    await services.bridge.drain()
    await documents.master.settle()
    if services.settings.manifests == "on":
        await documents.manifests().drain()
    if services.settings.reports == "on":
        await documents.reports().drain()
    identity = await documents.master.enroll(Context(LOCAL_ACTOR, "ward"), _PATIENT)
    return identity.number.value


def query(patient_id: str) -> str:
    """FindDocuments (ITI-18) as a document to be sent; `patient_id` is a CX."""
    return f"""\
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">
  <s:Header>
    <a:Action s:mustUnderstand="1">urn:ihe:iti:2007:RegistryStoredQuery</a:Action>
    <a:MessageID>urn:uuid:2f0b2f9e-5f2a-4f0c-9f58-6f1a9c1d7e01</a:MessageID>
  </s:Header>
  <s:Body>
    <q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
                         xmlns:r="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">
      <q:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>
      <r:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">
        <r:Slot name="$XDSDocumentEntryPatientId"><r:ValueList>
          <r:Value>'{patient_id.replace("&", "&amp;")}'</r:Value>
        </r:ValueList></r:Slot>
        <r:Slot name="$XDSDocumentEntryStatus"><r:ValueList>
          <r:Value>('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')</r:Value>
        </r:ValueList></r:Slot>
      </r:AdhocQuery>
    </q:AdhocQueryRequest>
  </s:Body>
</s:Envelope>"""
