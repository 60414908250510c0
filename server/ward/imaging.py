"""The ward's examinations: sample images relabelled as the patients', and what was reported of them.

Every UID follows from patient and day, so the same ward has the same studies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from profiles.packages.canonical import IDENTIFIER_TYPE, LOINC, OBSERVATION_CATEGORY, naming_url, profile_url
from profiles.packages.imaging import CRITICAL, FINDINGS_CODE
from server.bridge.imaging_study import resource_id
from server.dicom.relabel import relabelled
from server.fhir.json_form import Resource
from server.ward.people import ISSUER, PEOPLE, Person

_RADIOLOGIST = "Practitioner/ward-radiologist"


@dataclass(frozen=True, slots=True)
class Examination:
    """One study of one patient: when in the week, from which sample, and what was seen."""

    person: Person
    day: int
    hour: int
    minute: int
    sample: str
    copies: int
    body_part: str
    description: str
    findings: str
    impression: str
    is_critical: bool = False
    amendment: str = ""
    """The impression that later replaced the first."""

    def began(self, first_day: datetime) -> datetime:
        return first_day + timedelta(days=self.day, hours=self.hour, minutes=self.minute)

    @property
    def accession(self) -> str:
        return f"E{self.person.number:02}{self.day}{self.hour:02}{self.minute:02}"

    def uid(self, first_day: datetime, *below: int) -> str:
        """A UID of the study, a series or an instance: under 2.25, from a hash (PS3.5 B.2)."""
        name = ".".join((self.person.id, self.accession, f"{first_day:%Y%m%d}", *map(str, below)))
        return f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])}"


def _examination(number: int, *more: Any, **named: Any) -> Examination:
    return Examination(PEOPLE[number - 1], *more, **named)


_CT, _HEAD, _MR = "CT_small.dcm", "J2K_pixelrep_mismatch.dcm", "MR_small.dcm"
_ABDOMEN, _SONOGRAM, _DOPPLER = "examples_overlay.dcm", "examples_palette.dcm", "examples_rgb_color.dcm"

EXAMINATIONS: Sequence[Examination] = (
    _examination(1, 0, 15, 20, _CT, 3, "CHEST", "胸部CT平扫", "右肺下叶见斑片状高密度影，边界模糊。", "右肺下叶炎症。"),
    _examination(1, 5, 9, 40, _CT, 3, "CHEST", "胸部CT复查", "右肺下叶病灶较前明显吸收。", "右肺下叶炎症，较前好转。"),
    _examination(2, 1, 10, 15, _MR, 2, "HIP", "髋关节MR平扫", "右股骨近端内固定术后改变。", "右髋术后，未见明显异常。"),
    _examination(3, 0, 11, 5, _HEAD, 1, "HEAD", "头颅CT急诊", "左侧颞顶部颅板下见梭形高密度影。",
        "左侧颞顶部硬膜外血肿。", is_critical=True),
    _examination(3, 2, 8, 30, _HEAD, 1, "HEAD", "头颅CT复查", "左侧颞顶部血肿较前未见增大。",
        "硬膜外血肿，较前无明显变化。",
        amendment="硬膜外血肿，较前略吸收；右侧额叶小片状低密度影，建议复查。"),
    _examination(4, 1, 14, 25, _SONOGRAM, 1, "HEART", "心脏彩超", "左室壁增厚，室壁运动协调。",
        "左室肥厚，舒张功能减低。"),
    _examination(5, 0, 8, 50, _SONOGRAM, 1, "ABDOMEN", "腹部超声", "右下腹未见明显积液。", "阑尾术后，腹腔未见积液。"),
    _examination(6, 0, 16, 10, _DOPPLER, 1, "HEART", "心脏彩超", "左室扩大，射血分数减低。", "心功能不全。"),
    _examination(7, 0, 12, 35, _HEAD, 1, "BRAIN", "头颅CT平扫", "左侧基底节区见低密度影。", "左侧基底节区脑梗死。"),
    _examination(8, 1, 9, 10, _CT, 2, "CHEST", "胸部CT平扫", "双肺纹理增多，未见实变。", "支气管炎改变。"),
    _examination(9, 2, 10, 45, _CT, 2, "CHEST", "冠脉CT", "左前降支近段见钙化斑块。", "冠状动脉粥样硬化。"),
    _examination(10, 0, 13, 55, _CT, 2, "CHEST", "胸部CT平扫", "双肺透亮度增高，见肺大疱。", "肺气肿，肺大疱。"),
    _examination(11, 0, 17, 30, _ABDOMEN, 1, "ABDOMEN", "腹部MR平扫", "胰腺体积增大，周围见渗出。", "急性胰腺炎。"),
    _examination(12, 1, 11, 20, _SONOGRAM, 1, "KIDNEY", "泌尿系超声", "左肾下盏见强回声，后伴声影。", "左肾结石。"),
)  # fmt: skip


def files(samples: Path, first_day: datetime) -> Iterator[bytes]:
    """The instances of all examinations, from pydicom's samples in this folder."""
    for each in EXAMINATIONS:
        content = (samples / each.sample).read_bytes()
        for number in range(1, each.copies + 1):
            yield relabelled(content, _attributes(each, first_day, number))


