"""The codes a manifest is registered under (digest of XDS-I.b; RAD TF-3 4.68.4.1.2.3), and which modalities acquire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.access.labels import LEVELS, level_of
from server.dicom.key_objects import KEY_OBJECT_SELECTION
from server.xds.fhir_codes import CONFIDENTIALITY, code_of, level
from server.xds.metadata import Code

LOINC, SCT, DCM = "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96", "1.2.840.10008.2.16.4"
FORMAT = Code(KEY_OBJECT_SELECTION, "1.2.840.10008.2.6.1", "Key Object Selection Document")
MEDIA_TYPE = "application/dicom"

_NO_ACQUISITION = frozenset({
    "ANN", "ASMT", "AU", "DOC", "FID", "HC", "KO", "M3D", "OPV", "OT", "PLAN", "PR", "REG", "RTDOSE", "RTINTENT",
    "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "SEG", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP",
})  # fmt: skip
"""Modalities of PS3.3 C.7.3.1.1.1 that are not in CID 29: what was made of images rather than images taken."""
_NAMES = {
    "BMD": "Bone Densitometry", "CR": "Computed Radiography", "CT": "Computed Tomography",
    "DX": "Digital Radiography", "ECG": "Electrocardiography", "ES": "Endoscopy", "GM": "General Microscopy",
    "IO": "Intra-oral Radiography", "IVUS": "Intravascular Ultrasound", "MG": "Mammography",
    "MR": "Magnetic Resonance", "NM": "Nuclear Medicine", "OCT": "Optical Coherence Tomography",
    "OP": "Ophthalmic Photography", "OPT": "Ophthalmic Tomography", "PT": "Positron emission tomography",
    "PX": "Panoramic X-Ray", "RF": "Radiofluoroscopy", "SM": "Slide Microscopy", "US": "Ultrasound",
    "XA": "X-Ray Angiography", "XC": "External-camera Photography",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ManifestCodes:
    """What a domain may settle otherwise."""

    class_code: Code = Code("IMAGES", "1.3.6.1.4.1.19376.1.2.6.1", "Images")
    type_code: Code = Code("18748-4", LOINC, "Diagnostic imaging study")
    facility: Code = Code("22232009", SCT, "Hospital")
    practice_setting: Code = Code("394914008", SCT, "Radiology")
    content_type: Code = Code("18748-4", LOINC, "Diagnostic imaging study")
    language: str = "zh-CN"
    unlabelled: str = "N"
    """Confidentiality of a study without labels."""


def modalities(found: Iterable[str]) -> tuple[Code, ...]:
    """Those that acquire (CID 29); of a study without any, what there is."""
    named = tuple(dict.fromkeys(each for each in found if each))
    acquiring = tuple(each for each in named if each not in _NO_ACQUISITION)
    return tuple(Code(each, DCM, _NAMES.get(each, each)) for each in acquiring or named)


def confidentiality(labels: Sequence[Mapping[str, Any]], unlabelled: str) -> tuple[Code, ...]:
    """One level, the strictest, and every sensitivity beside it."""
    strictest = level_of(labels)
    code = unlabelled if strictest is None else LEVELS[strictest]
    others = (each for label in labels if (each := code_of(label)) is not None and not _is_level(each))
    return (level(code), *sorted(dict.fromkeys(others)))


def _is_level(code: Code) -> bool:
    return code.scheme in (CONFIDENTIALITY, "") and code.code in LEVELS
