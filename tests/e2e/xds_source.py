"""A document source of our own: a report with its metadata in ebRIM, written from the standard's tables alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

RIM, LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0", "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
XDSB = "urn:ihe:iti:xds-b:2007"
_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject"
_STABLE, _SET = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
_DOCUMENT_IDS = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
_SET_IDS = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
_LOINC, _OWN = "2.16.840.1.113883.6.1", "1.2.826.7.8"
_CODES = (
    ("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "REPORTS", _OWN),
    ("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "11528-7", _LOINC),
    ("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "urn:ihe:iti:xds:2017:mimeTypeSufficient", _OWN),
    ("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "HOSP", _OWN),
    ("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "RAD", _OWN),
    ("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25"),
)
"""Class, type, format, facility, practice and confidentiality of a report."""


@dataclass(frozen=True)
class Report:
    """One document and what is said about it; `number` makes its identifiers."""

    patient: str
    """The CX of the affinity domain."""
    content: bytes
    number: int
    title: str = "胸部CT报告"

    @property
    def unique_id(self) -> str:
        return f"1.2.826.7.1.{self.number}"

    @property
    def objects(self) -> str:
        """What a rim:RegistryObjectList holds: the document, its submission set, and that one holds the other."""
        return self._document() + self._set() + _MEMBER

    def _document(self) -> str:
        slots = (
            ("creationTime", "20261120103000"), ("languageCode", "zh-CN"), ("serviceStartTime", "20261120"),
            ("sourcePatientId", "local-1^^^&amp;1.2.826.7.9&amp;ISO"), ("size", str(len(self.content))),
            ("hash", hashlib.sha1(self.content, usedforsecurity=False).hexdigest()),
        )  # fmt: skip
        codes = "".join(_classification("D1", *each) for each in _CODES)
        ids = self._identifiers("D1", *_DOCUMENT_IDS, self.unique_id)
        return (
            f'<r:ExtrinsicObject xmlns:r="{RIM}" id="D1" mimeType="text/plain" objectType="{_STABLE}">'
            f"{''.join(_slot(*each) for each in slots)}{_name(self.title)}{codes}{ids}</r:ExtrinsicObject>"
        )

    def _set(self) -> str:
        kind = _classification("S1", "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", "examination")
        ids = self._identifiers("S1", *_SET_IDS, f"1.2.826.7.2.{self.number}")
        return (
            f'<r:RegistryPackage xmlns:r="{RIM}" id="S1">{_slot("submissionTime", "20261120104000")}{_name("Reports")}'
            f'<r:Classification id="S1-node" classifiedObject="S1" classificationNode="{_SET}"'
            f' objectType="{_TYPE}:Classification"/>{kind}{ids}'
            f"{_identifier('S1', 'urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832', '1.2.826.7.3', 'sourceId')}"
            "</r:RegistryPackage>"
        )

    def _identifiers(self, of: str, patient: str, unique: str, unique_id: str) -> str:
        cx, kind = self.patient.replace("&", "&amp;"), "XDSDocumentEntry" if of == "D1" else "XDSSubmissionSet"
        return _identifier(of, patient, cx, f"{kind}.patientId") + _identifier(
            of, unique, unique_id, f"{kind}.uniqueId"
        )


def _slot(name: str, value: str) -> str:
    return f'<r:Slot name="{name}"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>'


_MEMBER = (
    f'<r:Association xmlns:r="{RIM}" id="A1" sourceObject="S1" targetObject="D1"'
    ' associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"'
    f' objectType="{_TYPE}:Association">{_slot("SubmissionSetStatus", "Original")}</r:Association>'
)


def _name(text: str) -> str:
    return f'<r:Name><r:LocalizedString value="{text}"/></r:Name>'


def _classification(of: str, scheme: str, code: str, system: str = _OWN) -> str:
    return (
        f'<r:Classification id="{of}-{scheme[9:13]}" classificationScheme="{scheme}" classifiedObject="{of}"'
        f' nodeRepresentation="{code}" objectType="{_TYPE}:Classification">'
        f"{_slot('codingScheme', system)}{_name(code)}</r:Classification>"
    )


def _identifier(of: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<r:ExternalIdentifier id="{of}-{scheme[9:13]}" registryObject="{of}" identificationScheme="{scheme}"'
        f' value="{value}" objectType="{_TYPE}:ExternalIdentifier">{_name(name)}</r:ExternalIdentifier>'
    )
