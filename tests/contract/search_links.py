"""Searches that follow references (chains, `_has`, includes), beside what they should find."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.brute_force import (
    NAME,
    Holds,
    at,
    beginning,
    both,
    coded,
    dated,
    either,
    equal,
    holding,
    identified,
    measured,
    negated,
    referring,
)
from tests.contract.fhir_world import Json, World
from tests.contract.search_cases import CODE, OBSERVED

Linked = Callable[[World], Holds]


def patient_where(world: World, holds: Holds, path: str = "subject") -> Holds:
    return lambda r: any(
        holds(found) for each in at(r, path) if (found := world.find(each.get("reference"))) is not None
    )


def has(world: World, source: str, path: str, holds: Holds) -> Holds:
    named = {each.get("reference") for resource in world.of(source) if holds(resource) for each in at(resource, path)}
    return lambda r: f"{r['resourceType']}/{r['id']}" in named


CHAINS: list[tuple[str, Linked]] = [
    ("Observation?subject.gender=female", lambda w: patient_where(w, equal("gender", "female"))),
    ("Observation?patient.gender=female", lambda w: patient_where(w, equal("gender", "female"))),
    ("Observation?subject:Patient.name=s", lambda w: patient_where(w, beginning("s", *NAME))),
    ("Observation?subject:Group.code=x", lambda w: lambda r: False),
    ("Observation?patient.family:contains=er&code=8302-2",
     lambda w: both(patient_where(w, holding("er", "name.family")), coded(CODE, "8302-2"))),
    ("Observation?patient.birthdate=lt1970&patient.gender=male",
     lambda w: both(patient_where(w, dated("lt1970", "birthDate")), patient_where(w, equal("gender", "male")))),
    ("Observation?encounter.class=EMER",
     lambda w: patient_where(w, lambda r: r["class"]["code"] == "EMER", "encounter")),
    ("Observation?encounter.service-provider.name:contains=hospital",
     lambda w: patient_where(
         w, patient_where(w, holding("hospital", "name", "alias"), "serviceProvider"), "encounter")),
    ("Observation?patient.identifier=999-73-1339", lambda w: patient_where(w, identified("999-73-1339"))),
    ("Observation?patient._id=9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     lambda w: referring("subject", "Patient/9b6fa8e6-e618-17c5-28a8-1095559fd19b")),
    ("Observation?patient.gender:not=male", lambda w: patient_where(w, negated(equal("gender", "male")))),
    ("Encounter?participant.family:contains=2",
     lambda w: patient_where(w, holding("2", "name.family"), "participant.individual")),
    ("Encounter?participant:Practitioner.gender=female",
     lambda w: patient_where(w, equal("gender", "female"), "participant.individual")),
    ("Patient?_has:Observation:patient:code=8310-5", lambda w: has(w, "Observation", "subject", coded(CODE, "8310-5"))),
    ("Patient?_has:Observation:subject:value-quantity=gt180",
     lambda w: has(w, "Observation", "subject", measured("gt180"))),
    ("Patient?_has:Condition:patient:code=44054006,15777000",
     lambda w: has(w, "Condition", "subject", either(coded(CODE, "44054006"), coded(CODE, "15777000")))),
    ("Patient?_has:Condition:patient:code=44054006&_has:Condition:patient:clinical-status=resolved",
     lambda w: both(has(w, "Condition", "subject", coded(CODE, "44054006")),
                    has(w, "Condition", "subject", coded("clinicalStatus.coding", "resolved")))),
    ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:status=final",
     lambda w: has(w, "Observation", "subject", has(w, "DiagnosticReport", "result", equal("status", "final")))),
    ("Encounter?_has:Observation:encounter:code-value-quantity=8302-2$gt150",
     lambda w: has(w, "Observation", "encounter", both(coded(CODE, "8302-2"), measured("gt150")))),
    ("Observation?patient._has:Condition:patient:code=44054006",
     lambda w: patient_where(w, has(w, "Condition", "subject", coded(CODE, "44054006")))),
    ("Practitioner?_has:Encounter:practitioner:class=EMER",
     lambda w: has(w, "Encounter", "participant.individual", lambda r: r["class"]["code"] == "EMER")),
    ("Organization?_has:Encounter:service-provider:subject.gender=female",
     lambda w: has(w, "Encounter", "serviceProvider", patient_where(w, equal("gender", "female")))),
    ("Patient?_has:Observation:patient:_id=nothing", lambda w: lambda r: False),
    ("Patient?_has:Observation:patient:date=ge2020",
     lambda w: has(w, "Observation", "subject", dated("ge2020", *OBSERVED))),
]  # fmt: skip


def named(resource: Json, path: str, resource_type: str = "") -> set[str]:
    return {each["reference"] for each in at(resource, path) if each.get("reference", "").startswith(resource_type)}


def pointing_at(world: World, reference: str) -> set[str]:
    """Whatever refers there by a search parameter: of an Immunization's encounter there is none."""
    return {each for each in world.pointing("*", "*").get(reference, ()) if not each.startswith("Immunization/")}


INCLUDES: list[tuple[str, Callable[[World, Json], set[str]]]] = [
    ("Observation?code=8310-5&_include=Observation:subject", lambda w, r: named(r, "subject")),
    ("Observation?code=8310-5&_include=Observation:patient", lambda w, r: named(r, "subject")),
    ("Observation?code=8310-5&_include=Observation:subject:Group", lambda w, r: set()),
    ("Observation?code=8310-5&_include=Observation:encounter&_include=Observation:patient",
     lambda w, r: named(r, "subject") | named(r, "encounter")),
    ("Observation?code=8310-5&_include=Observation:*", lambda w, r: named(r, "subject") | named(r, "encounter")),
    ("Observation?code=8310-5&_include=Observation:encounter&_include:iterate=Encounter:service-provider",
     lambda w, r: {ref for each in named(r, "encounter")
                   for ref in {each} | named(w.find(each), "serviceProvider")}),
    ("Observation?code=8310-5&_include=Observation:encounter&_include=Encounter:service-provider",
     lambda w, r: named(r, "encounter")),
    ("DiagnosticReport?code=57698-3&_include=DiagnosticReport:result", lambda w, r: named(r, "result")),
    ("Encounter?class=EMER&_revinclude=Condition:encounter",
     lambda w, r: w.pointing("Condition", "encounter").get(f"Encounter/{r['id']}", set())),
    ("Encounter?class=EMER&_revinclude=*", lambda w, r: pointing_at(w, f"Encounter/{r['id']}")),
    ("Patient?_revinclude=Encounter:patient&_revinclude:iterate=Condition:encounter&_count=2",
     lambda w, r: {ref for each in w.pointing("Encounter", "subject").get(f"Patient/{r['id']}", set())
                   for ref in {each} | w.pointing("Condition", "encounter").get(each, set())}),
]  # fmt: skip
