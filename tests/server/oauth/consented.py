"""Consents as they stand in the records once they were written."""

from __future__ import annotations

from server.fhir.consents import ConsentRules
from server.fhir.versions import ABSENT
from server.fhir.writing import Change
from storage.ports import Records
from tests.data.consents import Json, consent


async def agreed(records: Records, patient: str, *roots: Json) -> None:
    """A consent for each root, `Consent/c1` and so on, in the place of those of before."""
    made = [consent(root, f"Patient/{patient}", id=f"c{n}") for n, root in enumerate(roots, start=1)]
    changes = [Change("Consent", each["id"], each, ABSENT) for each in made]
    await records.commit([act for ruling in await ConsentRules(records).check(changes) for act in ruling])  # type: ignore[union-attr]
