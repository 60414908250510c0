"""Makes the terminology tables in `profiles/tables`: R4's code systems, value sets and concept maps, without prose.

Called by `python -m profiles.generate DEFINITIONS`. Each table is one JSON object by canonical URL; the values are the
FHIR resources themselves, reduced to what decides about codes, so that HL7's and a user's are read by the same code.
Code systems lie in three tables because a process that never meets v2 or v3 codes should not unpack them.
Currencies and IHE's format codes are stated by R4 only as an expansion, so their systems are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
Resources = Callable[[Path, str], Iterator[Resource]]
Write = Callable[[str, object], None]

_SYSTEM = (
    "resourceType", "url", "version", "name", "title", "status", "caseSensitive", "valueSet", "hierarchyMeaning",
    "compositional", "content", "supplements",
)  # fmt: skip
_SET = ("resourceType", "url", "version", "name", "title", "status")
_MAP = (
    "resourceType", "url", "version", "name", "title", "status", "sourceUri", "sourceCanonical", "targetUri",
    "targetCanonical",
)  # fmt: skip
_CONCEPT = ("code", "display", "designation", "property")
_BUNDLES = {"codesystems": "valuesets", "codesystems-v2": "v2-tables", "codesystems-v3": "v3-codesystems"}
_STATED_BY_EXPANSION = (
    ("urn:iso:std:iso:4217", "ISO4217", "http://hl7.org/fhir/ValueSet/currencies"),
    (
        "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem",
        "IHEFormatCode",
        "http://hl7.org/fhir/ValueSet/formatcodes",
    ),
)


def generate(folder: Path, resources: Resources, write: Write) -> None:
    """Write the tables from the definitions in a folder."""
    sets: dict[str, Resource] = {}
    for table, bundle in _BUNDLES.items():
        found = list(resources(folder, bundle))
        systems = {each["url"]: code_system(each) for each in found if each["resourceType"] == "CodeSystem"}
        if table == "codesystems":
            systems |= _stated_by_expansion(list(resources(folder, "valueset-expansions")))
        write(table, systems)
        sets |= {each["url"]: value_set(each) for each in found if each["resourceType"] == "ValueSet"}
    write("valuesets", sets)
    write("conceptmaps", {each["url"]: concept_map(each) for each in resources(folder, "conceptmaps")})


def code_system(resource: Resource) -> Resource:
    kept = _of(resource, _SYSTEM)
    if "property" in resource:
        kept["property"] = [_of(each, ("code", "uri", "type")) for each in resource["property"]]
    if "concept" in resource:
        kept["concept"] = [_concept(each) for each in resource["concept"]]
    return kept


def _concept(concept: Resource) -> Resource:
    kept = _of(concept, _CONCEPT)
    if "concept" in concept:
        kept["concept"] = [_concept(each) for each in concept["concept"]]
    return kept


def value_set(resource: Resource) -> Resource:
    compose = resource["compose"]
    kept = _of(compose, ("lockedDate", "inactive"))
    for side in ("include", "exclude"):
        if side in compose:
            kept[side] = [_part(each) for each in compose[side]]
    return _of(resource, _SET) | {"compose": kept}


def _part(part: Resource) -> Resource:
    kept = _of(part, ("system", "version", "filter", "valueSet"))
    if "concept" in part:
        kept["concept"] = [_of(each, ("code", "display", "designation")) for each in part["concept"]]
    return kept


def concept_map(resource: Resource) -> Resource:
    return _of(resource, _MAP) | {"group": [_group(each) for each in resource.get("group", ())]}


def _group(group: Resource) -> Resource:
    kept = _of(group, ("source", "sourceVersion", "target", "targetVersion", "unmapped"))
    return kept | {"element": [_element(each) for each in group["element"]]}


def _element(element: Resource) -> Resource:
    kept = _of(element, ("code", "display"))
    if "target" in element:
        names = ("code", "display", "equivalence", "dependsOn", "product")
        kept["target"] = [_of(each, names) for each in element["target"]]
    return kept


def _stated_by_expansion(expansions: list[Resource]) -> dict[str, Resource]:
    """Fragments: a later edition of the system may have more codes than R4 lists."""
    sets = {each["url"]: each["expansion"]["contains"] for each in expansions if "contains" in each["expansion"]}
    found = {}
    for system, name, url in _STATED_BY_EXPANSION:
        concepts = [_of(each, ("code", "display")) for each in sets[url] if each["system"] == system]
        head = {"resourceType": "CodeSystem", "url": system, "name": name, "status": "active"}
        found[system] = head | {"caseSensitive": True, "content": "fragment", "concept": concepts}
    return found


def _of(resource: Resource, names: tuple[str, ...]) -> Resource:
    return {name: resource[name] for name in names if name in resource}
