"""R4's own invariants on official examples, against what fhirpathpy makes of them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from fhirpathpy import compile as compile_elsewhere
from fhirpathpy.models import models

from profiles.definitions import CANONICAL, definitions
from profiles.fhirpath.engine import Environment, Node, compile_expression, resource_node
from profiles.fhirpath.nodes import children

EVERY = 6
"""One example in so many: the other implementation takes a millisecond for an expression."""

OTHERWISE: Mapping[str, str] = {
    "htmlChecks": "fhirpathpy has no htmlChecks()",
    "hasValue": "fhirpathpy has no hasValue()",
    "!= value.exists()": "fhirpathpy has no types within a fragment, so it finds no value[x]",
    "probability": "the same of probability[x]",
    "low <= high": "fhirpathpy does not compare FHIR quantities",
    "trace": "fhirpathpy prints what it traces",
    "resolve": "fhirpathpy has no resolve()",
    "matches": "fhirpathpy matches from the start of the text",
    "descendants().as": "fhirpathpy refuses as() on several items",
}


@cache
def invariants(type_name: str) -> tuple[tuple[str, str], ...]:
    structure = definitions().structure(CANONICAL + type_name.partition(".")[0])
    elements = structure["snapshot"]["element"] if structure else []
    found = next((each for each in elements if each["path"] == type_name), {})
    return tuple((each["key"], each["expression"]) for each in found.get("constraint", ()) if "expression" in each)


def examples(shared: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(shared / "data/fhir/examples/official-r4-examples.tar.xz") as packed:
        files = sorted((each for each in packed if each.name.endswith(".json")), key=lambda each: each.name)
        for member in files[::EVERY]:
            file = packed.extractfile(member)
            assert file
            yield json.load(file, parse_float=Decimal)


def within(node: Node) -> Iterator[Node]:
    """The item and all in it that belongs to the same resource."""
    yield node
    for child in children(node):
        if isinstance(child.value, dict) and "resourceType" not in child.value:
            yield from within(child)


def with_floats(value: Any) -> Any:
    return json.loads(json.dumps(value, default=float))


@cache
def elsewhere(text: str) -> Any:
    return compile_elsewhere(text, models["r4"])


def test_invariants_give_what_another_implementation_gives(shared: Path) -> None:
    compared = 0
    for resource in examples(shared):
        root = resource_node(resource)
        plain = with_floats(resource)
        for node in within(root):
            for key, text in invariants(node.type or ""):
                if key == "ele-1" or any(each in text for each in OTHERWISE):
                    continue
                ours = [each.value for each in compile_expression(text).evaluate(node, Environment(resource=root))]
                theirs = elsewhere(text)(with_floats(node.value), {"resource": plain, "rootResource": plain})
                assert ours == theirs, (key, resource["resourceType"], resource.get("id"))
                compared += 1
    assert compared > 500


def test_every_invariant_of_the_definitions_compiles() -> None:
    known = definitions()
    texts = {
        constraint["expression"]
        for url in known.urls()
        for element in (known.structure(url) or {})["snapshot"]["element"]
        for constraint in element.get("constraint", ())
        if "expression" in constraint
    }
    assert len(texts) > 150
    for text in texts:
        compile_expression(text)


def test_every_search_expression_compiles() -> None:
    texts = {each["expression"] for each in definitions().parameters if each.get("expression")}
    assert len(texts) > 1000
    for text in texts:
        compile_expression(text)
