"""The patients a page names: who may be picked, and the record of having shown them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from server.audit.acts import pattern_of
from server.audit.telling import Deed, events_of
from server.audit.writes import Recording
from server.fusion.patient_picker import Listed
from server.kernel.clock import Clock, micros
from server.kernel.context import Actor, Context, Grant
from server.kernel.trail import Trail
from server.oauth.desk import Visitor
from server.smart.model import Session, User

_LOOK = (Grant(frozenset({"read", "search"}), frozenset({"Patient"})),)


class Patients(Protocol):
    """Only patients of whom the actor may know."""

    async def search(self, context: Context, text: str) -> list[Listed]: ...

    async def several(self, context: Context, ids: Sequence[str]) -> list[Listed]: ...


@dataclass(frozen=True, slots=True)
class RecordedPatients:
    """Lists on pages are searches like any other: recorded before they are shown."""

    patients: Patients
    recording: Recording
    clock: Clock

    async def search(self, context: Context, text: str) -> list[Listed]:
        return await self._recorded(context, await self.patients.search(context, text), {"text": text})

    async def several(self, context: Context, ids: Sequence[str]) -> list[Listed]:
        return await self._recorded(context, await self.patients.several(context, ids), {"_id": ",".join(ids)})

    async def _recorded(self, context: Context, found: list[Listed], asked: dict[str, str]) -> list[Listed]:
        pattern = pattern_of("search.type")
        if pattern is not None:
            shown = tuple(f"Patient/{each.id}" for each in found)
            deed = Deed(pattern, "Patient", f"POST /oauth/patients?{urlencode(asked)}", patients=shown)
            await self.recording.record(events_of(micros(self.clock), context, deed))
        return found


def looking(
    visitor: Visitor, user: User, session: Session, client: str = "", purpose: str = "TREAT", reason: str = ""
) -> Context:
    """The user's own right to look for patients; `reason` goes with emergency access."""
    actor = Actor(
        id=f"user {user.id}",
        name=user.name,
        grants=_LOOK,
        roles=frozenset(user.roles),
        user=user.id,
        client=client,
        fhir_user=user.fhir_user,
        own_patients=frozenset(user.own_patients),
        session=session.id,
        break_glass=reason,
    )
    caller = visitor.caller
    return Context(actor, caller.request, purpose, caller.peer, Trail())
