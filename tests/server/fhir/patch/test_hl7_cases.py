"""HL7's patch cases for R4: FHIRPath Patch and JSON Patch, every one."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lxml import etree

from server.fhir import xml_form
from server.fhir.json_form import Resource
from server.fhir.patch import fhirpath_patch, json_patch, xml_patch
from server.kernel.problem import Problem

FEWEST_FHIRPATH = 33
FEWEST_JSON = 16
FEWEST_XML = 28


def packed(shared: Path, name: str) -> bytes:
    with tarfile.open(shared / "data/fhir/examples/hl7-fhir-test-cases-r4.tar.xz") as archive:
        member = next(each for each in archive if each.name.endswith(f"r4/patch/{name}"))
        file = archive.extractfile(member)
        assert file
        return file.read()


def resource(case: etree._Element, name: str) -> Resource | None:
    found = case.find(f"{name}/*")
    return None if found is None else xml_form.decode(etree.tostring(found, with_tail=False))


def fhirpath_cases(shared: Path) -> Iterator[tuple[str, Resource, Resource, Resource | None]]:
    for case in etree.fromstring(packed(shared, "fhir-patch-tests.xml")).iter("case"):
        given, change = resource(case, "input"), resource(case, "diff")
        assert given
        assert change
        yield str(case.get("name")), given, change, resource(case, "output")


def test_fhirpath_patch_cases(shared: Path) -> None:
    passed = 0
    for name, given, change, expected in fhirpath_cases(shared):
        before = copy.deepcopy(given)
        if expected is None:
            with pytest.raises(Problem):
                fhirpath_patch.parse(change)(given)
        else:
            assert fhirpath_patch.parse(change)(given) == expected, name
        assert given == before, name
        passed += 1
    assert passed >= FEWEST_FHIRPATH


def test_json_patch_cases(shared: Path) -> None:
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    cases: list[dict[str, Any]] = decoder.decode(packed(shared, "json-patch-tests.json"))
    for case in cases:
        before = copy.deepcopy(case["doc"])
        change = json_patch.parse(msgspec.json.encode(case["patch"]))
        if "error" in case:
            with pytest.raises(Problem):
                change(case["doc"])
        else:
            assert change(case["doc"]) == case["expected"], case["comment"]
        assert case["doc"] == before, case["comment"]
    assert len(cases) >= FEWEST_JSON


def plain(root: etree._Element) -> bytes:
    """Without what has no meaning in a resource: white space between elements, unused prefixes."""
    etree.cleanup_namespaces(root)
    for each in root.iter():
        each.text = (each.text or "").strip()
        each.tail = None
    return etree.tostring(root, method="c14n")


def test_xml_patch_cases(shared: Path) -> None:
    passed = 0
    for case in etree.fromstring(packed(shared, "xml-patch-tests.xml")).iter("case"):
        target, patch, expected = (case.find(name) for name in ("target/*", "{*}patch", "patched/*"))
        assert patch is not None
        if target is None:
            continue
        document = etree.fromstring(etree.tostring(target, with_tail=False))
        if expected is None:
            with pytest.raises(Problem):
                xml_patch.apply(document, xml_patch.parse_operations(patch))
        else:
            wanted = etree.fromstring(etree.tostring(expected, with_tail=False))
            after = xml_patch.apply(document, xml_patch.parse_operations(patch))
            assert plain(after) == plain(wanted), case.get("name")
        passed += 1
    assert passed >= FEWEST_XML
