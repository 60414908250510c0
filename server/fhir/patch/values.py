"""Values in a FHIRPath Patch: a `value[x]`, a resource, or parts that make up an anonymous element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from profiles.definitions import Member, definitions
from server.fhir.json_form import Resource
from server.fhir.patch.change import unreadable
from server.fhir.patch.elements import Element, Object, read, write
from server.fhir.patch.places import properties

_NUMBERS = frozenset(("integer", "positiveInt", "unsignedInt", "decimal"))


@dataclass(frozen=True, slots=True)
class Given:
    """What an operation brings."""

    part: Mapping[str, Any]
    operation: int

    def element(self, candidates: tuple[Member, ...]) -> tuple[Member, Element]:
        """The property it belongs under, and it; a `Problem` (invalid) where its type is none of them."""
        if not candidates:
            raise unreadable("There is no such element.", self.operation)
        if "resource" in self.part:
            return self._resource(candidates)
        if "part" in self.part:
            return self._anonymous(candidates)
        name, type_name = self._typed()
        chosen = next((each for each in candidates if each.type == type_name), None)
        chosen = chosen or next((each for each in candidates if _may_stand_for(type_name, each.type)), None)
        if chosen is None:
            raise unreadable(f"The element cannot be a {type_name}.", self.operation)
        elements = [each for each in read(dict(self.part), name) if not each.is_empty]
        if len(elements) != 1:
            raise unreadable("An operation of this type needs one value.", self.operation)
        return chosen, elements[0]

    def _typed(self) -> tuple[str, str]:
        members = definitions().shape("Parameters.parameter").members
        for key in self.part:
            member = members.get(key.removeprefix("_"))
            if member is not None and member.element.name == "value":
                return member.name, member.type
        raise unreadable("An operation of this type needs a value.", self.operation)

    def _resource(self, candidates: tuple[Member, ...]) -> tuple[Member, Element]:
        chosen = next((each for each in candidates if each.type == "Resource"), None)
        if chosen is None:
            raise unreadable("The element cannot be a resource.", self.operation)
        return chosen, Element(self.part["resource"])

    def _anonymous(self, candidates: tuple[Member, ...]) -> tuple[Member, Element]:
        chosen = candidates[0]
        if chosen.shape is None:
            raise unreadable("A primitive has no parts.", self.operation)
        owner: Object = {}
        for part in parts_of(self.part):
            name = part.get("name")
            found = properties(chosen.shape, name if isinstance(name, str) else "")
            member, element = Given(part, self.operation).element(found)
            is_list = member.element.maximum != 1
            before = read(owner, member.name) if is_list else []
            owner = write(owner, member.name, [*before, element], is_list=is_list)
        return chosen, Element(owner)


def _may_stand_for(given: str, wanted: str) -> bool:
    """Clients send a string for a code and a date for a dateTime; what reads alike in JSON is judged by validation."""
    known = definitions()
    if given not in known.primitive_types or wanted not in known.primitive_types:
        return known.base_of(given) == wanted
    return _kind(given) == _kind(wanted)


def _kind(primitive: str) -> str:
    return "number" if primitive in _NUMBERS else "boolean" if primitive == "boolean" else "text"


def parts_of(parameter: Mapping[str, Any]) -> list[Resource]:
    parts = parameter.get("part")
    return [each for each in parts if isinstance(each, dict)] if isinstance(parts, list) else []
