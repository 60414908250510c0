from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import Actor, Context
from server.kernel.problem import Kind, Problem
from server.oauth.door import SmartDoor
from server.oauth.raw_request import raw_request, without_secrets
from server.smart.bearer import Access
from server.smart.model import Approval, Token
from tests.server.audit.recording import NURSE, Clock, Remembered

AUDITOR = Actor("a1|console", "Auditor", (), frozenset({"auditor"}), user="a1", client="console")
APPROVAL = Approval("approval1", "app", ("patient/*.rs",))
TOKEN = Token("t", "approval1", "access", ("patient/*.rs",), 0, 1)


class Tokens:
    """Two good tokens."""

    async def authenticate(self, token: str) -> Access:
        if token == "good":
            return Access(NURSE, "TREAT", APPROVAL, TOKEN)
        if token == "emergency":
            return Access(NURSE, "BTG", APPROVAL, TOKEN)
        if token == "auditor":
            return Access(AUDITOR, "TREAT", APPROVAL, TOKEN)
        raise Problem(Kind.UNAUTHENTICATED, "The access token is not good.")


async def _nothing(call: Call) -> Answer:
    return Answer()


def endpoint(name: str, interaction: str = "read", method: str = "GET") -> Endpoint:
    return Endpoint(name, method, "/", interaction, _nothing, "")


