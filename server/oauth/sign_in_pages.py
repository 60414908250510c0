"""The pages of sign-in, step by step, and of sign-out.

What an app has asked for waits under the `request` value that every link and form carries along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Problem
from server.oauth import cookies
from server.oauth.desk import Desk, Visitor, request_of
from server.oauth.enrolment import Enrolment, wrong
from server.oauth.page import Openings
from server.oauth.words import language_of
from server.smart.authority import Authority
from server.smart.model import User
from server.smart.second_factors import SecondFactors
from server.smart.security_keys import Party
from server.smart.sign_in import Entered, Halfway, Proof, SignIn, Step

_CLAUSE = "OpenID Connect Core 3.1.2.3"


@dataclass(frozen=True, slots=True)
class SignInPages:
    desk: Desk
    sign_in: SignIn
    factors: SecondFactors
    authority: Authority

    def endpoints(self) -> tuple[Endpoint, ...]:
        rows = (
            ("sign-in", "GET", "/sign-in", self.ask),
            ("sign-in.post", "POST", "/sign-in", self.check),
            ("second-factor", "GET", "/second-factor", self.ask_factor),
            ("second-factor.post", "POST", "/second-factor", self.check_factor),
            ("new-password", "GET", "/new-password", self.ask_password),
            ("new-password.post", "POST", "/new-password", self.set_password),
            ("enrol", "GET", "/enrol", self.ask_enrolment),
            ("enrol.post", "POST", "/enrol", self.enrol),
            ("sign-out", "POST", "/sign-out", self.sign_out),
            ("signed-out", "GET", "/signed-out", self.signed_out),
        )
        return tuple(
            Endpoint(f"oauth.{name}", method, path, "oauth", handler, _CLAUSE) for name, method, path, handler in rows
        )

    async def ask(self, call: Call) -> Answer:
        visitor, request = await self.desk.visitor(call), _request(call)
        if visitor.session is not None and not request:
            return self.desk.leave(visitor, "/account")
        values = await self._sign_in_values(visitor, request)
        if visitor.halfway is None and cookies.read(call, cookies.VISIT):
            values["error"] = visitor.say("sign-in.over")
            visitor.set.append(cookies.dropped(call, cookies.VISIT))
        return self.desk.show(visitor, "sign_in", values)

    async def check(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        request, login = request_of(form.one("request")), form.one("login").strip()
        try:
            step = await self.sign_in.begin(login, form.one("password"), visitor.caller)
        except Problem as problem:
            values = await self._sign_in_values(visitor, request)
            return self.desk.refuse(visitor, "sign_in", {**values, "login": login[:64]}, problem, "sign-in.wrong")
        return await self._onward(visitor, step, request)

    async def ask_factor(self, call: Call) -> Answer:
        visitor, request = await self.desk.visitor(call), _request(call)
        halfway = visitor.halfway
        if halfway is None or halfway.step is not Step.FACTOR:
            return self._astray(visitor, request)
        values, openings = await self._factor_values(visitor, halfway, request)
        return self.desk.show(visitor, "second_factor", values, openings=openings)

    async def check_factor(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        request, halfway = request_of(form.one("request")), visitor.halfway
        if halfway is None or halfway.step is not Step.FACTOR:
            return self._astray(visitor, request)
        proof = Proof(form.one("proof")) if form.one("proof") in set(Proof) else Proof.APP
        answer = form.one("answer" if proof is Proof.KEY else "code")
        try:
            step = await self.sign_in.prove(halfway, proof, answer, Party.of(call.base), visitor.caller)
        except Problem as problem:
            values, openings = await self._factor_values(visitor, halfway, request)
            return self.desk.refuse(visitor, "second_factor", values, problem, "factor.wrong", openings=openings)
        return await self._onward(visitor, step, request)

    async def ask_password(self, call: Call) -> Answer:
        visitor, request = await self.desk.visitor(call), _request(call)
        if visitor.halfway is None or visitor.halfway.step is not Step.RENEWAL:
            return self._astray(visitor, request)
        return self.desk.show(visitor, "new_password", {"request": request, "user": visitor.halfway.user})

    async def set_password(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        request, halfway = request_of(form.one("request")), visitor.halfway
        if halfway is None or halfway.step is not Step.RENEWAL:
            return self._astray(visitor, request)
        values = {"request": request, "user": halfway.user}
        if form.one("password") != form.one("again"):
            values["error"] = visitor.say("password.differs")
            return self.desk.show(visitor, "new_password", values, status=400)
        try:
            step = await self.sign_in.new_password(halfway, form.one("password"), visitor.caller)
        except Problem as problem:
            return self.desk.refuse(visitor, "new_password", values, problem, weakness_key(problem))
        return await self._onward(visitor, step, request)

    async def ask_enrolment(self, call: Call) -> Answer:
        visitor, request = await self.desk.visitor(call), _request(call)
        halfway = visitor.halfway
        if halfway is None or halfway.step is not Step.ENROL:
            return self._astray(visitor, request)
        return await self._show_enrolment(visitor, halfway, request)

    async def enrol(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        request, halfway = request_of(form.one("request")), visitor.halfway
        if halfway is None or halfway.step is not Step.ENROL:
            return self._astray(visitor, request)
        enrolment = Enrolment(self.desk, self.factors)
        proof = await enrolment.confirmed(visitor, halfway.visit.id, halfway.user, form)
        if proof is None:
            return await self._show_enrolment(visitor, halfway, request, visitor.say(wrong(form)))
        step = await self.sign_in.enrolled(halfway, proof, visitor.caller)
        answer = await self._onward(visitor, step, request)
        visitor.user = step.user
        return await enrolment.codes(visitor, step.user, dict(answer.headers)["Location"])

    async def sign_out(self, call: Call) -> Answer:
        """Ends the session of this browser; `everywhere` all of the user's, with every app's access."""
        visitor = await self.desk.visitor(call)
        form = await self.desk.form(visitor)
        request = request_of(form.one("request"))
        if visitor.session is not None and visitor.user is not None:
            if form.one("everywhere"):
                await self.desk.sessions.end_everything(visitor.user.id)
            await self.desk.sessions.end(visitor.session, "asked", visitor.caller)
        visitor.set += [cookies.dropped(call, each) for each in (cookies.SESSION, cookies.VISIT, cookies.FORM)]
        return self.desk.leave(visitor, "/sign-in" if request else "/signed-out", request)

    async def signed_out(self, call: Call) -> Answer:
        visitor = await self.desk.visitor(call)
        return self.desk.show(visitor, "signed_out", {"user": None})

    async def _onward(self, visitor: Visitor, step: Halfway | Entered, request: str) -> Answer:
        """A new session ends the one this browser had before (ASVS 5.0, 7.2.4)."""
        if isinstance(step, Entered) and visitor.session is not None:
            await self.desk.sessions.end(visitor.session, "asked", visitor.caller)
        return self.desk.onward(visitor, step, request)

    def _astray(self, visitor: Visitor, request: str) -> Answer:
        """To the step that is due, where somebody went back, or came too late."""
        if visitor.halfway is not None:
            return self.desk.leave(visitor, f"/{visitor.halfway.step.value}", request)
        if visitor.session is not None:
            return self.desk.leave(visitor, "/approve" if request else "/account", request)
        return self.desk.leave(visitor, "/sign-in", request)

    async def _sign_in_values(self, visitor: Visitor, request: str) -> dict[str, Any]:
        values: dict[str, Any] = {"request": request, "app": "", "login": "", "is_again": False, "user": None}
        if not request:
            return values
        pending = await self.authority.open(request)
        asked = await self.authority.asked(pending, visitor.user, visitor.session)
        is_chosen = cookies.read(visitor.call, cookies.LANGUAGE) or "lang" in dict(visitor.call.query)
        if pending.locales and not is_chosen:
            visitor.language = language_of(pending.locales)
            visitor.set.append(cookies.kept(visitor.call, cookies.LANGUAGE, visitor.language))
        is_again = visitor.session is not None and asked.needs_sign_in
        login = visitor.user.login if is_again and visitor.user is not None else pending.login_hint[:64]
        return {**values, "app": asked.client.name, "login": login, "is_again": is_again}

    async def _factor_values(self, visitor: Visitor, halfway: Halfway, request: str) -> tuple[dict[str, Any], Openings]:
        user: User = halfway.user
        party = Party.of(visitor.call.base) if user.webauthn else None
        options = await self.factors.challenge(halfway.visit.id, user, party) if party is not None else None
        values = {
            "request": request,
            "user": user,
            "options": options,
            "has_app": bool(user.totp),
            "has_recovery": bool(user.recovery),
        }
        return values, Openings(script=options is not None)

    async def _show_enrolment(self, visitor: Visitor, halfway: Halfway, request: str, error: str = "") -> Answer:
        values = {"request": request, "action": "/enrol", "is_first": True, "user": halfway.user}
        return await Enrolment(self.desk, self.factors).show(visitor, halfway.visit.id, halfway.user, values, error)


def weakness_key(problem: Problem) -> str:
    """The sentence for a password that was refused."""
    code = problem.issues[0].code if problem.issues else None
    return f"password.{code or 'common'}"


def _request(call: Call) -> str:
    return request_of(dict(call.query).get("request", ""))
