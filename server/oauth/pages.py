"""Every page a person sees, over one set of services; what the rest of the surface asks of them is here too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from server.audit.writes import Recording
from server.http.surface import Answer, Call, Endpoint
from server.kernel.clock import Clock
from server.kernel.problem import Kind, Problem
from server.oauth import static_files
from server.oauth.account_pages import AccountPages
from server.oauth.approval_pages import ApprovalPages
from server.oauth.csrf import FormTokens
from server.oauth.desk import Desk, language_for
from server.oauth.page import page
from server.oauth.patients import Patients, RecordedPatients
from server.oauth.problems import STATUS
from server.oauth.sign_in_pages import SignInPages
from server.oauth.start_page import StartPage
from server.oauth.words import WORDS, say_in
from server.smart.authority import Authority
from server.smart.model import Session, User
from server.smart.people import People

_OVER = frozenset({Kind.NOT_FOUND})
_STATUS = {**STATUS, Kind.UNSUPPORTED: 422, Kind.UNSUPPORTED_MEDIA: 415}
"""Forms are no requests of RFC 6749, which knows only 400 for these."""


@dataclass(frozen=True, slots=True)
class Pages:
    desk: Desk
    start: StartPage
    sign_in: SignInPages
    approval: ApprovalPages
    account: AccountPages

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            *self.start.endpoints(),
            *self.sign_in.endpoints(),
            *self.approval.endpoints(),
            *self.account.endpoints(),
            *static_files.endpoints(),
        )

    async def signed_in(self, call: Call) -> tuple[User, Session] | None:
        """The live session behind the browser's cookie."""
        visitor = await self.desk.visitor(call)
        return (visitor.user, visitor.session) if visitor.user is not None and visitor.session is not None else None

    def is_own_form(self, session: Session, value: str) -> bool:
        """Whether a form's token was given to this session."""
        return self.desk.tokens.is_own(value, "session " + session.csrf)

    def error_page(self, call: Call, problem: Problem) -> Answer:
        """A problem as a person reads it: what it means to them, and the code for whoever made the app."""
        language = language_for(call)
        values: dict[str, Any] = {
            "told": say_in(language)(_sentence(problem)),
            "code": problem.issues[0].code or "" if problem.issues else "",
            "number": call.context.request_id,
            "user": None,
            "request": "",
            "switches": [],
            "organization": self.desk.organization,
        }
        answer = page(call, "error", language, values, status=_STATUS[problem.kind])
        answer.headers += list(problem.headers.items())
        if problem.retry_after is not None:
            answer.headers.append(("Retry-After", str(problem.retry_after)))
        return answer


def open_pages(
    people: People,
    authority: Authority,
    patients: Patients,
    recording: Recording,
    clock: Clock,
    zone: tzinfo,
    organization: str = "Weft",
) -> Pages:
    """`patients` finds under each user's own rights; `zone` is that of the times pages show."""
    desk = Desk(people.sessions, people.sign_in, FormTokens(people.secret, clock), clock, zone, organization)
    watched = RecordedPatients(patients, recording, clock)
    return Pages(
        desk,
        StartPage(desk),
        SignInPages(desk, people.sign_in, people.factors, authority),
        ApprovalPages(desk, authority, people.passing, watched),
        AccountPages(
            desk,
            people.store,
            people.sign_in,
            people.users,
            people.factors,
            people.approvals,
            people.passing,
            watched,
        ),
    )


def _sentence(problem: Problem) -> str:
    """The key of what to say."""
    code = problem.issues[0].code if problem.issues else None
    if code == "form":
        return "error.form"
    if code == "glass":
        return "glass.not"
    if code is not None and problem.kind in _OVER:
        return "error.over"
    if code is not None and problem.kind in (Kind.INVALID, Kind.UNAUTHENTICATED) and code != "login_required":
        return "error.app"
    key = f"error.{problem.kind.value}"
    return key if key in WORDS else "error.invalid"
