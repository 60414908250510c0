from __future__ import annotations

from server.audit.acts import AUDIT_USED, pattern_of
from server.audit.event import Entity
from server.audit.telling import Deed, decision_of, events_of
from tests.server.audit.recording import AT, context


def deed(name: str, subject: str = "", query: str = "", **facts: object) -> Deed:
    pattern = pattern_of(name)
    assert pattern is not None
    return Deed(pattern, subject, query)._replace(**facts)


def test_a_read_names_who_whose_and_what() -> None:
    asked = context()
    asked.trail.add("Observation/7/_history/2", ("Patient/3",))
    [event] = events_of(AT, asked, deed("read", "Observation/7"))
    assert (event.code, event.subtype, event.action, event.outcome) == ("rest", "read", "R", 0)
    assert (event.user, event.client, event.fhir_user, event.roles) == ("u1", "app", "Practitioner/12", ("nurse",))
    assert (event.patient, event.request, event.peer, event.purpose) == ("Patient/3", "req-1", "10.0.0.7", "TREAT")
    assert event.entities == (Entity("data", "Observation/7/_history/2"),)


def test_a_search_tells_what_was_asked_and_whose_data_came_but_not_what_was_found() -> None:
    asked = context()
    asked.trail.add("Observation/7/_history/2", ("Patient/3",))
    asked.trail.touch(("Patient/4", "Patient/3"))
    [event] = events_of(AT, asked, deed("search.type", query="GET /fhir/Observation?code=1"))
    assert event.entities == ()
    assert event.query == "GET /fhir/Observation?code=1"
    assert set(event.patients) == {"Patient/3", "Patient/4"}


def test_a_page_of_very_many_patients_makes_several_events() -> None:
    asked = context()
    asked.trail.touch(f"Patient/{number}" for number in range(1000))
    events = events_of(AT, asked, deed("search.type", query="GET /fhir/Patient"))
    assert sum(len(each.patients) for each in events) == 1000
    assert len({patient for each in events for patient in each.patients}) == 1000


def test_a_refusal_keeps_the_shape_of_what_was_tried() -> None:
    asked = context()
    asked.trail.refuse("no scope for Observation")
    [event] = events_of(AT, asked, deed("read", "Observation/7", outcome=4, text="forbidden"))
    assert (event.subtype, event.outcome, event.outcome_text) == ("read", 4, "no scope for Observation")
    assert event.entities == (Entity("data", "Observation/7"),)


def test_what_consent_left_out_is_counted_by_rule_and_never_named() -> None:
    asked = context()
    asked.trail.touch(("Patient/3",))
    asked.trail.hide("rule-7", 3)
    asked.trail.hide("label")
    asked.trail.rely("Consent/9")
    _, decision = events_of(AT, asked, deed("search.type", query="GET /fhir/Observation"))
    assert (decision.code, decision.subtype, decision.outcome) == ("110113", "AuthZ-Consent", 0)
    assert decision.outcome_text == "label=1 rule-7=3"
    assert decision.entities == (Entity("consent", "Consent/9"),)
    assert decision.request == "req-1"


def test_a_refusal_by_consent_is_a_denied_decision() -> None:
    asked = context()
    asked.trail.rely("Consent/9")
    asked.trail.refuse("rule-3")
    _, decision = events_of(AT, asked, deed("read", "Observation/7", outcome=4))
    assert (decision.subtype, decision.outcome, decision.outcome_text) == ("AuthZ-Consent", 4, "rule-3")


def test_a_decision_without_a_consent_is_one_by_role() -> None:
    asked = context()
    asked.trail.hide("label", 2)
    [decision] = decision_of(AT, asked, deed("update", "Observation/7"))
    assert decision.subtype == "AuthZ-Role"


def test_break_glass_marks_every_event() -> None:
    asked = context(purpose="BTG")
    asked.trail.add("Observation/7", ("Patient/3",))
    [event] = events_of(AT, asked, deed("read", "Observation/7"))
    assert event.purpose == "BTG"


def test_who_reads_the_audit_log_leaves_the_question_and_no_patient() -> None:
    asked = context()
    asked.trail.touch(("Patient/3",))
    [event] = events_of(AT, asked, Deed(AUDIT_USED, "AuditEvent", "GET /fhir/AuditEvent?patient=3"))
    assert (event.code, event.subtype, event.patients) == ("110101", "ITI-81", ("",))


def test_an_event_never_grows_past_what_the_journal_takes() -> None:
    asked = context()
    for number in range(5000):
        asked.trail.add(f"Observation/{'x' * 60}{number}", (f"Patient/{'y' * 56}{number}",), "detail")
        asked.trail.rely(f"Consent/{'z' * 56}{number}")
        asked.trail.hide(f"rule-{number}")
    for event in events_of(AT, asked, deed("transaction", "Bundle", "q" * 100_000)):
        texts = [event.query, event.outcome_text, *event.patients]
        texts += [text for each in event.entities for text in (each.kind, each.reference, each.detail)]
        assert sum(len(each.encode()) + 3 for each in texts) < 60_000