def call(
    path: Mapping[str, str] | None = None,
    query: str = "",
    token: str | None = "good",
    url: str = "/fhir",
    method: str = "GET",
    peer: str = "10.0.0.7",
) -> Call:
    headers = [(b"authorization", f"Bearer {token}".encode())] if token is not None else []
    scope: dict[str, Any] = {
        "method": method, "path": url, "query_string": query.encode(), "headers": headers, "client": (peer, 5),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    return Call(scope, receive, path or {}, "https://weft.example/fhir", Context(NURSE, "r"))


class Doorstep:
    def __init__(self) -> None:
        self.log = Remembered()
        self.clock = Clock()
        self.caught_up = 0
        self.door = SmartDoor(Tokens(), self.log, self.clock, catch_up=self._catch_up)

    async def _catch_up(self) -> bool:
        self.caught_up += 1
        return self.caught_up < 2

    def through(self, made: Call, row: Endpoint, outcome: Answer | Problem, *notes: Any) -> None:
        async def run() -> None:
            made.context = await self.door.enter(made, row, "req-1")
            for note in notes:
                made.context.trail.add(*note)
            await self.door.leave(made, row, outcome)

        asyncio.run(run())

    def refused(self, made: Call) -> Problem:
        with pytest.raises(Problem) as caught:
            asyncio.run(self.door.enter(made, endpoint("read"), "req-1"))
        assert caught.value.kind is Kind.UNAUTHENTICATED
        return caught.value


@pytest.fixture
def step() -> Doorstep:
    return Doorstep()


READ = endpoint("read")
FRAMES = endpoint("wado.frames")
FRAME_PATH = {"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5", "frames": "1"}


def test_who_brings_no_token_is_told_of_the_scheme_and_nothing_else(step: Doorstep) -> None:
    assert step.refused(call(token=None)).headers == {"WWW-Authenticate": 'Bearer realm="weft"'}
    assert step.log.events == []


def test_a_token_in_the_query_opens_nothing(step: Doorstep) -> None:
    step.refused(call(token=None, query="access_token=good"))


def test_a_bad_token_is_called_so_and_recorded(step: Doorstep) -> None:
    problem = step.refused(call(token="stolen-and-revoked"))
    assert problem.headers == {"WWW-Authenticate": 'Bearer realm="weft", error="invalid_token"'}
    [event] = step.log.taken()
    assert (event.code, event.outcome, event.peer) == ("110114", 4, "10.0.0.7")
    assert "stolen" not in repr(event)


def test_who_tries_thousands_of_tokens_fills_no_disk(step: Doorstep) -> None:
    for _ in range(500):
        step.refused(call(token="bad"))
    for number in range(500):
        step.refused(call(token="bad", peer=f"10.1.{number % 250}.{number // 250}"))
    asyncio.run(step.door.settle(2**62))
    assert len(step.log.events) < 220
    assert sum("more requests" in each.entities[-1].detail for each in step.log.events if each.entities) == 2


def test_statements_need_no_token_and_make_no_event(step: Doorstep) -> None:
    step.through(call(token=None), endpoint("capabilities", "capabilities"), Answer())
    assert step.log.events == []


def test_a_read_is_one_event(step: Doorstep) -> None:
    step.through(call({"type": "Observation", "id": "7"}), READ, Answer(), ("Observation/7/_history/1", ("Patient/3",)))
    [event] = step.log.taken()
    assert (event.subtype, event.patient, event.session, event.request) == ("read", "Patient/3", "approval1", "req-1")


def test_a_refused_read_is_the_same_with_outcome_4(step: Doorstep) -> None:
    step.through(call({"type": "Patient", "id": "3"}), READ, Problem(Kind.FORBIDDEN, "no"))
    [event] = step.log.taken()
    assert (event.subtype, event.outcome, event.patient) == ("read", 4, "Patient/3")


def test_a_search_that_found_nothing_still_tells_whose_data_was_asked_for(step: Doorstep) -> None:
    asked = call({"type": "Observation"}, "patient=3,Patient/4&code=1", url="/fhir/Observation")
    step.through(asked, endpoint("search.type", "search"), Answer())
    [event] = step.log.taken()
    assert event.query == "GET /fhir/Observation?patient=3,Patient/4&code=1"
    assert event.patients == ("Patient/3", "Patient/4")


def test_hundreds_of_frames_are_two_events(step: Doorstep) -> None:
    for number in range(300):
        made = call(FRAME_PATH | {"frames": str(number)})
        step.through(made, FRAMES, Answer(), ("urn:oid:1.2.3", ("Patient/3",), "1 instance"))
    [first] = step.log.taken()
    assert (first.code, first.subtype, first.patient) == ("110104", "wado-rs", "Patient/3")
    assert first.entities[0].reference == "urn:oid:1.2.3"
    step.clock.move(61)
    asyncio.run(step.door.settle(int(step.clock.now().timestamp() * 1_000_000)))
    [summary] = step.log.taken()
    assert summary.entities[-1].detail == "299 more requests within 60 s"


def test_another_study_purpose_or_outcome_is_no_part_of_a_stream(step: Doorstep) -> None:
    step.through(call(FRAME_PATH), FRAMES, Answer())
    step.through(call(FRAME_PATH | {"study": "1.2.9"}), FRAMES, Answer())
    step.through(call(FRAME_PATH), FRAMES, Problem(Kind.NOT_FOUND, "no"))
    step.through(call(FRAME_PATH, peer="10.0.0.8"), FRAMES, Answer())
    step.through(call(FRAME_PATH), endpoint("wado.study.metadata"), Answer())
    assert len(step.log.events) == 5


def test_in_an_emergency_every_frame_is_an_event_of_its_own(step: Doorstep) -> None:
    for _ in range(3):
        step.through(call(FRAME_PATH, token="emergency"), FRAMES, Answer())
    assert [each.purpose for each in step.log.events] == ["BTG"] * 3


def test_a_write_whose_event_went_with_its_commit_makes_no_second(step: Doorstep) -> None:
    made, row = call({"type": "Observation"}, method="POST"), endpoint("create", "create", "POST")

    async def run() -> None:
        made.context = await step.door.enter(made, row, "req-1")
        made.context.trail.keep()
        await step.door.leave(made, row, Answer(201))

    asyncio.run(run())
    assert step.log.events == []
    step.through(made, row, Problem(Kind.INVALID, "no"))
    assert [each.outcome for each in step.log.events] == [4]


def test_a_store_that_was_refused_in_part_says_so(step: Doorstep) -> None:
    made, row = call({}, method="POST"), endpoint("stow.studies", "create", "POST")

    async def run() -> None:
        made.context = await step.door.enter(made, row, "req-1")
        made.context.trail.keep()
        made.context.trail.add("urn:oid:1.2.3", ("Patient/3",), "12 stored, 1 refused")
        await step.door.leave(made, row, Answer(202))

    asyncio.run(run())
    [event] = step.log.taken()
    assert (event.outcome, event.entities[0].detail) == (4, "12 stored, 1 refused")


def test_an_oversized_body_is_a_security_alert(step: Doorstep) -> None:
    step.through(call({"type": "Binary"}), endpoint("create", "create", "POST"), Problem(Kind.TOO_LARGE, "no"))
    [event] = step.log.taken()
    assert (event.code, event.subtype, event.outcome) == ("110113", "refused-input", 4)


def test_an_auditor_sees_the_newest_events_and_leaves_one(step: Doorstep) -> None:
    asked = call({"type": "AuditEvent"}, "patient=3", token="auditor", url="/fhir/AuditEvent")
    step.through(asked, endpoint("search.type", "search"), Answer())
    assert step.caught_up == 1
    [event] = step.log.taken()
    assert (event.code, event.subtype, event.action) == ("110101", "ITI-81", "R")
    step.through(call({"type": "AuditEvent"}), endpoint("search.type", "search"), Problem(Kind.FORBIDDEN, "no"))
    assert step.caught_up == 1
    answer = Answer()
    step.through(asked, endpoint("search.type", "search"), answer)
    assert answer.headers == [("Warning", '199 weft "the newest events cannot be searched yet"')]


def test_what_cannot_be_recorded_is_not_answered() -> None:
    class Full(Remembered):
        async def record(self, events: Any) -> None:
            raise Problem(Kind.UNAVAILABLE, "The journal cannot be written.")

    step = Doorstep()
    step.door = SmartDoor(Tokens(), Full(), step.clock)
    with pytest.raises(Problem) as caught:
        step.through(call({"type": "Patient", "id": "3"}), READ, Answer())
    assert caught.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    "query",
    [
        "access_token=s3cr3t",
        "a=1&Access_Token=s3cr3t&b=2",
        "access%5Ftoken=s3cr3t",
        "%61ccess_token=s3cr3t",
        "a=1;client_secret=s3cr3t",
        "code_verifier=s3cr3t",
        "access%255Ftoken=s3cr3t",
        "client_assertion=s3cr3t&x",
    ],
)
def test_no_secret_of_a_query_is_kept(query: str) -> None:
    assert "s3cr3t" not in without_secrets(query)


