"""The parts of one registry object taken away one by one, by the names that XDS gives them (IHE ITI TF-3 4.2.3).

What is left when a kind of object has taken its own is the submitter's: slots are kept, other things are told of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.xds.errors import ErrorCode, RegistryError
from server.xds.metadata import Author, Code, Slot
from server.xds.rim import Classified, Parts

_UUID = "urn:uuid:"


def identity(text: str) -> str:
    """An object's id: UUIDs in lower case, as the registry keeps them; symbolic ids as they are."""
    return text.lower() if text[:9].lower() == _UUID else text


@dataclass(slots=True)
class Findings:
    """What was noticed in a message; `is_strict`: whether the form of its elements is judged."""

    is_strict: bool = True
    errors: list[RegistryError] = field(default_factory=list)
    unsaved: list[str] = field(default_factory=list)
    """Ids of objects that carried what metadata values have no place for."""


class Fields:
    """The parts of one object, taken away one by one; what is left is the submitter's own."""

    def __init__(self, parts: Parts, findings: Findings) -> None:
        self.parts = parts
        self._findings = findings
        self._codes: dict[str, list[Classified]] = defaultdict(list)
        self._nodes: set[str] = set()
        self.classify(parts.classifications)

    @property
    def id(self) -> str:
        return identity(self.parts.id)

    def wrong(self, text: str) -> None:
        self._findings.errors.append(RegistryError(ErrorCode.REGISTRY_METADATA, text, self.parts.id))

    def classify(self, found: Iterable[Classified]) -> None:
        for each in found:
            if each.node:
                self._nodes.add(each.node)
            else:
                self._codes[each.scheme].append(each)

    def is_node(self, node: str) -> bool:
        """Whether it is classified as one; asked of every node there may be before `finish`."""
        if node in self._nodes:
            self._nodes.discard(node)
            return True
        return False

    def finish(self) -> None:
        if self._findings.is_strict and self.parts.strangers:
            self.wrong("A classification or identifier within the object does not name it.")
        if self._findings.is_strict and not self.parts.is_ordered:
            self.wrong("The elements of the object are not in the order of the schema.")
        for name in self.parts.repeated:
            self.wrong(f"Slot {name} stands more than once, with different values.")
        if self._codes or self._nodes or self.parts.identifiers:
            self._findings.unsaved.append(self.id)

    def many(self, name: str) -> tuple[str, ...]:
        return self.parts.slots.pop(name, ())

    def one(self, name: str) -> str:
        values = self.many(name)
        if len(values) > 1:
            self.wrong(f"Slot {name} has more than one value.")
        return values[0] if values else ""

    def uri(self) -> str:
        """A long one comes in pieces, `1|http://…` and `2|…` (TF-3 4.2.3.2.27)."""
        pieces = self.many("URI")
        if len(pieces) < 2:
            return pieces[0] if pieces else ""
        numbered = {number: rest for number, bar, rest in (each.partition("|") for each in pieces) if bar}
        if len(numbered) != len(pieces) or not all(each.isdecimal() and len(each) < 4 for each in numbered):
            self.wrong("Slot URI has several values that are no numbered pieces of one.")
            return ""
        return "".join(numbered[number] for number in sorted(numbered, key=int))

    def rest(self) -> tuple[Slot, ...]:
        """Slots not asked for, so asked last."""
        return tuple(Slot(name, values) for name, values in self.parts.slots.items())

    def codes(self, scheme: str) -> tuple[Code, ...]:
        return tuple(self._code(each) for each in self._codes.pop(scheme, ()))

    def code(self, scheme: str, attribute: str) -> Code | None:
        found = self.codes(scheme)
        if len(found) > 1:
            self.wrong(f"{attribute} stands more than once.")
        return found[0] if found else None

    def _code(self, found: Classified) -> Code:
        schemes = found.slots.get("codingScheme", ())
        if len(schemes) > 1:
            self.wrong("Slot codingScheme has more than one value.")
        return Code.named(found.representation, schemes[0] if schemes else "", found.name)

    def authors(self, scheme: str) -> tuple[Author, ...]:
        return tuple(self._author(each.slots) for each in self._codes.pop(scheme, ()))

    def _author(self, slots: dict[str, tuple[str, ...]]) -> Author:
        persons = slots.get("authorPerson", ())
        if len(persons) > 1:
            self.wrong("Slot authorPerson has more than one value.")
        return Author(
            persons[0] if persons else "",
            slots.get("authorInstitution", ()),
            slots.get("authorRole", ()),
            slots.get("authorSpecialty", ()),
            slots.get("authorTelecommunication", ()),
        )

    def identifier(self, scheme: str, attribute: str) -> str:
        found = [value for known, value in self.parts.identifiers if known == scheme]
        if len(found) > 1:
            self.wrong(f"{attribute} stands more than once.")
        self.parts.identifiers = [each for each in self.parts.identifiers if each[0] != scheme]
        return found[0] if found else ""

    def number(self, name: str) -> int | None:
        text = self.one(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            self.wrong(f"Slot {name} is no whole number.")
            return None
        return int(text)

    def membership(self) -> bool | None:
        text = self.one("SubmissionSetStatus")
        if text not in ("", "Original", "Reference"):
            self.wrong("SubmissionSetStatus is neither Original nor Reference.")
        return text == "Original" if text else None
