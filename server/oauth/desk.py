"""What every page needs: who is at the browser, in which language, and whether a form is one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from urllib.parse import urlsplit

from server.http.surface import Answer, Call
from server.kernel.clock import Clock
from server.kernel.ids import new_token
from server.kernel.problem import Issue, Kind, Problem
from server.oauth import cookies
from server.oauth.cookies import DEVICE, FORM, LANGUAGE, SESSION, VISIT
from server.oauth.csrf import FormTokens
from server.oauth.form import Form, read_form
from server.oauth.page import CLOSED, Openings, leave_for, moment_text, page, path_of, with_request
from server.oauth.protocol_call import caller_of
from server.oauth.words import LANGUAGES, Say, language_of, say_in
from server.smart.digest import digest
from server.smart.model import Session, User
from server.smart.recording import Caller
from server.smart.sessions import Sessions
from server.smart.sign_in import Entered, Halfway, SignIn

FORM_FIELD = "form_token"
_REQUEST_LENGTH = 128


@dataclass(slots=True)
class Visitor:
    """Whoever is at the browser. A visit and a session may be there at once, when somebody signs in anew."""

    call: Call
    language: str
    binding: str
    """What forms are bound to."""
    user: User | None = None
    session: Session | None = None
    halfway: Halfway | None = None
    set: list[tuple[str, str]] = field(default_factory=list)
    """Set-Cookie headers of the answer."""

    @property
    def say(self) -> Say:
        return say_in(self.language)

    @property
    def caller(self) -> Caller:
        device = cookies.read(self.call, DEVICE)
        return caller_of(self.call)._replace(device=digest(device) if device else "")


@dataclass(frozen=True, slots=True)
class Desk:
    sessions: Sessions
    sign_in: SignIn
    tokens: FormTokens
    clock: Clock
    zone: tzinfo
    organization: str
    """The hospital's name, at the head of every page."""

    async def visitor(self, call: Call) -> Visitor:
        """Named by cookies alone."""
        cookie = cookies.read(call, SESSION)
        found = await self.sessions.find(cookie) if cookie else None
        halfway = await self.sign_in.resume(cookies.read(call, VISIT))
        user, session = found or (None, None)
        visitor = Visitor(call, language_for(call), "", user, session, halfway)
        if asked := dict(call.query).get("lang"):
            visitor.set.append(cookies.kept(call, LANGUAGE, asked if asked in LANGUAGES else visitor.language))
        self._bind(visitor)
        return visitor

    async def form(self, visitor: Visitor) -> Form:
        """The form of a POST that one of our pages sent from this browser; else `FORBIDDEN`."""
        site = visitor.call.header("sec-fetch-site")
        form = await read_form(visitor.call)
        is_own = self.tokens.is_own(form.one(FORM_FIELD), visitor.binding)
        if not is_own or site not in (None, "same-origin"):
            raise Problem(Kind.FORBIDDEN, "The form is not one of ours.", (Issue("form", None, "form"),))
        return form

    def show(
        self,
        visitor: Visitor,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        openings: Openings = CLOSED,
    ) -> Answer:
        """A page with what all of them have."""
        common = {
            "request": "",
            "error": "",
            "user": visitor.user,
            "form_token": self.tokens.new(visitor.binding),
            "form_field": FORM_FIELD,
            "moment": self._moment,
            "organization": self.organization,
        }
        answer = page(visitor.call, template, visitor.language, {**common, **values}, status=status, openings=openings)
        answer.headers += visitor.set
        return answer

    def refuse(
        self,
        visitor: Visitor,
        template: str,
        values: Mapping[str, Any],
        problem: Problem,
        wrong: str,
        *,
        openings: Openings = CLOSED,
    ) -> Answer:
        """The page once more with what was wrong: the sentence `wrong`, or how long to wait."""
        if problem.kind is Kind.BUSY:
            told = {**values, "error": self.told_to_wait(visitor, problem)}
            answer = self.show(visitor, template, told, status=429, openings=openings)
            answer.headers.append(("Retry-After", str(problem.retry_after or 1)))
            return answer
        if problem.kind not in (Kind.UNAUTHENTICATED, Kind.INVALID):
            raise problem
        return self.show(visitor, template, {**values, "error": visitor.say(wrong)}, status=400, openings=openings)

    @staticmethod
    def told_to_wait(visitor: Visitor, problem: Problem) -> str:
        return visitor.say("sign-in.soon", wait=wait_text(problem.retry_after or 1, visitor.say))

    def leave(self, visitor: Visitor, path: str, request: str = "") -> Answer:
        """To another of our pages."""
        answer = leave_for(with_request(path_of(visitor.call) + path, request))
        answer.headers += visitor.set
        return answer

    def onward(self, visitor: Visitor, step: Halfway | Entered, request: str) -> Answer:
        """To the next step of a sign-in, or where it was made for."""
        call = visitor.call
        if isinstance(step, Entered):
            visitor.set += [cookies.kept(call, SESSION, step.cookie), cookies.dropped(call, VISIT)]
            if step.device:
                visitor.set.append(cookies.kept(call, DEVICE, step.device))
            return self.leave(visitor, "/approve" if request else "/account", request)
        if step.cookie:
            visitor.set.append(cookies.kept(call, VISIT, step.cookie))
        return self.leave(visitor, f"/{step.step.value}", request)

    def _bind(self, visitor: Visitor) -> None:
        """Forms of a sign-in are bound to the visit, also where there is still a session of before."""
        known = cookies.read(visitor.call, FORM)
        if visitor.halfway is not None:
            visitor.binding = "visit " + visitor.halfway.visit.id
        elif visitor.session is not None:
            visitor.binding = "session " + visitor.session.csrf
        else:
            if not known:
                known = new_token(16)
                visitor.set.append(cookies.kept(visitor.call, FORM, known))
            visitor.binding = "form " + known

    def _moment(self, at: int) -> str:
        return moment_text(at, self.zone)


def request_of(text: str) -> str:
    """The value of a pending request as links and forms carry it; empty where it cannot be one."""
    is_one = 0 < len(text) <= _REQUEST_LENGTH and text.replace("-", "").replace("_", "").isalnum() and text.isascii()
    return text if is_one else ""


def language_for(call: Call) -> str:
    """What was asked for here, what was chosen before, or what the browser says."""
    asked = dict(call.query).get("lang", "") if call.method in ("GET", "HEAD") else ""
    for each in (asked, cookies.read(call, LANGUAGE)):
        if each in LANGUAGES:
            return each
    return language_of(call.header("accept-language") or "")


def wait_text(seconds: int, say: Say) -> str:
    if seconds < 90:
        return say("wait.seconds", count=seconds)
    return say("wait.minutes", count=-(-seconds // 60))


def host_of(url: str) -> str:
    """Where an app is, as a person reads it."""
    parts = urlsplit(url)
    return parts.netloc or f"{parts.scheme}:"
