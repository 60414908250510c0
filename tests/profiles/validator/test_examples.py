"""HL7's examples and Synthea's records are valid."""

from __future__ import annotations

import bz2
import json
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.profiles.validator.small import PLAIN

FAULTY = {
    "Questionnaire-qs1.json": "items lack their linkId",
}
"""Examples that lack required elements, as the list of samples says."""


def read(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def official(shared: Path) -> Iterator[tuple[str, Any]]:
    with tarfile.open(shared / "data/fhir/examples/official-r4-examples.tar.xz") as archive:
        for member in archive:
            if member.name.endswith(".json") and (opened := archive.extractfile(member)) is not None:
                yield Path(member.name).name, read(opened.read())


@pytest.mark.slow
def test_official_examples_have_no_errors(shared: Path) -> None:
    wrong, count = {}, 0
    for name, resource in official(shared):
        count += 1
        found = [(each.expression, each.text) for each in PLAIN.validate(resource) if each.is_error]
        if found:
            wrong[name] = found[:3]
    assert count == 562
    assert {name: found for name, found in wrong.items() if name not in FAULTY} == {}
    assert set(FAULTY) <= set(wrong)


@pytest.mark.slow
def test_synthetic_records_have_no_errors(shared: Path) -> None:
    files = sorted((shared / "data/fhir/synthea").glob("*.bz2"))
    small = sorted(files, key=lambda each: each.stat().st_size)[:12]
    for path in [*files[:2], *small]:
        bundle = read(bz2.decompress(path.read_bytes()))
        for entry in bundle["entry"]:
            assert [each for each in PLAIN.validate(entry["resource"]) if each.is_error] == []
