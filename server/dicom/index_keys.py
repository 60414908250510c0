"""The keys by which rows of the archive are found: which attributes are indexed, and in which form.

`INDEXED` is read from both sides: a row's keys are made from it, and `query_index` compiles queries to the same names.
An attribute's keys are named by its keyword (in a sequence: dotted), and these three are derived:

- `StudyDateTime`, one per study: date and time joined, so that a search by date and the order of its results are one
  walk along one index; empty where the date is unknown or malformed.
- `SeriesOrder` and `InstanceOrder`, one each: the number, and `UNNUMBERED` where there is none.
- `.character` and `.fuzzy` beside a person's name: its ideographs one by one, and its words (see `names`).

What is not here can be searched as well, by looking into the stored attributes; it only costs more. Instance keys are
few because every instance stored pays for them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from server.dicom.dates import date_key, time_key
from server.dicom.names import characters_of, groups_of, words_of
from storage.query import Key

UNNUMBERED = 2147483647
"""Stands for a missing number, so that it comes last; no IS is larger (PS3.5 6.2)."""

LONGEST = 256
"""Characters of a text that are indexed; of the VRs indexed none may be as long."""

_MOST_VALUES = 64

Attributes = Mapping[str, Any]


class Form(Enum):
    """How values become keys."""

    TEXT = "text"
    NAME = "name"
    DATE = "date"
    TIME = "time"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Indexed:
    name: str
    path: tuple[str, ...]
    form: Form = Form.TEXT


STUDY_DATE, STUDY_TIME = "00080020", "00080030"

STUDY_INDEXED = (
    Indexed("StudyInstanceUID", ("0020000D",)),
    Indexed("StudyTime", ("00080030",), Form.TIME),
    Indexed("AccessionNumber", ("00080050",)),
    Indexed("ModalitiesInStudy", ("00080061",)),
    Indexed("SOPClassesInStudy", ("00080062",)),
    Indexed("InstitutionName", ("00080080",)),
    Indexed("ReferringPhysicianName", ("00080090",), Form.NAME),
    Indexed("StudyDescription", ("00081030",)),
    Indexed("PatientName", ("00100010",), Form.NAME),
    Indexed("PatientID", ("00100020",)),
    Indexed("IssuerOfPatientID", ("00100021",)),
    Indexed("PatientBirthDate", ("00100030",), Form.DATE),
    Indexed("PatientSex", ("00100040",)),
    Indexed("OtherPatientIDs", ("00101000",)),
    Indexed("StudyID", ("00200010",)),
)
SERIES_INDEXED = (
    Indexed("Modality", ("00080060",)),
    Indexed("SeriesInstanceUID", ("0020000E",)),
    Indexed("SeriesOrder", ("00200011",), Form.NUMBER),
    Indexed("SeriesDescription", ("0008103E",)),
    Indexed("BodyPartExamined", ("00180015",)),
    Indexed("ProtocolName", ("00181030",)),
    Indexed("PerformedProcedureStepStartDate", ("00400244",), Form.DATE),
    Indexed("PerformedProcedureStepStartTime", ("00400245",), Form.TIME),
    Indexed("PerformedProcedureStepDescription", ("00400254",)),
    Indexed("RequestAttributesSequence.ScheduledProcedureStepID", ("00400275", "00400009")),
    Indexed("RequestAttributesSequence.RequestedProcedureID", ("00400275", "00401001")),
    Indexed("Manufacturer", ("00080070",)),
    Indexed("StationName", ("00081010",)),
)
INSTANCE_INDEXED = (
    Indexed("SOPClassUID", ("00080016",)),
    Indexed("SOPInstanceUID", ("00080018",)),
    Indexed("InstanceOrder", ("00200013",), Form.NUMBER),
    Indexed("ContentDate", ("00080023",), Form.DATE),
)


def study_keys(attributes: Attributes) -> dict[str, frozenset[Key]]:
    keys = _keys(STUDY_INDEXED, attributes)
    keys["StudyDateTime"] = frozenset({moment_of(attributes, STUDY_DATE, STUDY_TIME)})
    return keys


def series_keys(attributes: Attributes) -> dict[str, frozenset[Key]]:
    return _keys(SERIES_INDEXED, attributes)


def instance_keys(attributes: Attributes) -> dict[str, frozenset[Key]]:
    return _keys(INSTANCE_INDEXED, attributes)


def moment_of(attributes: Attributes, date_tag: str, time_tag: str) -> str:
    """A date and a time joined; the date alone where the time is unknown; empty where the date is."""
    date = next((key for value in values_at((date_tag,), attributes) if (key := date_key(str(value)))), None)
    if date is None:
        return ""
    time = next((key for value in values_at((time_tag,), attributes) if (key := time_key(str(value)))), None)
    return date + (time or "")


def text_key(text: str) -> str:
    """Without padding, in one Unicode form, and bounded: how texts are stored as keys and compared."""
    text = text.strip(" \0")[:LONGEST]
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def number_key(value: Any) -> int:
    """A number to sort by; `UNNUMBERED` for what is none or too large to be an IS."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return UNNUMBERED
    return number if -UNNUMBERED <= number <= UNNUMBERED else UNNUMBERED


def values_at(path: tuple[str, ...], attributes: Attributes) -> list[Any]:
    """All values at an attribute path, those of every item; nulls are left out."""
    attribute = attributes.get(path[0])
    if not isinstance(attribute, Mapping):
        return []
    values = attribute.get("Value")
    if not isinstance(values, list):
        return []
    if len(path) == 1:
        return [value for value in values if value is not None]
    return [found for item in values if isinstance(item, Mapping) for found in values_at(path[1:], item)]


def _keys(indexed: Iterable[Indexed], attributes: Attributes) -> dict[str, frozenset[Key]]:
    keys: dict[str, frozenset[Key]] = {}
    for each in indexed:
        values = values_at(each.path, attributes)[:_MOST_VALUES] if each.path[0] in attributes else []
        if each.form is Form.NUMBER:
            keys[each.name] = frozenset({number_key(values[0] if values else None)})
        elif each.form is Form.NAME:
            keys.update(_name_keys(each.name, values))
        elif values:
            as_key = _AS_KEY[each.form]
            made = frozenset(key for value in values if (key := as_key(str(value))))
            if made:
                keys[each.name] = made
    return keys


_AS_KEY: Mapping[Form, Callable[[str], str | None]] = {Form.TEXT: text_key, Form.DATE: date_key, Form.TIME: time_key}


def _name_keys(name: str, values: Iterable[Any]) -> dict[str, frozenset[Key]]:
    people = [groups_of(value) for value in values]
    kept: dict[str, frozenset[Key]] = {
        name: frozenset(group for groups in people for group in groups if group),
        f"{name}.character": frozenset().union(*map(characters_of, people)),
        f"{name}.fuzzy": frozenset().union(*map(words_of, people)),
    }
    return {name: keys for name, keys in kept.items() if keys}
