"""What an operation is given and what it answers: Parameters resources and query strings (FHIR R4 3.2.0, operations).

One reading for both: a value from a query is text and is read as the type the operation asks for, a value from a
Parameters resource has a type of its own, which must fit. An operation never looks at the HTTP request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from server.fhir.json_form import Resource
from server.kernel.problem import Issue, Kind, Problem

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_TEXTS = frozenset((
    "string", "code", "uri", "url", "canonical", "id", "oid", "uuid", "markdown", "date", "dateTime", "instant", "time",
))  # fmt: skip
_INTEGERS = frozenset(("integer", "positiveInt", "unsignedInt"))
_TYPED = re.compile(r"value([A-Z][A-Za-z0-9]*)")


@dataclass(frozen=True, slots=True)
class Given:
    """One value of one parameter."""

    name: str
    type: str | None
    """FHIR type of the value, `resource` or `part`; `None` where the value is text from a query."""
    value: Any
    location: str | None = None

    def wrong(self, wanted: str) -> Problem:
        return invalid(f"The parameter {self.name} must be a {wanted}.", self.location)


@dataclass(frozen=True, slots=True)
class OperationParameters:
    """All values of an operation's parameters, in the order given."""

    values: tuple[Given, ...] = ()

    @classmethod
    def read(cls, resource: Resource) -> OperationParameters:
        """Those of a Parameters resource; a `Problem` (invalid) where it is none."""
        if resource.get("resourceType") != "Parameters":
            raise invalid("The body of an operation must be a Parameters resource.", "resourceType")
        return cls(_given(resource.get("parameter", []), "Parameters.parameter"))

    @classmethod
    def of_query(cls, pairs: Iterable[tuple[str, str]]) -> OperationParameters:
        """Those of a query string, decoded; empty values say nothing."""
        return cls(tuple(Given(name, None, value) for name, value in pairs if value))

    def adding(self, name: str, type_name: str, value: Any) -> OperationParameters:
        """These and one more, as the path of a request gives one: the resource an operation is called upon."""
        return OperationParameters((*self.values, Given(name, type_name, value)))

    def joined(self, other: OperationParameters) -> OperationParameters:
        return OperationParameters(self.values + other.values)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.values)

    def given(self, name: str) -> tuple[Given, ...]:
        return tuple(each for each in self.values if each.name == name)

    def one(self, name: str) -> Given | None:
        """The value of a parameter that may be there once; a `Problem` (invalid) where it is there twice."""
        found = self.given(name)
        if len(found) > 1:
            raise invalid(f"The parameter {name} is given more than once.", found[1].location)
        return found[0] if found else None

    def get(self, name: str) -> Any:
        """The value as it was given, whatever its type; `None` where there is none."""
        found = self.one(name)
        return found.value if found else None

    def all(self, name: str) -> list[Any]:
        return [each.value for each in self.given(name)]

    def string(self, name: str) -> str | None:
        """The text of a string, code, uri, canonical, date or any other primitive that is written as text."""
        found = self.one(name)
        return _text(found) if found else None

    def strings(self, name: str) -> list[str]:
        return [_text(each) for each in self.given(name)]

    def required(self, name: str) -> str:
        found = self.string(name)
        if found is None:
            raise missing(name)
        return found

    def boolean(self, name: str, default: bool = False) -> bool:
        found = self.one(name)
        if found is None:
            return default
        if found.type is None and found.value in ("true", "false"):
            return bool(found.value == "true")
        if found.type != "boolean" or not isinstance(found.value, bool):
            raise found.wrong("boolean")
        return found.value

    def integer(self, name: str, minimum: int = 0) -> int | None:
        found = self.one(name)
        return _integer(found, minimum) if found else None

    def coding(self, name: str) -> dict[str, Any] | None:
        """A Coding; in a query `system|code`, as in a search for a token."""
        found = self.one(name)
        return _coding(found) if found else None

    def codings(self, name: str) -> list[dict[str, Any]]:
        return [_coding(each) for each in self.given(name)]

    def complex(self, name: str, type_name: str) -> dict[str, Any] | None:
        """A value of a complex type, which only a Parameters resource can give."""
        found = self.one(name)
        if found is None:
            return None
        if found.type != type_name or not isinstance(found.value, dict):
            raise found.wrong(type_name)
        return found.value

    def resource(self, name: str, *types: str) -> Resource | None:
        """A resource of one of these types; of any where none is named."""
        found = self.one(name)
        return _resource(found, types) if found else None

    def resources(self, name: str, *types: str) -> list[Resource]:
        return [_resource(each, types) for each in self.given(name)]

    def parts(self, name: str) -> list[OperationParameters]:
        """What each value of a parameter with parts holds."""
        found = self.given(name)
        for each in found:
            if each.type != "part":
                raise each.wrong("group of parts")
        return [OperationParameters(each.value) for each in found]

    def allow(self, names: Iterable[str]) -> None:
        """Raise a `Problem` (invalid) for a parameter that is none of these; those like `_format` are not looked at."""
        known = frozenset(names)
        for each in self.values:
            if each.name not in known and not each.name.startswith("_"):
                raise invalid(f"The operation has no parameter {each.name[:64]}.", each.location)


