"""The account page: apps with what they may do, sessions, second factors and password, each to be taken back here.

It is the `management_endpoint` of SMART App Launch 2.2. What could lock its owner out asks for the password first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.http.surface import Answer, Call, Endpoint
from server.kernel.clock import MINUTE, micros
from server.kernel.problem import Issue, Kind, Problem
from server.oauth import cookies
from server.oauth.desk import Desk, Visitor
from server.oauth.enrolment import Enrolment, wrong
from server.oauth.form import Form
from server.oauth.patients import Patients, looking
from server.oauth.scopes_told import summary
from server.oauth.sign_in_pages import weakness_key
from server.smart.approvals import Approvals
from server.smart.model import Approval, Client, Session, User
from server.smart.passing import Ceremony, Passing
from server.smart.second_factors import SecondFactors, has_factor
from server.smart.sessions import who
from server.smart.sign_in import SignIn
from server.smart.stores import SmartStore
from server.smart.users import Users

_CLAUSE = "SMART App Launch 2.2, 2.0.13"
_SURE = 5 * MINUTE
"""How long the password, given once more, is good for adding a factor."""
_MOST_NAMED = 20


class AppRow(NamedTuple):
    """An approval as its user reads it."""

    approval: Approval
    name: str
    rights: tuple[str, ...]
    patient: str
    """A name; empty where the patient may not be seen now."""


@dataclass(frozen=True, slots=True)
class AccountPages:
    desk: Desk
    store: SmartStore
    sign_in: SignIn
    users: Users
    factors: SecondFactors
    approvals: Approvals
    passing: Passing
    patients: Patients

    def endpoints(self) -> tuple[Endpoint, ...]:
        rows = (
            ("account", "GET", "/account", self.show),
            ("account.app", "POST", "/account/app", self.remove_app),
            ("account.session", "POST", "/account/session", self.end_session),
            ("account.password", "POST", "/account/password", self.change_password),
            ("account.factors", "POST", "/account/factors", self.change_factors),
            ("account.enrol", "GET", "/account/enrol", self.ask_enrolment),
            ("account.enrol.post", "POST", "/account/enrol", self.enrol),
        )
        return tuple(
            Endpoint(f"oauth.{name}", method, path, "oauth", handler, _CLAUSE) for name, method, path, handler in rows
        )

    async def show(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        if visitor.user is None or visitor.session is None:
            return self.desk.leave(visitor, "/sign-in")
        is_done = dict(call.query).get("done") == "yes"
        return await self._page(visitor, visitor.user, visitor.session, done=visitor.say("account.done") * is_done)

    async def remove_app(self, call: Call) -> Answer:
        visitor, form, user, _ = await self._posted(call)
        approval = await self.store.approval(form.one("approval"))
        if approval is not None and approval.user == user.id:
            await self.approvals.revoke(approval.id, visitor.caller, user)
        return self._done(visitor)

    async def end_session(self, call: Call) -> Answer:
        visitor, form, user, own = await self._posted(call)
        session = await self.store.session(form.one("session"))
        if session is not None and session.user == user.id:
            await self.desk.sessions.end(session, "asked", visitor.caller)
            if session.id == own.id:
                visitor.set.append(cookies.dropped(call, cookies.SESSION))
                return self.desk.leave(visitor, "/signed-out")
        return self._done(visitor)

    async def change_password(self, call: Call) -> Answer:
        visitor, form, user, session = await self._posted(call)
        if form.one("password") != form.one("again"):
            return await self._page(visitor, user, session, error=visitor.say("password.differs"), status=400)
        if (refused := await self._unsure(visitor, form, user, session, "password.wrong")) is not None:
            return refused
        by = who(user, visitor.caller, session.id)
        try:
            await self.users.set_password(by, user, form.one("password"), session.id)
        except Problem as problem:
            if problem.kind is not Kind.INVALID:
                raise
            return await self._page(visitor, user, session, error=visitor.say(weakness_key(problem)), status=400)
        return self._done(visitor)

    async def change_factors(self, call: Call) -> Answer:
        visitor, form, user, session = await self._posted(call)
        if (refused := await self._unsure(visitor, form, user, session, "account.wrong")) is not None:
            return refused
        match form.one("act").partition(" "):
            case ("add", _, _):
                until = micros(self.desk.clock) + _SURE
                await self.passing.keep(Ceremony(f"sure-{session.id}", user.id, until))
                return self.desk.leave(visitor, "/account/enrol")
            case ("codes", _, _) if has_factor(user):
                await self.sign_in.tell_factors(user, visitor.caller, "new recovery codes", session.id)
                return await Enrolment(self.desk, self.factors).codes(visitor, user, self._account(visitor))
            case ("remove", _, which):
                return await self._removed(visitor, user, session, which)
        return self._done(visitor)

    async def ask_enrolment(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        if visitor.user is None or visitor.session is None:
            return self.desk.leave(visitor, "/sign-in")
        if not await self._is_sure(visitor.session):
            return self.desk.leave(visitor, "/account")
        return await self._show_enrolment(visitor, visitor.user, visitor.session)

    async def enrol(self, call: Call) -> Answer:
        visitor, form, user, session = await self._posted(call)
        if not await self._is_sure(session):
            return self.desk.leave(visitor, "/account")
        enrolment = Enrolment(self.desk, self.factors)
        proof = await enrolment.confirmed(visitor, session.id, user, form)
        if proof is None:
            return await self._show_enrolment(visitor, user, session, visitor.say(wrong(form)))
        await self.passing.drop(Ceremony, f"sure-{session.id}")
        await self.sign_in.tell_factors(user, visitor.caller, f"second factor enrolled: {proof}", session.id)
        if user.recovery:
            return self._done(visitor)
        return await enrolment.codes(visitor, user, self._account(visitor))

    async def _removed(self, visitor: Visitor, user: User, session: Session, which: str) -> Answer:
        try:
            await self.factors.remove(user.id, which)
        except Problem as problem:
            if problem.kind is not Kind.INVALID:
                raise
            return await self._page(visitor, user, session, error=visitor.say("factors.last"), status=400)
        await self.sign_in.tell_factors(user, visitor.caller, "second factor removed", session.id)
        return self._done(visitor)

    async def _posted(self, call: Call) -> tuple[Visitor, Form, User, Session]:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        if visitor.user is None or visitor.session is None:
            raise Problem(Kind.UNAUTHENTICATED, "Sign in first.", (Issue("sign in", None, "login_required"),))
        return visitor, form, visitor.user, visitor.session

    async def _unsure(
        self, visitor: Visitor, form: Form, user: User, session: Session, wrong_key: str
    ) -> Answer | None:
        """The page with what was wrong, unless the present password came with the form."""
        try:
            if await self.sign_in.is_password(user, form.one("present"), visitor.caller):
                return None
        except Problem as problem:
            if problem.kind is not Kind.BUSY:
                raise
            told = self.desk.told_to_wait(visitor, problem)
            return await self._page(visitor, user, session, error=told, status=429)
        return await self._page(visitor, user, session, error=visitor.say(wrong_key), status=400)

    async def _is_sure(self, session: Session) -> bool:
        return await self.passing.get(Ceremony, f"sure-{session.id}") is not None

    async def _show_enrolment(self, visitor: Visitor, user: User, session: Session, error: str = "") -> Answer:
        values = {"action": "/account/enrol", "is_first": False}
        return await Enrolment(self.desk, self.factors).show(visitor, session.id, user, values, error)

    def _done(self, visitor: Visitor) -> Answer:
        return self.desk.leave(visitor, "/account?done=yes")

    def _account(self, visitor: Visitor) -> str:
        return dict(self._done(visitor).headers)["Location"]

    async def _page(
        self, visitor: Visitor, user: User, session: Session, *, error: str = "", done: str = "", status: int = 200
    ) -> Answer:
        values: dict[str, Any] = {
            "apps": await self._apps(visitor, user, session),
            "sessions": await self.desk.sessions.of(user.id),
            "own_session": session.id,
            "roles": [visitor.say(f"role.{role}") for role in user.roles],
            "error": error,
            "done": done,
        }
        return self.desk.show(visitor, "account", values, status=status)

    async def _apps(self, visitor: Visitor, user: User, session: Session) -> list[AppRow]:
        now = micros(self.desk.clock)
        found = [held.value for held in await self.store.find(Approval, "user", user.id)]
        live = sorted((each for each in found if each.expires > now), key=lambda each: -each.created)
        clients = await self.store.several(Client, [each.client for each in live])
        names = await self._names(visitor, user, session, [each.patient for each in live if each.patient])
        return [
            AppRow(
                each,
                clients[each.client].name if each.client in clients else each.client,
                summary(each.scopes, visitor.say),
                names.get(each.patient, ""),
            )
            for each in live
        ]

    async def _names(self, visitor: Visitor, user: User, session: Session, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = await self.patients.several(looking(visitor, user, session), list(dict.fromkeys(ids))[:_MOST_NAMED])
        return {each.id: each.name or visitor.say("patients.unnamed") for each in found}
