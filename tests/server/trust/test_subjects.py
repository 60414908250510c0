"""What an assertion gives: rights by the issuer's mapping, its purpose, its patient, for whom it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from server.kernel.context import INTERACTIONS, Grant
from server.trust.assertions import Asserted
from server.trust.model import Issuer, Node
from server.trust.refusals import Refusal
from server.trust.saml import Value
from server.trust.subjects import Speaking, purpose_of, roles_of, speaking

SNOMED = "2.16.840.1.113883.6.96"
ISSUER = Issuer(
    "https://idp.example",
    ("pem",),
    roles={f"{SNOMED}|309343006": ("radiologist",), "HCP": ("referring-physician", "nurse"), "PAT": ("patient",)},
    purposes={"NORM": "TREAT", "2.16.756|EMER": "BTG"},
)


class Known:
    """One practitioner, one patient under two numbers of two records."""

    async def practitioner(self, identifiers: Sequence[str]) -> str:
        return "Practitioner/12" if "urn:gs1:gln|7601" in identifiers else ""

    async def patients(self, number: str) -> tuple[str, ...]:
        return ("Patient/3", "Patient/4") if number == "7^^^&1.2&ISO" else ()


def asserted(**others: Any) -> Asserted:
    facts: dict[str, Any] = {
        "subject": Value("7601", "urn:gs1:gln"), "alias": "ada", "name": "Dr A", "organizations": (),
        "roles": (Value("309343006", SNOMED),), "purposes": (), "provider": (), "resource": "", "home": "",
        "id": "_a1", "issuer": ISSUER.id, "not_on_or_after": datetime(2026, 11, 22, tzinfo=UTC),
    }  # fmt: skip
    return Asserted(**facts | others)


def spoken(issuer: Issuer = ISSUER, node: Node | None = None, **others: Any) -> Speaking:
    return asyncio.run(speaking(asserted(**others), issuer, Known(), node))


def test_a_physician_known_here_acts_as_themselves() -> None:
    actor, purpose, patients = spoken()
    assert (actor.fhir_user, actor.roles) == ("Practitioner/12", frozenset({"radiologist"}))
    assert (purpose, patients) == ("TREAT", ())
    assert actor.user == "ada<7601@https://idp.example>"
    assert (actor.name, actor.client, actor.session) == ("Dr A", ISSUER.id, "saml:_a1")
    assert actor.grants == (Grant(INTERACTIONS),)
    assert actor.own_patients == frozenset()


def test_a_role_that_is_not_mapped_is_none() -> None:
    assert roles_of((Value("ELE", "1.2"), Value("309343006", "1.2.3")), ISSUER) == frozenset()
    assert roles_of((Value("HCP", "2.16.756"), Value("309343006", SNOMED)), ISSUER) == {
        "referring-physician", "nurse", "radiologist",
    }  # fmt: skip


def test_no_mapping_gives_the_rights_of_the_server_itself() -> None:
    issuer = Issuer("x", (), roles={"ROOT": ("server", "nurse", "none such")})
    assert roles_of((Value("ROOT"),), issuer) == {"nurse"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((), "TREAT"),
        ((Value("HRESCH", "2.16.840.1.113883.5.8"),), "HRESCH"),
        ((Value("NORM", "2.16.756"),), "TREAT"),
        ((Value("TREATMENT", "2.16.840.1.113883.3.18.7.1"),), "TREAT"),
        ((Value("EMER", "2.16.756"),), "BTG"),
        ((Value("BTG"), Value("TREAT"), Value("HPAYMT")), "TREAT"),
        ((Value("BTG"),), "BTG"),
    ],
)
def test_purposes(told: tuple[Value, ...], expected: str) -> None:
    assert purpose_of(told, ISSUER) == expected


def test_a_purpose_nobody_understands_is_refused() -> None:
    for told in ((Value("12", "1.0.14265.1"),), (Value("TREAT"), Value("13", "1.0.14265.1"))):
        with pytest.raises(Refusal):
            purpose_of(told, ISSUER)


def test_an_assertion_for_one_patient_reaches_no_other() -> None:
    found = spoken(resource="7^^^&1.2&ISO")
    assert found.patients == ("Patient/3", "Patient/4")
    assert [each.patient for each in found.actor.grants] == ["3", "4"]
    assert found.actor.own_patients == frozenset()
    [grant] = spoken(resource="8^^^&1.2&ISO").actor.grants
    assert grant.patient == "!"


def test_a_patient_is_who_the_assertion_is_for() -> None:
    actor = spoken(roles=(Value("PAT"),), resource="7^^^&1.2&ISO", subject=Value("305000")).actor
    assert (actor.roles, actor.own_patients, actor.fhir_user) == (
        frozenset({"patient"}), frozenset({"3", "4"}), "Patient/3",
    )  # fmt: skip


def test_only_who_may_declare_an_emergency_does() -> None:
    assert spoken(purposes=(Value("BTG"),)).may_break_glass
    assert not spoken(purposes=(Value("BTG"),), roles=(Value("PAT"),)).may_break_glass
    assert spoken(roles=(Value("PAT"),)).may_break_glass


def test_all_who_receive_it_ask() -> None:
    node = Node("north", roles=("system",), organization="Organization/north")
    told = ("urn:oid:2.16.156.10011.1.5|H-1",)
    found = spoken(node=node, organizations=told).actor
    assert found.organizations == {"Organization/north", *told, "urn:gs1:gln|7601"}
    assert found.client == "north"
    issuer = Issuer("x", (), organization="Organization/idp")
    assert spoken(issuer, organizations=told).actor.organizations == {*told, "urn:gs1:gln|7601"}
    assert spoken(issuer).actor.organizations == {"Organization/idp", "urn:gs1:gln|7601"}


def test_an_issuer_that_speaks_for_some_organizations_speaks_for_no_other() -> None:
    issuer = Issuer("x", (), speaks_for=("urn:o|A",))
    assert "urn:o|A" in spoken(issuer, organizations=("urn:o|A",)).actor.organizations
    assert spoken(issuer).actor.organizations == {"urn:gs1:gln|7601"}
    for told in (("urn:o|B",), ("urn:o|A", "urn:o|B")):
        with pytest.raises(Refusal):
            spoken(issuer, organizations=told)


def test_a_bare_name_is_an_identifier_only_where_its_system_is_configured() -> None:
    bare = Value("7601")
    assert spoken(subject=bare).actor.fhir_user == ""
    assert spoken(Issuer("x", (), people="urn:gs1:gln"), subject=bare).actor.fhir_user == "Practitioner/12"