def reports(first_day: datetime) -> Iterator[tuple[Resource, ...]]:
    """Findings and report of each examination, in the versions they had: first drafted, then reviewed, then amended."""
    for each in EXAMINATIONS:
        study = f"ImagingStudy/{resource_id(each.uid(first_day))}"
        drafted = each.began(first_day) + timedelta(minutes=35)
        yield _findings(each, drafted), _report(each, study, first_day, "preliminary", drafted, each.impression)
        reviewed = drafted + timedelta(minutes=50)
        yield (_report(each, study, first_day, "final", reviewed, each.impression),)
        if each.amendment:
            yield (_report(each, study, first_day, "amended", reviewed + timedelta(hours=3), each.amendment),)


def radiologist() -> Resource:
    name = {"text": "吴敏", "family": "吴", "given": ["敏"]}
    return {"resourceType": "Practitioner", "id": "ward-radiologist", "active": True, "name": [name]}


def _attributes(each: Examination, first_day: datetime, number: int) -> dict[str, Any]:
    """What the copy says instead of what the sample said: patient, study and times."""
    person, began = each.person, each.began(first_day)
    taken = began + timedelta(minutes=2, seconds=number)
    alphabetic, ideographic, _ = person.person_name.split("=")
    texts = {
        "0020000D": ("UI", each.uid(first_day)),
        "0020000E": ("UI", each.uid(first_day, 1)),
        "00080018": ("UI", each.uid(first_day, 1, number)),
        "00100020": ("LO", person.hospital_number),
        "00100021": ("LO", ISSUER),
        "00100030": ("DA", f"{person.birth_date:%Y%m%d}"),
        "00100040": ("CS", "M" if person.is_male else "F"),
        "00080020": ("DA", f"{began:%Y%m%d}"),
        "00080030": ("TM", f"{began:%H%M%S}"),
        "00080021": ("DA", f"{taken:%Y%m%d}"),
        "00080031": ("TM", f"{taken:%H%M%S}"),
        "00080201": ("SH", f"{began:%z}"),
        "00080050": ("SH", each.accession),
        "00081030": ("LO", each.description),
        "0008103E": ("LO", each.description),
        "00180015": ("CS", each.body_part),
        "00200010": ("SH", each.accession),
        "00200011": ("IS", 1),
        "00200013": ("IS", number),
    }
    made: dict[str, Any] = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in texts.items()}
    made["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": alphabetic, "Ideographic": ideographic}]}
    made["00080090"] = {"vr": "PN", "Value": [{"Alphabetic": "Qian^Feng", "Ideographic": "钱^锋"}]}
    # The sample's own person and place.
    removed = ("00101000", "00101002", "00101010", "00101030", "00101040", "00080080", "00080081", "00080070")
    return made | dict.fromkeys(removed)


def _findings(each: Examination, at: datetime) -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"{each.person.id}-findings-{each.accession.lower()}",
        "meta": {"profile": [profile_url("imaging-findings")]},
        "status": "final",
        "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": "imaging"}]}],
        "code": {"coding": [{"system": LOINC, "code": FINDINGS_CODE}]},
        "subject": {"reference": each.person.reference},
        "effectiveDateTime": at.isoformat(),
        "performer": [{"reference": _RADIOLOGIST}],
        "valueString": each.findings,
    }


def _report(
    each: Examination, study: str, first_day: datetime, status: str, issued: datetime, impression: str
) -> Resource:
    number = {
        "type": {"coding": [{"system": IDENTIFIER_TYPE, "code": "ACSN"}]},
        "system": naming_url("examination"),
        "value": each.accession,
    }
    return {
        "resourceType": "DiagnosticReport",
        "id": f"{each.person.id}-report-{each.accession.lower()}",
        "meta": {"profile": [profile_url("imaging-report")]},
        "extension": [{"url": CRITICAL, "valueBoolean": each.is_critical}],
        "identifier": [number],
        "status": status,
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": {"text": each.description},
        "subject": {"reference": each.person.reference},
        "effectiveDateTime": each.began(first_day).isoformat(),
        "issued": issued.isoformat(),
        "resultsInterpreter": [{"reference": _RADIOLOGIST}],
        "result": [{"reference": f"Observation/{each.person.id}-findings-{each.accession.lower()}"}],
        "imagingStudy": [{"reference": study}],
        "conclusion": impression,
    }
