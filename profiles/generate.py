"""Makes the tables in `profiles/tables` from HL7's published R4 definitions (4.0.1, CC0): facts only, no prose.

    python -m profiles.generate DEFINITIONS

`DEFINITIONS` is a folder with the bundles of the `hl7.fhir.r4.core` and `.examples` packages, plain or compressed
with xz. What comes out is the same for the same input, so a change of the tables is a change of the facts.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from profiles.generate_terminology import generate as generate_terminology

TABLES = Path(__file__).parent / "tables"

_STRUCTURE = ("url", "version", "name", "kind", "abstract", "type", "baseDefinition", "derivation", "context")
_ELEMENT = (
    "id", "path", "sliceName", "min", "max", "type", "contentReference", "maxLength", "isModifier", "isSummary",
    "representation", "slicing",
)  # fmt: skip
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_PARAMETER = ("url", "name", "code", "base", "type", "expression", "target", "component", "multipleOr", "xpathUsage")
_COMPARTMENTS = ("patient", "encounter", "practitioner", "relatedperson", "device")


def resources(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The resources of one bundle of the definitions."""
    plain = folder / f"{name}.json"
    text = plain.read_bytes() if plain.exists() else lzma.decompress((folder / f"{name}.json.xz").read_bytes())
    for entry in json.loads(text)["entry"]:
        yield entry["resource"]


def write_table(name: str, table: object) -> None:
    """Write a table as compact JSON, compressed; the same bytes for the same table."""
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    (TABLES / f"{name}.json.xz").write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    print(f"{name}: {len(text)} bytes of JSON")


def _tells(value: object) -> bool:
    """Absent and false say the same; zero does not."""
    return value is not None and value is not False


def structure(definition: dict[str, Any]) -> dict[str, Any]:
    """A StructureDefinition with its snapshot, reduced to what can be checked."""
    kept = {key: definition[key] for key in _STRUCTURE if _tells(definition.get(key))}
    return kept | {"snapshot": {"element": [element(each) for each in definition["snapshot"]["element"]]}}


def element(definition: dict[str, Any]) -> dict[str, Any]:
    kept = {key: definition[key] for key in _ELEMENT if _tells(definition.get(key))}
    kept |= {key: value for key, value in definition.items() if key.startswith(_VALUES)}
    if "slicing" in kept:
        kept["slicing"] = {key: value for key, value in kept["slicing"].items() if key != "description"}
    if "binding" in definition:
        binding = definition["binding"]
        kept["binding"] = {key: binding[key] for key in ("strength", "valueSet", "extension") if key in binding}
    rules = [rule(each) for each in definition.get("constraint", ()) if each["key"] != "ele-1"]
    return kept | ({"constraint": rules} if rules else {})


def rule(constraint: dict[str, Any]) -> dict[str, Any]:
    """An invariant; `ele-1`, which holds of every element, is left to whoever reads the table."""
    return {key: constraint[key] for key in ("key", "severity", "expression") if key in constraint}


def structures(folder: Path) -> dict[str, Any]:
    bundles = ("profiles-types", "profiles-resources", "profiles-others", "extension-definitions")
    found = (each for bundle in bundles for each in resources(folder, bundle))
    return {each["url"]: structure(each) for each in found if each["resourceType"] == "StructureDefinition"}


def parameters(folder: Path) -> list[dict[str, Any]]:
    return [{key: each[key] for key in _PARAMETER if key in each} for each in resources(folder, "search-parameters")]


def compartments(folder: Path) -> dict[str, dict[str, list[str]]]:
    """By compartment type and resource type: the search parameters that make a resource a member."""
    found = {}
    for name in _COMPARTMENTS:
        definition = json.loads((folder / f"compartmentdefinition-{name}.json").read_bytes())
        members = {each["code"]: each["param"] for each in definition["resource"] if each.get("param")}
        found[definition["code"]] = members
    return found


def main(folder: Path) -> None:
    write_table("structures", structures(folder))
    write_table("parameters", parameters(folder))
    write_table("compartments", compartments(folder))
    generate_terminology(folder, resources, write_table)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
