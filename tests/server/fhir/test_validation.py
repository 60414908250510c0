"""What keeps a resource from being stored, and as which problem."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from profiles.findings import Finding, Severity
from profiles.terminology.service import Terminology
from profiles.validator.validator import Validator
from server.fhir.validation import (
    MAX_ISSUES,
    Checked,
    Structures,
    Validation,
    is_light,
    verdict,
)
from server.kernel.offload import Offload
from server.kernel.problem import Kind

MINE = "https://a.test/StructureDefinition/mine"
STRUCTURE = {
    "resourceType": "StructureDefinition",
    "url": MINE,
    "version": "1",
    "type": "Patient",
    "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {"element": [{"path": "Patient.birthDate", "min": 1}]},
}
TERMINOLOGY = Terminology()


class Known:
    """Structures in memory; what is asked for may carry a version."""

    def __init__(self, *structures: dict[str, Any]) -> None:
        self.structures = list(structures)

    def find(self, url: str) -> dict[str, Any] | None:
        named = (each for each in self.structures if url in (each["url"], f"{each['url']}|{each['version']}"))
        return next(named, None)


@pytest.fixture
def offload() -> Iterator[Offload]:
    made = Offload(io_threads=1, cpu_threads=1)
    yield made
    made.close()


def validation(offload: Offload, *structures: dict[str, Any], declared: Severity = Severity.ERROR) -> Validation:
    known = Structures(Known(), Known(*structures))
    return Validation(Validator(known, TERMINOLOGY), offload, declared=declared)


def check(service: Validation, resource: dict[str, Any]) -> Checked:
    return asyncio.run(service.checked([resource]))[0]


def test_a_valid_resource_is_let_pass_with_its_warnings(offload: Offload) -> None:
    checked = check(validation(offload), {"resourceType": "Patient", "active": True})
    assert checked.problem is None
    assert [(each.location, each.code) for each in checked.warnings] == [("Patient", "invariant")]


@pytest.mark.parametrize(
    ("resource", "kind", "place", "code"),
    [
        ({"resourceType": "Patient", "active": "true"}, Kind.INVALID, "Patient.active", "value"),
        ({"resourceType": "Patient", "colour": 1}, Kind.INVALID, "Patient", "structure"),
        ({"resourceType": "Observation", "status": "final"}, Kind.INVALID, "Observation", "required"),
        ({"resourceType": "Patient", "gender": "x"}, Kind.UNSUPPORTED, "Patient.gender", "code-invalid"),
        ({"resourceType": "Organization", "active": True}, Kind.UNSUPPORTED, "Organization", "invariant"),
        ({"resourceType": "Patient", "meta": {"profile": [MINE]}}, Kind.UNSUPPORTED, "Patient", "required"),
        ({"resourceType": "Patient", "meta": {"profile": [MINE + "|1"]}}, Kind.UNSUPPORTED, "Patient", "required"),
    ],
)
def test_what_is_wrong_decides_the_kind(
    resource: dict[str, Any], kind: Kind, place: str, code: str, offload: Offload
) -> None:
    problem = check(validation(offload, STRUCTURE), resource).problem
    assert problem is not None
    assert problem.kind is kind
    assert [(each.location, each.code) for each in problem.issues] == [(place, code)]


def test_issues_name_the_rule(offload: Offload) -> None:
    problem = check(validation(offload), {"resourceType": "Organization", "active": True}).problem
    assert problem is not None
    assert "org-1" in problem.issues[0].text


def test_declared_profiles_can_be_warnings(offload: Offload) -> None:
    service = validation(offload, STRUCTURE, declared=Severity.WARNING)
    checked = check(service, {"resourceType": "Patient", "meta": {"profile": [MINE]}})
    assert checked.problem is None
    assert ("Patient", "required") in [(each.location, each.code) for each in checked.warnings]
    wrong = check(service, {"resourceType": "Patient", "meta": {"profile": [MINE]}, "active": 1})
    assert wrong.problem is not None
    assert [each.location for each in wrong.problem.issues] == ["Patient.active"]


def test_each_of_many_is_judged_by_itself(offload: Offload) -> None:
    good, bad = {"resourceType": "Patient"}, {"resourceType": "Patient", "active": 1}
    found = asyncio.run(validation(offload).check_all([good, bad, good]))
    assert [each is None for each in found] == [True, False, True]


def test_structures_that_change_count_after_forgetting(offload: Offload) -> None:
    stored = Known()
    service = Validation(Validator(Structures(stored), TERMINOLOGY), offload)
    claiming = {"resourceType": "Patient", "meta": {"profile": [MINE]}}
    assert check(service, claiming).problem is None
    stored.structures.append(STRUCTURE)
    service.forget()
    assert check(service, claiming).problem is not None


def test_a_problem_tells_no_more_than_so_many_issues() -> None:
    findings = [Finding(Severity.ERROR, "value", f"Patient.name[{number}]", "x") for number in range(400)]
    problem = verdict(findings).problem
    assert problem is not None
    assert len(problem.issues) == MAX_ISSUES


def test_only_small_resources_are_checked_on_the_loop() -> None:
    assert is_light({"resourceType": "Patient", "name": [{"family": "x"}]})
    assert not is_light({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}] * 200})


def test_findings_against_a_profile_that_is_asked_for(offload: Offload) -> None:
    found = asyncio.run(validation(offload, STRUCTURE).findings({"resourceType": "Patient"}, [MINE]))
    assert [each.rule for each in found if each.is_error] == [MINE]
