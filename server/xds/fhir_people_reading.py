"""People and organizations that FHIR refers to, as XDS writes them: XCN, XON, XTN and the fields of PID.

One person who stands there several times (alone, and in a role for each organization) is one author.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from server.fhir.json_form import Resource
from server.xds.datatypes import Xcn, Xon, escape, is_oid
from server.xds.fhir_codes import scheme_of
from server.xds.fhir_identifiers import URI, cx_of, dtm_of
from server.xds.fhir_people import xtn_of
from server.xds.metadata import Author

Find: TypeAlias = Callable[[str], Resource | None]
"""What a reference leads to."""

_GENDERS = {"male": "M", "female": "F", "other": "O", "unknown": "U"}


@dataclass(slots=True)
class _Authors:
    """As they come, by the reference of the person, or else of the role or the organization."""

    find: Find
    made: dict[str, Author] = field(default_factory=dict)
    within: set[str] = field(default_factory=set)
    """Organizations that some role names."""

    def add(self, reference: Mapping[str, Any]) -> None:
        name = str(reference.get("reference", ""))
        resource = self.find(name) if name else None
        if resource is None:
            shown = str(reference.get("display", ""))
            self._merge(name or shown, Author(str(Xcn(family=shown)) if shown else ""))
        elif resource["resourceType"] == "PractitionerRole":
            self._add_role(name, resource)
        elif resource["resourceType"] == "Organization":
            if name not in self.within:
                self._merge(name, Author(institutions=(xon_of(resource),), telecommunications=xtns(resource)))
        else:
            self._merge(name, Author(xcn_of(resource), telecommunications=xtns(resource)))

    def _add_role(self, name: str, role: Resource) -> None:
        who, where = (str((role.get(each) or {}).get("reference", "")) for each in ("practitioner", "organization"))
        person, institution = self.find(who) if who else None, self.find(where) if where else None
        self.within.add(where)
        made = Author(
            xcn_of(person) if person else "",
            (xon_of(institution),) if institution else (),
            tuple(texts(role.get("code", ()))),
            tuple(texts(role.get("specialty", ()))),
            (*xtns(role), *(xtns(person) if person else ())),
        )
        self._merge(who if person else name, made)
        if institution:
            self.made.pop(where, None)

    def _merge(self, name: str, more: Author) -> None:
        known = self.made.get(name, Author())
        self.made[name] = replace(
            known,
            person=known.person or more.person,
            institutions=_united(known.institutions, more.institutions),
            roles=_united(known.roles, more.roles),
            specialties=_united(known.specialties, more.specialties),
            telecommunications=_united(known.telecommunications, more.telecommunications),
        )


def _united(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in (*first, *second) if each))


def authors_of(references: Sequence[Mapping[str, Any]], find: Find) -> tuple[Author, ...]:
    found = _Authors(find)
    for each in references:
        found.add(each)
    return tuple(each for each in found.made.values() if each != Author())


def person_of(reference: Mapping[str, Any] | None, find: Find) -> str:
    """The XCN of whom a reference leads to; empty where it names nobody."""
    made = authors_of([reference] if reference else [], find)
    return made[0].person if made else ""


def xcn_of(resource: Resource) -> str:
    """A Practitioner, a patient, a relative or a device; empty for one without a name and a number."""
    numbers = [each for each in resource.get("identifier", ()) if each.get("value")]
    names = resource.get("name") or resource.get("deviceName") or [{}]
    name = next((each for each in names if each.get("use") == "official"), names[0])
    given = _listed(name, "given")
    degrees = [str(each.get("code", {}).get("text", "")) for each in resource.get("qualification", ())]
    person = Xcn(
        id=str(numbers[0]["value"]) if numbers else "",
        family=str(name.get("family") or name.get("text") or name.get("name") or ""),
        given="".join(given[:1]),
        second=" ".join(given[1:]),
        suffix=" ".join(_listed(name, "suffix")),
        prefix=" ".join(_listed(name, "prefix")),
        degree=degrees[0] if degrees else "",
        authority=_authority(numbers[0]) if numbers else "",
    )
    return str(person) if person.id or person.family else ""


def xon_of(resource: Resource) -> str:
    """An Organization; one without a name goes by its number."""
    numbers = [each for each in resource.get("identifier", ()) if each.get("value")]
    value = str(numbers[0]["value"]) if numbers else ""
    name = str(resource.get("name") or value)
    if numbers and numbers[0].get("system") == URI:
        return str(Xon(name, "", value.removeprefix("urn:oid:"))) if name else ""
    authority = _authority(numbers[0]) if numbers else ""
    return str(Xon(name, authority, value if authority else "")) if name else ""


def _authority(identifier: Mapping[str, Any]) -> str:
    oid = scheme_of(str(identifier.get("system", "")))
    return oid if is_oid(oid) else ""


def xtns(resource: Resource) -> tuple[str, ...]:
    return tuple(text for each in resource.get("telecom", ()) if (text := xtn_of(each)))


def texts(concepts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Each as a text, or as the code it stands for."""
    for each in concepts:
        codings = each.get("coding") or [{}]
        code, scheme = str(codings[0].get("code", "")), scheme_of(str(codings[0].get("system", "")))
        coded = f"{escape(code)}^^^&{scheme}&ISO" if code and is_oid(scheme) else code
        if text := str(each.get("text") or coded or codings[0].get("display", "")):
            yield text


def patient_info(patient: Resource) -> tuple[str, ...]:
    """A Patient as the lines of sourcePatientInfo."""
    numbers = (cx_of(each) for each in patient.get("identifier", ()))
    lines = [f"PID-3|{each}" for each in numbers if each]
    lines += [f"PID-5|{text}" for each in patient.get("name", ()) if (text := _name(each))]
    if born := dtm_of(patient.get("birthDate")):
        lines.append(f"PID-7|{born}")
    if gender := _GENDERS.get(str(patient.get("gender", ""))):
        lines.append(f"PID-8|{gender}")
    lines += [f"PID-11|{text}" for each in patient.get("address", ()) if (text := _address(each))]
    return tuple(lines)


def _name(name: Mapping[str, Any]) -> str:
    given = _listed(name, "given")
    parts = (
        str(name.get("family") or ("" if given else name.get("text", ""))),
        "".join(given[:1]),
        " ".join(given[1:]),
        " ".join(_listed(name, "suffix")),
        " ".join(_listed(name, "prefix")),
    )
    return _joined(parts)


def _address(address: Mapping[str, Any]) -> str:
    lines = _listed(address, "line")
    rest = (str(address.get(each, "")) for each in ("city", "state", "postalCode", "country"))
    return _joined(("".join(lines[:1]), " ".join(lines[1:]), *rest))


def _listed(element: Mapping[str, Any], name: str) -> list[str]:
    """The values of a list: one that has none but extensions is null there (R4 json.html#primitive)."""
    return [str(each) for each in element.get(name, ()) if each is not None]


def _joined(parts: Iterable[str]) -> str:
    return "^".join(map(escape, parts)).rstrip("^")
