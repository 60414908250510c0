"""Authors and patients as a document's metadata tell of them: resources contained in the one about the document.

One author of XDS is a person with institutions, roles and specialties: a Practitioner alone, an Organization alone, or
a PractitionerRole for each institution, all of one contained Practitioner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from server.fhir.json_form import Resource
from server.xds.datatypes import Xcn, Xon, escape, unescape
from server.xds.fhir_identifiers import URI, date_time, of_cx
from server.xds.fhir_texts import tidied
from server.xds.metadata import Author

_USES = {"PRN": "home", "ORN": "home", "WPN": "work"}
_CHANNELS = {"PH": "phone", "CP": "phone", "FX": "fax", "BP": "pager", "Internet": "email", "X.400": "email"}
_GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown"}

AUTHOR_ORGANIZATION = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-authorOrg"


class Contained:
    """Resources to be contained, named as they come."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []

    def add(self, resource: Resource | None, name: str) -> str:
        """A reference to it; empty for none and for one that tells nothing."""
        told = tidied(resource or {})
        if len(told) <= 1:
            return ""
        self.resources.append({"resourceType": told["resourceType"], "id": name, **told})
        return f"#{name}"


def authors(found: Sequence[Author], contained: Contained) -> list[Resource]:
    """A reference for each, or several where one author has several institutions."""
    return [each for number, author in enumerate(found, 1) for each in _author(author, f"author{number}", contained)]


def _author(author: Author, name: str, contained: Contained) -> Iterator[Resource]:
    telecom = _telecoms(author.telecommunications)
    roles = {"code": _texts(author.roles), "specialty": _texts(author.specialties)}
    has_role = bool(author.roles or author.specialties)
    person, shown = practitioner(author.person), display_of(author)
    if person is not None and not has_role and not author.institutions:
        yield _shown(contained.add(tidied(person | {"telecom": telecom}), name), shown)
        return
    if person is None and not has_role:
        for number, each in enumerate(author.institutions, 1):
            made = organization(each) | ({"telecom": telecom} if telecom and number == 1 else {})
            yield _shown(contained.add(made, name if number == 1 else f"{name}-{number}"), made.get("name", ""))
        return
    who = contained.add(person, f"{name}-person")
    for number, each in enumerate(author.institutions or ("",), 1):
        mark = "" if number == 1 else f"-{number}"
        where = contained.add(organization(each) if each else None, f"{name}-institution{mark}")
        role = {"resourceType": "PractitionerRole", "practitioner": _to(who), "organization": _to(where)}
        made = tidied(role | (roles | {"telecom": telecom} if number == 1 else {}))
        yield _shown(contained.add(made, name + mark), shown)


def practitioner(xcn: str) -> Resource | None:
    """A person as a Practitioner; `None` for none. What is not read as XCN is a name as it stands."""
    if not xcn:
        return None
    try:
        person = Xcn.parse(xcn)
    except ValueError:
        return {"resourceType": "Practitioner", "name": [{"text": xcn}]}
    identifier = {"system": f"urn:oid:{person.authority}" if person.authority else "", "value": person.id}
    name = {
        "family": person.family,
        "given": [person.given, person.second],
        "prefix": [person.prefix],
        "suffix": [person.suffix],
    }
    return tidied(
        {
            "resourceType": "Practitioner",
            "identifier": [identifier if person.id else {}],
            "name": [name],
            "qualification": [{"code": {"text": person.degree}}],
        }
    )


def organization(xon: str) -> Resource:
    try:
        named = Xon.parse(xon)
    except ValueError:
        return {"resourceType": "Organization", "name": xon}
    made: Resource = {"resourceType": "Organization"}
    if named.id and named.authority:
        made["identifier"] = [{"system": f"urn:oid:{named.authority}", "value": named.id}]
    elif named.id:
        made["identifier"] = [{"system": URI, "value": f"urn:oid:{named.id}"}]
    return made | {"name": named.name}


def display_of(author: Author) -> str:
    """The author in one line."""
    try:
        person = Xcn.parse(author.person)
    except ValueError:
        return author.person
    parts = (person.prefix, person.given, person.second, person.family, person.suffix)
    return " ".join(each for each in parts if each) or person.id


def source_patient(info: Sequence[str]) -> Resource | None:
    """What sourcePatientInfo tells of the patient, by the fields of PID it is written in; `None` for nothing."""
    made: Resource = {"resourceType": "Patient"}
    for field, value in _fields(info):
        match field:
            case "PID-3":
                made.setdefault("identifier", []).append(of_cx(value) or {"value": value})
            case "PID-5":
                made.setdefault("name", []).append(_human_name(value))
            case "PID-7":
                made["birthDate"] = date_time(value[:8])
            case "PID-8" if value in _GENDERS:
                made["gender"] = _GENDERS[value]
            case "PID-11":
                made.setdefault("address", []).append(_address(value))
    made = tidied(made)
    return made if len(made) > 1 else None


def _fields(info: Sequence[str]) -> Iterator[tuple[str, str]]:
    for each in info:
        field, _, values = each.partition("|")
        for value in values.split("~") if field in ("PID-3", "PID-5", "PID-11") else (values,):
            if value:
                yield field, value


def _human_name(value: str) -> Resource:
    family, given, second, suffix, prefix, *_ = [unescape(each) for each in value.split("^")] + [""] * 5
    return tidied(
        {
            "family": family.partition("&")[0],
            "given": [given, second],
            "prefix": [prefix],
            "suffix": [suffix],
        }
    )


def _address(value: str) -> Resource:
    street, other, city, state, code, country, *_ = [unescape(each) for each in value.split("^")] + [""] * 6
    return tidied(
        {
            "line": [street, other],
            "city": city,
            "state": state,
            "postalCode": code,
            "country": country,
        }
    )


def _telecoms(found: Sequence[str]) -> list[Resource]:
    return [made for each in found if "value" in (made := telecom(each))]


def telecom(xtn: str) -> Resource:
    """An XTN: mail in its fourth component, a telephone in parts or, in the twelfth, as it is dialled."""
    parts = [unescape(each) for each in xtn.split("^")] + [""] * 12
    channel = _CHANNELS.get(parts[2], "email" if "@" in parts[3] else "phone")
    country = f"+{parts[4]}" if parts[4] else ""
    dialled = " ".join(each for each in (country, *parts[5:7]) if each) + (f" ext. {parts[7]}" if parts[7] else "")
    value = parts[3] if channel == "email" else parts[11] or dialled or parts[0]
    return tidied({"system": channel, "value": value.strip(), "use": _USES.get(parts[1], "")})


def xtn_of(point: Resource) -> str:
    """As `telecom` reads it; empty without a value."""
    value = escape(str(point.get("value", "")))
    use = next((code for code, name in _USES.items() if name == point.get("use")), "")
    if not value:
        return ""
    if point.get("system") == "email":
        return f"^{use}^Internet^{value}"
    channel = next((code for code, name in _CHANNELS.items() if name == point.get("system")), "PH")
    return f"^{use}^{channel}^^^^^^^^^{value}"


def _texts(values: Iterable[str]) -> list[Resource]:
    return [{"text": each} for each in values]


def _to(reference: str) -> Resource | None:
    return {"reference": reference} if reference else None


def _shown(reference: str, display: str) -> Resource:
    return {"reference": reference, "display": display} if display else {"reference": reference}
