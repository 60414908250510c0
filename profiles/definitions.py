"""The published R4 definitions as the product keeps them: structures, shapes of types, search parameters, compartments.

Everything is read from compact tables once and decoded on demand: a process that never meets a type never pays for it.
A `Shape` is what a reader, a writer or a subset of a resource needs; the validator compiles whole
StructureDefinitions instead, HL7's and others' alike.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
FHIR_VERSION = "4.0.1"

_TABLES = Path(__file__).parent / "tables"
_SYSTEM = "http://hl7.org/fhirpath/System."
_FHIR_TYPE = CANONICAL + "structuredefinition-fhir-type"

Structure = dict[str, Any]
"""A StructureDefinition resource; HL7's own are reduced to facts (no prose)."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a shape, as its definition gives it."""

    name: str
    """As FHIRPath says it: `value` for `value[x]`."""
    path: str
    """As the definition says it: `Observation.value[x]`."""
    minimum: int
    maximum: int | None
    """`None` is `*`."""
    types: tuple[str, ...]
    """FHIR type codes; `BackboneElement` or `Element` where the children are defined in place."""
    targets: tuple[str, ...]
    """Resource types a Reference or canonical may point to; empty for any, or where it is no reference."""
    is_choice: bool
    is_summary: bool
    is_modifier: bool
    is_attribute: bool
    """Whether XML writes it as an attribute."""
    children: str | None
    """The shape of children defined in place (also by contentReference): `Observation.component`."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a JSON property stands for: an element and, of a choice, which type."""

    name: str
    element: Element
    type: str
    shape: str | None
    """The shape of its value; `None` for a primitive and for `Resource` (a resource tells its own)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The children of a type or of an element with children of its own, in the order of the definition."""

    name: str
    elements: tuple[Element, ...]
    members: Mapping[str, Member]
    """By JSON property name, without the `_x` of primitive extensions; in the order of the definition."""


class Definitions:
    """HL7's R4 4.0.1 definitions. Ask `definitions()` for the one instance."""

    @cached_property
    def _raw(self) -> dict[str, msgspec.Raw]:
        return msgspec.json.decode(_table("structures"), type=dict[str, msgspec.Raw])

    @cached_property
    def _heads(self) -> dict[str, dict[str, Any]]:
        return {url: msgspec.json.decode(raw, type=_Head).plain() for url, raw in self._raw.items()}

    @cached_property
    def parameters(self) -> list[dict[str, Any]]:
        """SearchParameter resources, reduced to facts."""
        return list(msgspec.json.decode(_table("parameters")))

    @cached_property
    def compartments(self) -> dict[str, dict[str, list[str]]]:
        """By compartment (`Patient`) and resource type: codes of the parameters that make a member.

        `{def}` stands for the resource of the compartment itself.
        """
        found: dict[str, dict[str, list[str]]] = msgspec.json.decode(_table("compartments"))
        return found

    @cached_property
    def resource_types(self) -> tuple[str, ...]:
        """The 146 concrete resource types, sorted."""
        heads = self._heads.values()
        return tuple(sorted(
            each["type"] for each in heads
            if each["kind"] == "resource" and not each["abstract"] and each["derivation"] == "specialization"
        ))  # fmt: skip

    @cached_property
    def primitive_types(self) -> frozenset[str]:
        return frozenset(each["type"] for each in self._heads.values() if each["kind"] == "primitive-type") | {"xhtml"}

    @cached_property
    def data_types(self) -> frozenset[str]:
        """Names of complex data types."""
        heads = self._heads.values()
        return frozenset(
            each["type"] for each in heads if each["kind"] == "complex-type" and each["derivation"] != "constraint"
        )

    def urls(self) -> tuple[str, ...]:
        """The canonical URLs of every structure known here."""
        return tuple(self._raw)

    def structure(self, url: str) -> Structure | None:
        """A structure by canonical URL; the caller must not change it."""
        return self._structure(url) if url in self._raw else None

    @cache  # noqa: B019  (one instance, which lives as long as the process)
    def _structure(self, url: str) -> Structure:
        found: Structure = msgspec.json.decode(self._raw[url])
        return found

    def base_of(self, type_name: str) -> str | None:
        """The type that a type specialises: `Age` gives `Quantity`, `Patient` gives `DomainResource`."""
        head = self._heads.get(CANONICAL + type_name)
        base = head and head["baseDefinition"]
        return base.removeprefix(CANONICAL) if base else None

    @cache  # noqa: B019
    def shape(self, name: str) -> Shape:
        """The shape of a type (`Patient`, `HumanName`) or of an element (`Patient.contact`); `KeyError` if unknown."""
        root = name.partition(".")[0]
        shapes = self._shapes(root)
        return shapes[name]

    @cache  # noqa: B019
    def _shapes(self, type_name: str) -> dict[str, Shape]:
        structure = self.structure(CANONICAL + type_name)
        if structure is None:
            raise KeyError(type_name)
        children: dict[str, list[dict[str, Any]]] = {}
        for each in structure["snapshot"]["element"][1:]:
            children.setdefault(each["path"].rpartition(".")[0], []).append(each)
        elements = {path: [_element(each, children) for each in listed] for path, listed in children.items()}
        return {path: self._shape(path, listed) for path, listed in elements.items()} or {
            type_name: Shape(type_name, (), {})
        }

    def _shape(self, path: str, elements: list[Element]) -> Shape:
        members = [self._member(each, type_name) for each in elements for type_name in each.types]
        return Shape(path, tuple(elements), {each.name: each for each in members})

    def _member(self, element: Element, type_name: str) -> Member:
        name = element.name + type_name[0].upper() + type_name[1:] if element.is_choice else element.name
        is_plain = type_name in self.primitive_types or type_name in ("Resource", "DomainResource")
        return Member(name, element, type_name, element.children or (None if is_plain else type_name))


class _Head(msgspec.Struct):
    type: str
    kind: str
    abstract: bool = False
    baseDefinition: str | None = None
    derivation: str | None = None

    def plain(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def _element(definition: dict[str, Any], children: Mapping[str, object]) -> Element:
    path = definition["path"]
    name = path.rpartition(".")[2]
    types = definition.get("type", [{"code": "BackboneElement"}])
    reference = definition.get("contentReference", "").removeprefix("#") or None
    return Element(
        name=name.removesuffix("[x]"),
        path=path,
        minimum=definition["min"],
        maximum=None if definition["max"] == "*" else int(definition["max"]),
        types=tuple(dict.fromkeys(_type_of(each) for each in types)),
        targets=tuple(dict.fromkeys(
            target.removeprefix(CANONICAL) for each in types for target in each.get("targetProfile", ())
        )),
        is_choice=name.endswith("[x]"),
        is_summary=definition.get("isSummary", False),
        is_modifier=definition.get("isModifier", False),
        is_attribute="xmlAttr" in definition.get("representation", ()),
        children=reference or (path if path in children else None),
    )  # fmt: skip


def _type_of(described: dict[str, Any]) -> str:
    """The FHIR type: where a definition names a type of FHIRPath's system, it tells the FHIR type beside it."""
    code: str = described["code"]
    if not code.startswith(_SYSTEM):
        return code
    for extension in described.get("extension", ()):
        if extension["url"] == _FHIR_TYPE:
            return str(extension["valueUrl"])
    return code.removeprefix(_SYSTEM).lower()


def _table(name: str) -> bytes:
    return lzma.decompress((_TABLES / f"{name}.json.xz").read_bytes())


@cache
def definitions() -> Definitions:
    return Definitions()
