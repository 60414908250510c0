"""The table of roles: every role is in it, and none may do what its name does not say."""

from __future__ import annotations

from profiles.definitions import definitions
from server.access.classes import Class, class_of, in_compartment, may_name_patients
from server.access.roles import MAY_BREAK_GLASS, POLICY, ROLES, SEE_PATIENTS, may, rule_of
from server.kernel.context import SERVER

CHANGES = ("create", "update", "delete")


def test_every_role_but_the_server_has_its_rules() -> None:
    assert set(POLICY) == set(ROLES) - {SERVER}
    assert MAY_BREAK_GLASS <= SEE_PATIENTS


def test_no_type_is_open_to_whom_it_is_not_for() -> None:
    for resource_type in definitions().resource_types:
        check(resource_type)


def check(resource_type: str) -> None:
    kind = class_of(resource_type)
    is_public = kind in (Class.DIRECTORY, Class.DEFINITION)
    for role in ("administrator", "auditor"):
        allowed = {Class.DIRECTORY, Class.DEFINITION, Class.SUBSCRIPTION, Class.AUDIT}
        assert rule_of(role, resource_type) is None or kind in allowed
    assert all(may(role, "read", resource_type, "TREAT") for role in POLICY) or not is_public
    assert not any(may(role, "delete", "AuditEvent", "TREAT") for role in POLICY)
    assert not in_compartment(resource_type) or not is_public
    assert not (in_compartment(resource_type) and may_name_patients(resource_type))


def test_only_administrators_and_systems_change_the_directory() -> None:
    assert {role for role in POLICY if may(role, "update", "Practitioner", "TREAT")} == {"administrator", "system"}
    assert {role for role in POLICY if may(role, "read", "AuditEvent", "TREAT")} == {"auditor"}


def test_a_researcher_only_reads_and_only_for_research() -> None:
    assert may("researcher", "read", "Observation", "TREAT") is None
    assert may("researcher", "read", "Observation", "HRESCH") is not None
    assert not any(may("researcher", each, "Observation", "HRESCH") for each in CHANGES)