def test_what_is_searched_for_is_kept_as_it_came() -> None:
    text = "code=http://loinc.org|1234-5&name=%E7%8E%8B&_token=x"
    assert without_secrets(text) == text


@given(
    st.sampled_from(
        ["access_token", "refresh_token", "client_secret", "code_verifier", "client_assertion", "password"]
    ),
    st.text("abcdefgh0123456789", min_size=12, max_size=40),
    st.lists(st.sampled_from(["a=1", "name=x", "_count=5", "code=http://loinc.org|1"]), max_size=4),
    st.data(),
)
def test_a_secret_is_left_out_however_its_name_is_written(
    name: str, secret: str, others: list[str], data: st.DataObject
) -> None:
    written = "".join(
        data.draw(st.sampled_from([each, each.upper(), f"%{ord(each):02x}", f"%25{ord(each):02X}"])) for each in name
    )
    pairs = data.draw(st.permutations([*others, f"{written}={secret}"]))
    told = without_secrets(data.draw(st.sampled_from("&;")).join(pairs))
    assert secret not in told
    assert all(each in told for each in others)


def test_a_query_that_is_no_text_is_recorded_too(step: Doorstep) -> None:
    made = call({"type": "Patient"})
    made.scope = {**made.scope, "query_string": b"name=%FF\xff"}
    step.through(made, endpoint("search.type", "search"), Problem(Kind.INVALID, "no"))
    assert [each.outcome for each in step.log.events] == [4]


@given(st.text(max_size=300), st.dictionaries(st.sampled_from(["type", "id", "study", "job"]), st.text(max_size=300)))
def test_any_request_makes_an_event_of_bounded_length(query: str, path: dict[str, str]) -> None:
    made = call(path, query.encode("utf-8", "surrogatepass").decode("latin-1"), url="/" + "x" * 9000)
    step = Doorstep()
    for name in ("read", "search.type", "wado.frames", "export.file"):
        step.through(made, endpoint(name), Problem(Kind.NOT_FOUND, "no"))
    assert all(len(each.query) < 20_000 and len(repr(each.entities)) < 2000 for each in step.log.events)
    assert len(raw_request(made)) < 20_000
