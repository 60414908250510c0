"""How an Observation of the ward is written: code, unit and profile come from the same tables as the profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from profiles.packages.canonical import LOINC, OBSERVATION_CATEGORY, SNOMED, UCUM, profile_url
from profiles.packages.items import Item
from server.fhir.json_form import Resource
from server.ward.people import NURSES, Person

_UNITS = {"Cel": "℃", "/min": "次/分", "mm[Hg]": "mmHg", "{score}": "分"}


@dataclass(frozen=True, slots=True)
class Charted:
    """Who, when and by what: what every observation of one round has in common."""

    person: Person
    at: datetime
    device: str | None = None

    def observation(self, name: str, profile: str, category: str, code: dict[str, Any], **more: Any) -> Resource:
        """One observation; `name` tells it from the others of its round."""
        moment = self.at.strftime("%m%d%H%M")
        made: Resource = {
            "resourceType": "Observation",
            "id": f"{self.person.id}-{name}-{moment}",
            "meta": {"profile": [profile_url(profile)]},
            "status": "final",
            "category": [{"coding": [{"system": OBSERVATION_CATEGORY, "code": category}]}],
            "code": code,
            "subject": {"reference": self.person.reference},
            "effectiveDateTime": self.at.isoformat(),
            "issued": (self.at + timedelta(minutes=4)).isoformat(),
            "performer": [{"reference": f"Practitioner/{self.nurse}"}],
        }
        if self.device:
            made["device"] = {"identifier": {"system": "urn:weft:ward:device", "value": self.device}}
        return made | more

    @property
    def nurse(self) -> str:
        """The first by day, the second by night."""
        return NURSES[0 if 8 <= self.at.hour < 20 else 1][0]


def coded(item: Item, *more: tuple[str, str]) -> dict[str, Any]:
    """The item's code, and finer ones beside it."""
    codes = [(item.code, item.display), *more]
    return {"coding": [{"system": LOINC, "code": code, "display": display} for code, display in codes]}


def quantity(value: Decimal | int, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": _UNITS.get(unit, unit), "system": UCUM, "code": unit}


def site(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": SNOMED, "code": code, "display": display}]}


def components(parts: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{"code": code, "valueQuantity": value} for code, value in parts]
