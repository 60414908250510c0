"""HL7 version 3 messages of patient registries as FHIR says it: who is told of, and who is replaced (IHE ITI-44).

Only what an index of persons uses is read; of what is there more than once, the first few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

from server.fhir.json_form import Resource
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier
from server.mpi.identity_feed import birth_date
from server.xds.datatypes import is_oid

V3 = "urn:hl7-org:v3"
_PREFIX = f"{{{V3}}}"
_GENDERS = {"M": "male", "F": "female", "UN": "other"}
_SCHEMES = {"tel": "phone", "mailto": "email", "fax": "fax"}
_USES = {"H": "home", "HP": "home", "HV": "home", "WP": "work", "MC": "mobile"}
_LONGEST, _MOST, _MOST_SUBJECTS = 200, 10, 50


@dataclass(frozen=True, slots=True)
class Told:
    """One registration event."""

    patient: Resource
    """Without identifiers."""
    numbers: tuple[Identifier, ...]
    replaced: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Of a message, what its acknowledgement answers to."""

    id: tuple[str, str]
    """Root and extension."""
    sender: str
    receiver: str
    processing: str


def read_envelope(message: etree._Element) -> Envelope:
    id_ = message.find(f"{_PREFIX}id")
    return Envelope(
        (_attribute(id_, "root"), _attribute(id_, "extension")),
        _device(message, "sender"),
        _device(message, "receiver"),
        _attribute(message.find(f"{_PREFIX}processingCode"), "code") or "P",
    )


def read_events(message: etree._Element, *, is_merge: bool) -> tuple[Told, ...]:
    """Every registration event; a `Problem` where one of them says too little."""
    events = [*_path(message, "controlActProcess", "subject", "registrationEvent")]
    if not events:
        raise _invalid("The message holds no registration event.")
    if len(events) > _MOST_SUBJECTS:
        raise _invalid("The message holds too many registration events.")
    return tuple(_event(each, is_merge=is_merge) for each in events)


def _event(event: etree._Element, *, is_merge: bool) -> Told:
    patient = next(_path(event, "subject1", "patient"), None)
    if patient is None:
        raise _invalid("A registration event names its patient.")
    prior = [*_path(event, "replacementOf", "priorRegistration", "subject1", "priorRegisteredRole")]
    told = Told(_described(patient), _numbers(patient), tuple(each for one in prior for each in _numbers(one)))
    if not told.numbers:
        raise _invalid("A patient has an id with a root and an extension.")
    if is_merge and not told.replaced:
        raise _invalid("A replaced registration has an id with a root and an extension.")
    return told


def _numbers(role: etree._Element) -> tuple[Identifier, ...]:
    found = []
    for each in [*role.iterchildren(f"{_PREFIX}id")][: 4 * _MOST]:
        root, extension = _attribute(each, "root"), _attribute(each, "extension")
        if is_oid(root) and extension:
            found.append(Identifier(f"urn:oid:{root}", extension))
    return tuple(found)


def _described(patient: etree._Element) -> Resource:
    person = patient.find(f"{_PREFIX}patientPerson")
    if person is None:
        return {}
    told: dict[str, Any] = {
        "name": [made for each in _some(person, "name") if (made := _name(each))],
        "telecom": [made for each in _some(person, "telecom") if (made := _telecom(each))],
        "gender": _GENDERS.get(_attribute(person.find(f"{_PREFIX}administrativeGenderCode"), "code"), ""),
        "birthDate": birth_date(_attribute(person.find(f"{_PREFIX}birthTime"), "value")),
        "address": [made for each in _some(person, "addr") if (made := _address(each))],
    }
    return {name: value for name, value in told.items() if value}


def _name(element: etree._Element) -> dict[str, Any]:
    family = " ".join(_texts(element, "family"))
    made: dict[str, Any] = {
        "family": family,
        "given": _texts(element, "given"),
        "prefix": _texts(element, "prefix"),
        "suffix": _texts(element, "suffix"),
    }
    if not family and not made["given"]:
        made = {"text": _clean(element.text or "")}
    return {name: value for name, value in made.items() if value}


def _address(element: etree._Element) -> dict[str, Any]:
    made: dict[str, Any] = {
        "line": _texts(element, "streetAddressLine"),
        **{name: " ".join(_texts(element, name)) for name in ("city", "state", "postalCode", "country")},
    }
    return {name: value for name, value in made.items() if value}


def _telecom(element: etree._Element) -> dict[str, Any]:
    value = _clean(_attribute(element, "value"))
    scheme, colon, number = value.partition(":")
    system = _SCHEMES.get(scheme.lower(), "") if colon else "phone"
    made = {"system": system or "other", "value": number if system and colon else value}
    use = _USES.get(_attribute(element, "use").partition(" ")[0], "")
    return {**made, **({"use": use} if use else {})} if made["value"] else {}


def _texts(element: etree._Element, name: str) -> list[str]:
    return [text for each in _some(element, name) if (text := _clean("".join(map(str, each.itertext()))))]


def _some(element: etree._Element, name: str) -> list[etree._Element]:
    return [*element.iterchildren(_PREFIX + name)][:_MOST]


def _path(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    if not names:
        yield element
        return
    for each in element.iterchildren(_PREFIX + names[0]):
        yield from _path(each, *names[1:])


def _device(message: etree._Element, role: str) -> str:
    return _attribute(next(_path(message, role, "device", "id"), None), "root")


def _attribute(element: etree._Element | None, name: str) -> str:
    return (element.get(name) or "").strip() if element is not None else ""


def _clean(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _invalid(text: str) -> Problem:
    return Problem(Kind.INVALID, text)
