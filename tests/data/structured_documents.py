"""Structured documents: a CDA R2 document and a FHIR document, each with much to tell of itself."""

from __future__ import annotations

from typing import Any

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
Json = dict[str, Any]


def cda(number: str, *, root: str, unique: str = "1.2.3.98.1", level: str = "N", more: str = "") -> bytes:
    """Of the patient whose number `root` gave; `more` stands in its body."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
 <id root="{unique}" extension="7"/>
 <code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="Diagnostic imaging study"/>
 <title>胸部 CT</title>
 <effectiveTime value="20261122101530.250+0800"/>
 <confidentialityCode code="{level}" codeSystem="2.16.840.1.113883.5.25"/>
 <languageCode code="zh-CN"/>
 <recordTarget><patientRole>
  <id nullFlavor="UNK"/><id root="1.2.6.404" extension="nobody"/><id root="{root}" extension="{number}"/>
  <patient><name><family>王</family><given>小明</given></name>
   <administrativeGenderCode code="M"/><birthTime value="19700102"/></patient>
 </patientRole></recordTarget>
 <author>
  <functionCode code="RADIOLOGIST" displayName="Radiologist"/>
  <assignedAuthor><id root="1.2.6.8" extension="D7"/><code code="R" displayName="Radiology"/>
   <assignedPerson><name><prefix>Dr</prefix><given>Na</given><family>Li</family></name></assignedPerson>
   <representedOrganization><id root="1.2.6.9"/><name>Hospital A</name></representedOrganization>
  </assignedAuthor>
 </author>
 <custodian><assignedCustodian><representedCustodianOrganization><id root="1.2.6.9"/>
 </representedCustodianOrganization></assignedCustodian></custodian>
 <legalAuthenticator><assignedEntity><id root="1.2.6.8" extension="D8"/>
  <assignedPerson><name><family>Zhao</family></name></assignedPerson></assignedEntity></legalAuthenticator>
 <documentationOf><serviceEvent><code code="P5-08000" codeSystem="2.16.840.1.113883.6.96"/>
  <effectiveTime><low value="202611220900+0800"/><high value="20261122"/></effectiveTime>
 </serviceEvent></documentationOf>
 <componentOf><encompassingEncounter><id root="1.2.6.10" extension="E1"/>
  <location><healthCareFacility><code code="HOSP" codeSystem="2.16.840.1.113883.5.111"/></healthCareFacility></location>
 </encompassingEncounter></componentOf>
 <component><structuredBody>{more}</structuredBody></component>
</ClinicalDocument>""".encode()


def section(level: str) -> str:
    code = f'<confidentialityCode code="{level}" codeSystem="2.16.840.1.113883.5.25"/>'
    return f"<component><section>{code}<text>secret</text></section></component>"


def fhir_document(identifiers: list[Json], *, unique: str = "1.2.3.98.2", patient_url: str = "", **more: Any) -> Json:
    """Of a patient who has these; `more` is of the Composition."""
    base = "https://elsewhere.example/fhir"
    patient_url = patient_url or f"{base}/Patient/1"
    composition = {
        "resourceType": "Composition",
        "id": "1",
        "language": "zh-CN",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{unique}"},
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "60591-5", "display": "Patient summary"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "11503-0"}]}],
        "subject": {"reference": patient_url},
        "encounter": {"reference": "Encounter/1"},
        "date": "2026-11-22T10:15:30+08:00",
        "author": [{"reference": "PractitionerRole/1"}],
        "title": "病历摘要",
        "confidentiality": "N",
        "attester": [{"mode": "legal", "party": {"reference": "Practitioner/1"}}],
        "event": [
            {
                "code": [{"coding": [{"system": "http://snomed.info/sct", "code": "77477000"}]}],
                "period": {"start": "2026-11-20", "end": "2026-11-22"},
            }
        ],
    } | more
    resources: dict[str, Json] = {
        f"{base}/Composition/1": {each: value for each, value in composition.items() if value is not None},
        patient_url: {
            "resourceType": "Patient", "id": patient_url.rpartition("/")[2],
            **({"identifier": identifiers} if identifiers else {}),
            "name": [{"family": "王", "given": ["小明"]}], "gender": "male", "birthDate": "1970-01-02",
        },
        f"{base}/PractitionerRole/1": {
            "resourceType": "PractitionerRole", "id": "1", "practitioner": {"reference": "Practitioner/1"},
            "organization": {"reference": "Organization/1"}, "specialty": [{"text": "Radiology"}],
        },
        f"{base}/Practitioner/1": {
            "resourceType": "Practitioner", "id": "1", "name": [{"family": "Li", "given": ["Na"]}],
            "identifier": [{"system": "urn:oid:1.2.6.8", "value": "D7"}],
        },
        f"{base}/Organization/1": {"resourceType": "Organization", "id": "1", "name": "Hospital A"},
        f"{base}/Encounter/1": {
            "resourceType": "Encounter", "id": "1", "status": "finished", "class": {"code": "AMB"},
            "identifier": [{"system": "urn:oid:1.2.6.10", "value": "E1"}],
        },
    }  # fmt: skip
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        "type": "document",
        "timestamp": "2026-11-22T10:15:30+08:00",
        "entry": [{"fullUrl": url, "resource": each} for url, each in resources.items()],
    }
