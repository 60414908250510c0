"""The pages between a signed-in user and an app: emergency access, the patient, and the approval itself.

What was chosen on the way waits on the server under the pending request, so that nothing of a patient is in a URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from msgspec.structs import replace

from server.access.roles import EMERGENCY
from server.fusion.patient_picker import MOST, Listed
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from server.oauth.desk import Desk, Visitor, host_of, request_of
from server.oauth.form import Form
from server.oauth.page import Openings
from server.oauth.patients import Patients, looking
from server.oauth.protocol_call import sent_to
from server.oauth.scopes_told import chosen, told
from server.smart.approving import Chosen
from server.smart.authority import Asked, Authority
from server.smart.break_glass import reason_of
from server.smart.model import Session, User
from server.smart.passing import Choice, Passing
from server.smart.requests import PendingRequest

_CLAUSE = "SMART App Launch 2.2, 2.0.7"


class _Case(NamedTuple):
    """A pending request before its user."""

    request: str
    pending: PendingRequest
    asked: Asked
    user: User
    session: Session
    choice: Choice


@dataclass(frozen=True, slots=True)
class ApprovalPages:
    desk: Desk
    authority: Authority
    passing: Passing
    patients: Patients

    def endpoints(self) -> tuple[Endpoint, ...]:
        rows = (
            ("approve", "GET", "/approve", self.ask),
            ("approve.post", "POST", "/approve", self.decide),
            ("patients", "GET", "/patients", self.ask_patient),
            ("patients.post", "POST", "/patients", self.pick),
            ("break-glass", "GET", "/break-glass", self.ask_reason),
            ("break-glass.post", "POST", "/break-glass", self.break_glass),
        )
        return tuple(
            Endpoint(f"oauth.{name}", method, path, "oauth", handler, _CLAUSE) for name, method, path, handler in rows
        )

    async def ask(self, call: Call) -> Answer:
        """To whatever is still to be done, and in the end the approval page."""
        visitor = await self.desk.visitor(call)
        case = await self._case(visitor, dict(call.query).get("request", ""))
        if isinstance(case, Answer):
            return case
        if case.pending.purpose == EMERGENCY and not case.choice.break_glass:
            return self.desk.leave(visitor, "/break-glass", case.request)
        if case.asked.needs_patient and not case.choice.patient:
            case = await self._only_patient(visitor, case)
            if not case.choice.patient:
                return self.desk.leave(visitor, "/patients", case.request)
        return await self._show(visitor, case)

    async def decide(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        case = await self._case(visitor, form.one("request"))
        if isinstance(case, Answer):
            return case
        if form.one("act") != "allow":
            return sent_to(await self.authority.refuse(case.pending, user=case.user, caller=visitor.caller))
        pending = await self.authority.bind(case.pending, case.user, case.session)
        scopes = chosen(pending.scopes, (*form.all("scope"), *form.all("part")))
        purpose = EMERGENCY if case.choice.break_glass else ""
        try:
            location = await self.authority.approve(
                pending,
                case.user,
                case.session,
                scopes,
                Chosen(case.choice.patient),
                purpose,
                case.choice.break_glass,
                visitor.caller,
            )
        except Problem as problem:
            if problem.kind is not Kind.INVALID:
                raise
            return await self._show(visitor, case, visitor.say("approve.wrong"))
        await self.passing.drop(Choice, pending.id)
        return sent_to(location)

    async def ask_patient(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        case = await self._case(visitor, dict(call.query).get("request", ""))
        if isinstance(case, Answer):
            return case
        found = await self._own(visitor, case) if case.asked.patients is not None else []
        return self._list(visitor, case, found)

    async def pick(self, call: Call) -> Answer:
        """A search, or the patient that is picked from its answer."""
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        case = await self._case(visitor, form.one("request"))
        if isinstance(case, Answer):
            return case
        if form.one("patient"):
            return await self._picked(visitor, case, form)
        text = form.one("text")[:100]
        found = await self.patients.search(_context(visitor, case), text)
        if case.asked.patients is not None:
            found = [each for each in found if each.id in case.asked.patients]
        return self._list(visitor, case, found, text)

    async def ask_reason(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        case = await self._case(visitor, dict(call.query).get("request", ""))
        if isinstance(case, Answer):
            return case
        return self.desk.show(visitor, "break_glass", _glass_values(visitor, case))

    async def break_glass(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        case = await self._case(visitor, form.one("request"))
        if isinstance(case, Answer):
            return case
        try:
            reason = reason_of(form.one("reason"))
            if not form.one("sure"):
                raise Problem(Kind.INVALID, "It was not confirmed.")
        except Problem as problem:
            values = {**_glass_values(visitor, case), "reason": form.one("reason")[:500]}
            return self.desk.refuse(visitor, "break_glass", values, problem, "glass.wrong")
        if not case.asked.may_break_glass:
            raise Problem(Kind.FORBIDDEN, "No emergency access.", (Issue("glass", None, "glass"),))
        await self.passing.keep(replace(case.choice, break_glass=reason))
        return self.desk.leave(visitor, "/approve", case.request)

    async def _case(self, visitor: Visitor, text: str) -> _Case | Answer:
        """The request with its user; or the way to sign-in, where there is none or none fresh enough."""
        request = request_of(text)
        pending = await self.authority.open(request)
        asked = await self.authority.asked(pending, visitor.user, visitor.session)
        user, session = visitor.user, visitor.session
        if user is None or session is None or asked.needs_sign_in:
            return self.desk.leave(visitor, "/sign-in", request)
        if asked.launch is not None and asked.launch.user not in ("", user.id):
            raise Problem(Kind.FORBIDDEN, "This launch is for somebody else.")
        choice = await self.passing.get(Choice, pending.id)
        if choice is None or choice.session != session.id:
            choice = Choice(pending.id, session.id, pending.expires)
        return _Case(request, pending, asked, user, session, choice)

    async def _only_patient(self, visitor: Visitor, case: _Case) -> _Case:
        """Where just one may be picked, there is nothing to ask."""
        if case.asked.patients is None or len(case.asked.patients) != 1:
            return case
        found = await self._own(visitor, case)
        return await self._with_patient(case, found[0].id) if found else case

    async def _own(self, visitor: Visitor, case: _Case) -> list[Listed]:
        return await self.patients.several(_context(visitor, case), case.asked.patients or ())

    async def _picked(self, visitor: Visitor, case: _Case, form: Form) -> Answer:
        """Only one whom the user can see now, whatever the list was."""
        context, wanted = _context(visitor, case), form.one("patient")
        is_open = case.asked.patients is None or wanted in case.asked.patients
        if not is_open or not await self.patients.several(context, [wanted]):
            return self._list(visitor, case, [], "", status=400)
        await self._with_patient(case, wanted)
        return self.desk.leave(visitor, "/approve", case.request)

    async def _with_patient(self, case: _Case, patient: str) -> _Case:
        choice = replace(case.choice, patient=patient)
        await self.passing.keep(choice)
        return case._replace(choice=choice)

    def _list(
        self, visitor: Visitor, case: _Case, found: list[Listed], text: str | None = None, status: int = 200
    ) -> Answer:
        values = {
            "request": case.request,
            "app": case.asked.client.name,
            "found": found,
            "text": text or "",
            "is_asked": text is not None,
            "is_open": case.asked.patients is None,
            "most": MOST,
        }
        return self.desk.show(visitor, "patients", values, status=status)

    def _closed(self, visitor: Visitor, case: _Case) -> Answer:
        """Nothing to approve; who the patient is stays unsaid."""
        values = {
            "request": case.request,
            "app": case.asked.client.name,
            "may_change": _may_change(case),
            "reason": case.choice.break_glass,
            "may_break_glass": case.asked.may_break_glass,
        }
        return self.desk.show(visitor, "closed", values, status=403, openings=Openings(redirect=case.pending.redirect))

    async def _show(self, visitor: Visitor, case: _Case, error: str = "") -> Answer:
        client = case.asked.client
        launch = case.asked.launch
        picked = case.choice.patient or (launch.patient if launch is not None else "")
        if await self.authority.is_shut(case.pending, case.user, picked, case.choice.break_glass, visitor.caller):
            return self._closed(visitor, case)
        found = await self.patients.several(_context(visitor, case), [picked]) if picked else []
        values: dict[str, Any] = {
            "request": case.request,
            "app": client.name,
            "logo": _https(client.logo_url),
            "policy": _https(client.policy_url),
            "host": host_of(case.pending.redirect),
            "told": told(case.pending.scopes, visitor.say),
            "patient": found[0] if found else None,
            "may_change": _may_change(case),
            "reason": case.choice.break_glass,
            "may_break_glass": case.asked.may_break_glass,
            "error": error,
        }
        openings = Openings(redirect=case.pending.redirect, image=values["logo"])
        return self.desk.show(visitor, "approve", values, status=400 if error else 200, openings=openings)


def _may_change(case: _Case) -> bool:
    return bool(case.choice.patient) and case.asked.patients is None


def _context(visitor: Visitor, case: _Case) -> Context:
    """The user's own right to look for patients, with the purpose that was stated."""
    user, reason = case.user, case.choice.break_glass
    purpose = EMERGENCY if reason else "TREAT" if case.pending.purpose == EMERGENCY else case.pending.purpose
    return looking(visitor, user, case.session, case.pending.client, purpose, reason)


def _glass_values(visitor: Visitor, case: _Case) -> dict[str, Any]:
    is_open = case.asked.may_break_glass
    error = "" if is_open else visitor.say("glass.not")
    return {"request": case.request, "reason": "", "is_open": is_open, "error": error}


def _https(url: str) -> str:
    return url if url.startswith("https://") else ""
