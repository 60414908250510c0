"""What the cases of the consent decision table have in common: a patient, what is read, what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from server.kernel.context import Actor
from tests.contract.consent_world import World, observations, patient
from tests.data.consents import consent, label

Json = dict[str, Any]
Case = Callable[[World, str], None]
WHOLE = {"consent_purposes": "whole"}
ALL = {"n", "psy", "etoh", "22", "24"}


def numbered(cases: dict[str, Case]) -> Callable[..., Callable[[Case], Case]]:
    """A decorator that keeps a case among these by its number in the table."""

    def case(number: int, variant: str = "") -> Callable[[Case], Case]:
        def register(work: Case) -> Case:
            cases[f"case-{number}{variant}"] = work
            return work

        return register

    return case


def agreed(world: World, name: str, *roots: Json | None, data: Sequence[Json] = (), **others: Any) -> None:
    """A patient with the usual observations, these others, and a consent for each root."""
    consents = [
        consent(root, f"Patient/{name}", **{"id": f"{name}-{n}", **others}) for n, root in enumerate(roots, start=1)
    ]
    world.put(patient(name), *observations(name), *data, *consents)


def reads(world: World, actor: Actor, reference: str, **others: Any) -> bool:
    """Whether a read is answered; what is refused is refused without content."""
    got = world.get(actor, reference, **others)
    if got.status == 200:
        return True
    assert got.status in (403, 404), got.body
    assert got.json["issue"][0]["code"] in ("forbidden", "not-found")
    assert b"value of" not in got.body
    return False


def found(world: World, actor: Actor, name: str, resource_type: str = "Observation", **others: Any) -> set[str]:
    """The kinds a search for all of one patient finds; the total tells of no more."""
    got = world.get(actor, f"{resource_type}?patient={name}&_total=accurate", **others)
    assert got.status == 200, got.body
    kinds = {each["resource"]["id"].removeprefix(f"{name}-") for each in got.json.get("entry", ())}
    assert got.json["total"] == len(kinds)
    assert all(each["relation"] != "next" for each in got.json["link"])
    return kinds


def report(name: str, *results: str, **others: Any) -> Json:
    made = {
        "resourceType": "DiagnosticReport",
        "id": f"{name}-report",
        "meta": {"security": [label("N")]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">all of it</div>'},
        "status": "final",
        "code": {"text": "summary"},
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": "2024-06-01",
        "result": [{"reference": f"Observation/{each}", "display": f"shown of {each}"} for each in results],
    }
    return made | others
