"""Picking a patient: found by what people know of them, and never beyond the picker's own rights."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.fhir.json_form import Resource
from server.fusion.patient_picker import MOST, Listed, PatientPicker
from server.kernel.context import Actor, Context, Grant
from tests.server.bridge.clinical import Clinical, run

LOOK = (Grant(frozenset({"read", "search"}), frozenset({"Patient"})),)
SYSTEM = "http://weft.health/fhir/sid/patient-id"
ANNA: Resource = {
    "resourceType": "Patient",
    "id": "anna",
    "identifier": [{"system": SYSTEM, "value": "M-1001"}, {"system": "urn:x", "value": "7"}, {"value": "8"}],
    "name": [{"family": "Maiden", "use": "maiden"}, {"family": "Berg", "given": ["Anna", "Maria"], "use": "official"}],
    "birthDate": "1958-03-21",
    "gender": "female",
}
LI: Resource = {
    "resourceType": "Patient",
    "id": "li",
    "identifier": [{"system": SYSTEM, "value": "M-1003"}],
    "name": [{"family": "李", "given": ["小明"]}],
    "birthDate": "1971-11-30",
}
NAMELESS: Resource = {"resourceType": "Patient", "id": "x", "birthDate": "1958-03-21"}


def _context(*roles: str, own: frozenset[str] = frozenset(), grants: tuple[Grant, ...] = LOOK) -> Context:
    return Context(Actor("user u", "Somebody", grants, frozenset(roles), user="u", own_patients=own), "test")


async def _ids(picker: PatientPicker, context: Context, text: str) -> set[str]:
    return {each.id for each in await picker.search(context, text)}


def test_a_patient_is_told_in_few_words(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(ANNA, LI, NAMELESS)
        picker = PatientPicker(clinical.searcher)
        found = await picker.several(_context("nurse"), ["anna", "li", "x", "nobody", "../x", ""])
        assert sorted(found) == [
            Listed("anna", "Anna Maria Berg", "1958-03-21", "female", ("M-1001", "7")),
            Listed("li", "李小明", "1971-11-30", "", ("M-1003",)),
            Listed("x", "", "1958-03-21", "", ()),
        ]

    run(tmp_path, body)


def test_found_by_name_number_or_date_of_birth(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(ANNA, LI, NAMELESS)
        picker, nurse = PatientPicker(clinical.searcher), _context("nurse")
        for text, ids in {
            "berg": {"anna"},
            " Berg  anna ": {"anna"},
            "berg li": set(),
            "李": {"li"},
            "小明": {"li"},
            "M-1003": {"li"},
            "1958-03-21": {"anna", "x"},
            "1958-02-31": set(),
            "": set(),
            "a,b|c$d\\": set(),
            "*": set(),
            "x" * 5000: set(),
        }.items():
            assert await _ids(picker, nurse, text) == ids, text

    run(tmp_path, body)


@pytest.mark.parametrize(
    ("context", "ids"),
    [
        (_context("nurse"), {"anna", "li"}),
        (_context("patient", own=frozenset({"li"})), {"li"}),
        (_context("proxy", own=frozenset({"anna"})), {"anna"}),
        (_context("administrator"), set()),
        (_context("auditor"), set()),
        (_context(), set()),
        (_context("nurse", grants=()), set()),
    ],
    ids=["nurse", "patient", "proxy", "administrator", "auditor", "no role", "no grant"],
)
def test_nobody_sees_more_here_than_over_fhir(tmp_path: Path, context: Context, ids: set[str]) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(ANNA, LI)
        picker = PatientPicker(clinical.searcher)
        assert {each.id for each in await picker.several(context, ["anna", "li"])} == ids
        found = [await _ids(picker, context, text) for text in ("berg", "M-1001", "小明", "1958-03-21")]
        assert set().union(*found) == ids

    run(tmp_path, body)


def test_a_list_is_short(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(*({**ANNA, "id": f"p{number}"} for number in range(MOST + 5)))
        assert len(await PatientPicker(clinical.searcher).search(_context("nurse"), "berg")) == MOST

    run(tmp_path, body)
