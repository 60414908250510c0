"""What the master index writes on a Patient: the number of its person, those replaced, and links to the same person.

Identifiers of the authority and links that lead to other members are the index's; all else is left as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from profiles.packages.canonical import IDENTIFIER_TYPE
from server.fhir.json_form import Resource
from server.mpi.stored import Kept

SEE_ALSO, REPLACED_BY, REPLACES = "seealso", "replaced-by", "replaces"
_TYPE = {"coding": [{"system": IDENTIFIER_TYPE, "code": "PI"}]}


def marked(
    patient: Resource, system: str, number: str, *, former: Iterable[str] = (), gone: Iterable[str] = ()
) -> Resource:
    """With the number first among its identifiers; `former` are kept as old, `gone` are taken away."""
    old, away = frozenset(former), frozenset(gone)
    listed = patient.get("identifier", ())
    stated: Mapping[str, Any] = next((each for each in listed if _is(each, system, (number,))), {})
    made = [_identifier(stated, system, number)]
    for each in listed:
        if _is(each, system, old - {number}):
            made.append({**each, "use": "old"})
        elif not _is(each, system, away | {number}):
            made.append(each)
    return _with(patient, "identifier", made)


def linked(patient: Resource, other: str, kind: str) -> Resource:
    """With a link to another Patient; one that replaces or is replaced is not merely seen also."""
    links = [*patient.get("link", ())]
    present = {each.get("type") for each in links if _target(each) == other}
    if kind in present or (kind == SEE_ALSO and present):
        return patient
    kept = [each for each in links if not (_target(each) == other and each.get("type") == SEE_ALSO)]
    return _with(patient, "link", [*kept, {"other": {"reference": other}, "type": kind}])


def unlinked(patient: Resource, others: Collection[str]) -> Resource:
    """Without links to these; where one of them had replaced it, it is in use again."""
    links = [each for each in patient.get("link", ()) if _target(each) not in others]
    made = _with(patient, "link", links)
    return with_active(made, True) if is_replaced(patient) and not is_replaced(made) else made


def with_active(patient: Resource, active: bool) -> Resource:
    return _with(patient, "active", active)


def kept(patient: Resource, system: str) -> Kept:
    """The parts that the index may have written, as they are."""
    own = tuple(each for each in patient.get("identifier", ()) if each.get("system") == system)
    return Kept(own, tuple(patient.get("link", ())), patient.get("active"))


def restored(patient: Resource, before: Kept, after: Kept) -> Resource:
    """Links and `active` as before an act, as far as nobody changed them since; numbers are marked anew."""
    made = [each for each in after.links if each not in before.links]
    gone = [each for each in before.links if each not in after.links]
    links = [each for each in patient.get("link", ()) if each not in made]
    links += [each for each in gone if each not in links]
    patient = _with(patient, "link", links)
    if before.active != after.active and patient.get("active") == after.active:
        patient = _with(patient, "active", before.active)
    return patient


def is_linked(patient: Mapping[str, Any], other: str) -> bool:
    return any(_target(each) == other for each in patient.get("link", ()))


def is_replaced(patient: Mapping[str, Any]) -> bool:
    return any(each.get("type") == REPLACED_BY for each in patient.get("link", ()))


def replacing(patient: Mapping[str, Any]) -> tuple[str, ...]:
    """What it is replaced by."""
    links = patient.get("link", ())
    return tuple(_target(each) for each in links if each.get("type") == REPLACED_BY and _target(each))


def _identifier(stated: Mapping[str, Any], system: str, number: str) -> dict[str, Any]:
    use = stated.get("use", "secondary")
    return {"type": _TYPE, **stated, "use": "secondary" if use == "old" else use, "system": system, "value": number}


def _is(identifier: Mapping[str, Any], system: str, values: Collection[str]) -> bool:
    return identifier.get("system") == system and identifier.get("value") in values


def _target(link: Mapping[str, Any]) -> str:
    return str(link.get("other", {}).get("reference", ""))


def _with(patient: Resource, name: str, value: Sequence[Any] | bool | None) -> Resource:
    """Elements that are new come behind the others; an empty one goes."""
    made = {each: held for each, held in patient.items() if each != name}
    if value is None or value == []:
        return made
    return {**patient, name: value}