def parameter(name: str, **value: Any) -> dict[str, Any]:
    """One parameter of an answer: `parameter("result", valueBoolean=True)`, or with `resource=` or `part=`."""
    return {"name": name} | value


def parameters(*given: dict[str, Any] | None) -> Resource:
    """The Parameters resource of an answer; what is `None` is left out."""
    listed = [each for each in given if each is not None]
    return {"resourceType": "Parameters"} | ({"parameter": listed} if listed else {})


def invalid(text: str, location: str | None = None) -> Problem:
    return Problem(Kind.INVALID, text, (Issue(text, location, "invalid"),))


def missing(*names: str) -> Problem:
    text = f"The operation needs the parameter {' or '.join(names)}."
    return Problem(Kind.INVALID, text, (Issue(text, None, "required"),))


def _given(listed: Any, location: str) -> tuple[Given, ...]:
    if not isinstance(listed, list):
        raise invalid("The parameters must be a list.", location)
    return tuple(_one_given(each, f"{location}[{index}]") for index, each in enumerate(listed))


def _one_given(described: Any, location: str) -> Given:
    """FHIR's rule inv-1: a parameter has a value, a resource or parts, and only one of these."""
    name = described.get("name") if isinstance(described, dict) else None
    if not isinstance(name, str):
        raise invalid("Each parameter must have a name.", location)
    found = [key for key in described if key in ("resource", "part") or _TYPED.fullmatch(key)]
    if len(found) != 1:
        raise invalid(f"The parameter {name[:64]} must have one value, one resource or parts.", location)
    value = described[found[0]]
    match found[0]:
        case "resource":
            return Given(name, "resource", value, location)
        case "part":
            return Given(name, "part", _given(value, f"{location}.part"), location)
        case typed:
            return Given(name, _type_of(typed), value, location)


def _type_of(typed: str) -> str:
    """`valueString` holds a `string` and `valueCoding` a `Coding`: only primitives begin with a small letter."""
    name = typed.removeprefix("value")
    small = name[0].lower() + name[1:]
    return small if small in _PRIMITIVES else name


_PRIMITIVES = _TEXTS | _INTEGERS | {"boolean", "decimal", "base64Binary"}


def _text(given: Given) -> str:
    if given.type is not None and given.type not in _TEXTS or not isinstance(given.value, str):
        raise given.wrong("string")
    return given.value


def _integer(given: Given, minimum: int) -> int:
    value = given.value
    if given.type is None and _INTEGER.fullmatch(value):
        value = int(value)
    elif given.type not in _INTEGERS or isinstance(value, bool) or not isinstance(value, int):
        raise given.wrong("whole number")
    if not minimum <= value < 2**31:
        raise given.wrong(f"whole number from {minimum}")
    return int(value)


def _coding(given: Given) -> dict[str, Any]:
    if given.type is None:
        system, bar, code = given.value.rpartition("|")
        return {"system": system, "code": code} if bar and system else {"code": code}
    if given.type != "Coding" or not isinstance(given.value, dict):
        raise given.wrong("Coding")
    return given.value


def _resource(given: Given, types: Sequence[str]) -> Resource:
    value = given.value
    if given.type != "resource" or not isinstance(value, dict) or (types and value.get("resourceType") not in types):
        raise given.wrong(" or ".join(types) + " resource" if types else "resource")
    return value
