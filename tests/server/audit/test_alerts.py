from __future__ import annotations

import logging
from dataclasses import replace
from datetime import time

import msgspec
import pytest

from server.audit.alerts import AlertLimits, Alerts, kind_of
from server.audit.event import Event
from server.audit.security_events import break_glass_started
from server.audit.who import Who
from server.kernel.clock import HOUR
from tests.server.audit.recording import AT

LIMITS = AlertLimits(patients=3, refusals=2, same_name=2)


def seen(patient: str = "Patient/1", at: int = AT, **facts: object) -> Event:
    event = Event("rest", "read", "R", at, user="u1", user_name="Wang Fang", patient=patient)
    return msgspec.structs.replace(event, **facts)


def kinds(alerts: Alerts, *events: Event) -> list[str]:
    return [kind_of(each) for each in alerts.see(events)]


def test_many_patients_within_an_hour_are_told_once() -> None:
    alerts = Alerts(LIMITS)
    assert kinds(alerts, *(seen(f"Patient/{number}") for number in range(3))) == []
    assert kinds(alerts, seen("Patient/3"), seen("Patient/4")) == ["volume"]
    assert kinds(alerts, seen("Patient/5", AT + HOUR)) == []


def test_the_same_patient_again_is_nothing_unusual() -> None:
    assert kinds(Alerts(LIMITS), *(seen() for _ in range(50))) == []


def test_one_page_of_many_patients_counts_them_all() -> None:
    page = seen(subtype="search-type", others=("Patient/2", "Patient/3", "Patient/4"))
    assert kinds(Alerts(LIMITS), page) == ["volume"]


def test_repeated_refusals_are_told_of_a_user_and_of_an_address() -> None:
    assert kinds(Alerts(LIMITS), *(seen(outcome=4) for _ in range(9))) == ["refusals"]
    stranger = Event("110114", "110122", "E", AT, 4, peer="10.0.0.9")
    assert kinds(Alerts(LIMITS), *(stranger for _ in range(9))) == ["refusals"]


@pytest.mark.parametrize(
    ("user", "query", "unusual"),
    [
        ("Wang Fang", "GET /fhir/Patient?family=Fang", True),
        ("Wang Fang", "GET /fhir/Patient?name:contains=fangio", True),
        ("Fang, Wang", "GET /dicomweb/studies?PatientName=FANG%5EWANG", True),
        ("王芳", "GET /fhir/Patient?name=%E7%8E%8B%E5%BC%BA", True),
        ("Wang Fang", "POST /oauth/patients?text=wang", True),
        ("Wang Fang", "GET /fhir/Patient?family=Smith", False),
        ("Wang Fang", "GET /fhir/Patient?identifier=Fang", False),
        ("", "GET /fhir/Patient?family=", False),
    ],
)
def test_a_search_for_ones_own_family_name_is_told(user: str, query: str, unusual: bool) -> None:
    event = seen("", subtype="search-type", query=query, user_name=user)
    assert kinds(Alerts(LIMITS), event) == (["names"] if unusual else [])


def test_many_patients_of_one_name_are_told() -> None:
    query = "GET /fhir/Patient?name=Smith"
    events = [seen(f"Patient/{number}", subtype="search-type", query=query) for number in range(3)]
    assert kinds(Alerts(replace(LIMITS, patients=0)), *events) == ["names"]


def test_hours_are_local_and_may_span_midnight() -> None:
    day = replace(LIMITS, working=(time(7), time(19)))
    night = replace(LIMITS, working=(time(19), time(7)))
    assert kinds(Alerts(day), seen()) == []
    assert kinds(Alerts(night), seen(), seen()) == ["hours"]


def test_break_glass_is_told_at_its_beginning_and_for_each_patient(caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts(LIMITS)
    with caplog.at_level(logging.WARNING, "weft.audit"):
        begun = break_glass_started(AT, Who("u1", "Wang Fang"), "unconscious patient", "Patient/1")
        found = alerts.see([begun, seen(purpose="BTG"), seen(purpose="BTG"), seen("Patient/2", purpose="BTG")])
    assert [kind_of(each) for each in found] == ["break-glass"] * 3
    assert [each.patient for each in found] == ["", "Patient/1", "Patient/2"]
    assert "Patient/" not in caplog.text
    assert "unconscious" not in caplog.text


def test_alerts_raise_no_alerts() -> None:
    alerts = Alerts(LIMITS)
    found = alerts.see([seen(outcome=4) for _ in range(9)])
    assert alerts.see(found * 9) == []


def test_what_is_remembered_is_bounded() -> None:
    alerts = Alerts(LIMITS)
    alerts.see([seen(user=f"u{number}") for number in range(30_000)])
    assert len(alerts._hours) <= 20_000
