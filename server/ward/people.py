"""Twelve patients and the two nurses who chart them. Nobody here exists: the region 110000 is not issued to people, and
the sequence 000 of their numbers to nobody either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from profiles.china import citizen
from profiles.packages.canonical import IDENTIFIER_TYPE, profile_url
from profiles.packages.patient import HEALTH_CARD, REPRESENTATION
from server.dicom.patient_number import local_system
from server.fhir.json_form import Resource

ISSUER = "WEFT-WARD"
_REGION = "110000"


@dataclass(frozen=True, slots=True)
class Person:
    """One patient of the ward."""

    number: int
    family: str
    given: str
    pinyin_family: str
    pinyin_given: str
    is_male: bool
    birth_date: date
    height: int
    """Centimetres."""
    weight: float
    reason: str
    """Why they are here, in a nurse's words."""
    course: str
    """How the week went: a key of `vitals.COURSES`."""
    grade: int
    """Grade of care: 0 is special, charted most often."""

    @property
    def id(self) -> str:
        return f"ward-{self.number:02}"

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"

    @property
    def hospital_number(self) -> str:
        return f"W{20260000 + self.number}"

    @property
    def citizen_number(self) -> str:
        """Odd sequences are male, even ones female."""
        digits = f"{_REGION}{self.birth_date:%Y%m%d}00{1 if self.is_male else 0}"
        return digits + citizen.check_character(digits)

    @property
    def person_name(self) -> str:
        """As DICOM writes it."""
        return f"{self.pinyin_family}^{self.pinyin_given}={self.family}^{self.given}="


PEOPLE: Sequence[Person] = (
    Person(1, "王", "建国", "Wang", "Jianguo", True, date(1949, 10, 1), 172, 68.5, "肺炎", "pneumonia", 1),
    Person(2, "李", "秀英", "Li", "Xiuying", False, date(1953, 3, 8), 158, 54.0, "髋部骨折术后", "surgery", 1),
    Person(3, "欧阳", "晓明", "Ouyang", "Xiaoming", True, date(1986, 7, 19), 178, 75.2, "头部外伤", "head", 0),
    Person(4, "张", "伟", "Zhang", "Wei", True, date(1975, 12, 2), 170, 82.4, "高血压", "pressure", 2),
    Person(5, "刘", "洋", "Liu", "Yang", False, date(1992, 5, 27), 165, 57.3, "阑尾炎术后", "surgery", 2),
    Person(6, "吕", "梅", "Lyu", "Mei", False, date(1961, 9, 14), 160, 61.8, "心力衰竭", "heart", 0),
    Person(7, "单", "国强", "Shan", "Guoqiang", True, date(1968, 1, 30), 169, 70.1, "脑梗死", "stroke", 1),
    Person(8, "司马", "婷", "Sima", "Ting", False, date(1999, 11, 11), 163, 50.6, "哮喘", "asthma", 2),
    Person(9, "陈", "志远", "Chen", "Zhiyuan", True, date(1958, 6, 5), 174, 77.9, "冠心病", "steady", 2),
    Person(10, "赵", "丽华", "Zhao", "Lihua", False, date(1945, 2, 22), 155, 48.7, "慢性阻塞性肺疾病", "asthma", 1),
    Person(11, "解", "军", "Xie", "Jun", True, date(1981, 8, 16), 181, 88.0, "胰腺炎", "pneumonia", 1),
    Person(12, "诸葛", "明", "Zhuge", "Ming", True, date(1970, 4, 12), 176, 72.6, "肾结石", "steady", 3),
)

NURSES = (("ward-nurse-1", "周", "静", "Zhou Jing"), ("ward-nurse-2", "孙", "红", "Sun Hong"))


def resources() -> list[Resource]:
    return [*map(_nurse, range(len(NURSES))), *map(_patient, PEOPLE)]


def _patient(person: Person) -> Resource:
    official = {
        "extension": [{"url": REPRESENTATION, "valueCode": "IDE"}],
        "use": "official",
        "text": person.family + person.given,
        "family": person.family,
        "given": [person.given],
    }
    pinyin = {
        "extension": [{"url": REPRESENTATION, "valueCode": "ABC"}],
        "text": f"{person.pinyin_family} {person.pinyin_given}",
        "family": person.pinyin_family,
        "given": [person.pinyin_given],
    }
    return {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"profile": [profile_url("cn-patient")]},
        "identifier": [
            {"use": "official", "system": citizen.SYSTEM, "value": person.citizen_number},
            _identifier("MR", local_system(ISSUER), person.hospital_number) | {"assigner": {"display": ISSUER}},
            _identifier("HC", HEALTH_CARD, f"HC{9_000_000 + person.number}"),
        ],
        "active": True,
        "name": [official, pinyin],
        "gender": "male" if person.is_male else "female",
        "birthDate": person.birth_date.isoformat(),
    }


def _identifier(code: str, system: str, value: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": code}]}, "system": system, "value": value}


def _nurse(index: int) -> Resource:
    nurse_id, family, given, pinyin = NURSES[index]
    return {
        "resourceType": "Practitioner",
        "id": nurse_id,
        "active": True,
        "name": [{"text": family + given, "family": family, "given": [given]}, {"text": pinyin}],
    }
