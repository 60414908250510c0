"""Who is under which terms, as consents are written, begin, end and patients are linked."""

from __future__ import annotations

from server.access.consent.compiling import Compiler
from server.access.consent.judging import OPEN, SHUT, Asker
from server.access.consent.policies import Policy, Site
from server.access.consent.rule import Employed, Linked, Rule, Written
from server.access.consent.sight import answer_to, sight_of
from server.access.consent.snapshot import Snapshot
from storage.query import EVERYTHING, Not, OneOf, matches
from tests.data.consents import TPO, consent, deny, permit

SITE = Site()
WHO = Asker(frozenset(), "", frozenset(("radiologist",)), "TREAT")


def spans(text: str) -> tuple[int, int]:
    return int(text), int(text) + 1


def rule(root: object, patient: str, **others: object) -> Written:
    made = Compiler(spans, lambda text: text).compile(consent(root, patient, **others))  # type: ignore[arg-type]
    assert isinstance(made, Rule)
    return Written(rule=made)


def test_patients_that_agreed_to_the_same_are_judged_together() -> None:
    snapshot = Snapshot()
    for n in range(100):
        snapshot.take(f"Consent/{n}", rule(deny(TPO) if n % 10 else permit(TPO), f"Patient/{n}"), 0)
    assert len(snapshot.groups) == 2
    sight = sight_of(snapshot, WHO, SITE)
    assert sight.others.keys() == {SHUT}
    assert len(sight.others[SHUT]) == 90
    assert sight.predicate("Observation", SITE) == Not(OneOf("@patient", sight.others[SHUT]))
    assert sight.partial == frozenset()


def test_who_agreed_to_what_the_policy_says_anyway_is_not_spoken_of() -> None:
    snapshot = Snapshot()
    snapshot.take("Consent/1", rule(permit(TPO), "Patient/1"), 0)
    assert sight_of(snapshot, WHO, SITE).predicate("Observation", SITE) == EVERYTHING
    closed = Site(Policy.DENY)
    shown = sight_of(snapshot, WHO, closed).predicate("Observation", closed)
    assert matches(shown, {"@patient": frozenset(("Patient/1",))})
    assert not matches(shown, {"@patient": frozenset(("Patient/2",))})
    assert not matches(shown, {"@patient": frozenset(("Patient/1", "Patient/2")), "@shared": frozenset((1,))})
    assert matches(shown, {})


def test_of_what_is_about_several_patients_all_must_agree() -> None:
    snapshot = Snapshot()
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/1"), 0)
    snapshot.take("Consent/2", rule(permit(TPO, labels=["N"]), "Patient/2"), 0)
    shown = sight_of(snapshot, WHO, SITE).predicate("Observation", SITE)
    level = {"@level": frozenset((3,))}
    assert not matches(shown, {"@patient": frozenset(("Patient/1", "Patient/3")), **level})
    assert matches(shown, {"@patient": frozenset(("Patient/2", "Patient/3")), **level})
    assert not matches(shown, {"@patient": frozenset(("Patient/2", "Patient/3")), "@level": frozenset((4,))})


def test_a_consent_begins_and_ends_by_the_clock() -> None:
    snapshot = Snapshot()
    snapshot.take("Consent/1", rule(deny(TPO, period={"start": "10", "end": "19"}), "Patient/1"), 0)
    for now, expected in ((9, OPEN), (10, SHUT), (19, SHUT), (20, OPEN)):
        snapshot.advance(now)
        assert answer_to(snapshot, WHO, SITE, "Patient/1") == expected


def test_an_exception_has_its_own_time() -> None:
    snapshot = Snapshot()
    root = permit(TPO, nested=[deny(period={"end": "19"})])
    snapshot.take("Consent/1", rule(root, "Patient/1"), 0)
    assert answer_to(snapshot, WHO, SITE, "Patient/1") == SHUT
    snapshot.advance(20)
    assert answer_to(snapshot, WHO, SITE, "Patient/1") == OPEN


def test_a_change_makes_a_generation_and_nothing_else_does() -> None:
    snapshot = Snapshot()
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/1"), 0)
    before = snapshot.generation
    snapshot.advance(100)
    assert snapshot.generation == before
    snapshot.take("Consent/1", Written(), 100)
    assert snapshot.generation > before
    assert not snapshot.groups


def test_a_consent_that_changes_its_patient_leaves_the_first() -> None:
    snapshot = Snapshot()
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/1"), 0)
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/2"), 0)
    assert answer_to(snapshot, WHO, SITE, "Patient/1") == OPEN
    assert answer_to(snapshot, WHO, SITE, "Patient/2") == SHUT


def test_linked_patients_share_their_consents_as_long_as_they_are_linked() -> None:
    snapshot = Snapshot()
    snapshot.take("Patient/3", Written(linked=Linked(("Patient/2",))), 0)
    snapshot.take("Patient/2", Written(linked=Linked(("Patient/1",))), 0)
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/1"), 0)
    assert {each for each in ("Patient/1", "Patient/2", "Patient/3") if snapshot.terms_of(each)} == {
        "Patient/1",
        "Patient/2",
        "Patient/3",
    }
    assert list(snapshot.consents_of("Patient/3", 0)) == ["Consent/1"]
    snapshot.take("Patient/2", Written(linked=Linked()), 0)
    assert [bool(snapshot.terms_of(each)) for each in ("Patient/1", "Patient/2", "Patient/3")] == [True, False, False]


def test_consents_of_other_custodians_are_passed_over() -> None:
    snapshot = Snapshot(frozenset(("Organization/here",)))
    snapshot.take("Consent/1", rule(deny(TPO), "Patient/1", organization=[{"reference": "Organization/else"}]), 0)
    snapshot.take("Consent/2", rule(deny(TPO), "Patient/2", organization=[]), 0)
    assert answer_to(snapshot, WHO, SITE, "Patient/1") == OPEN
    assert answer_to(snapshot, WHO, SITE, "Patient/2") == SHUT


def test_what_was_authored_under_a_role_of_a_practitioner_is_theirs_whenever_the_role_came_to_be() -> None:
    snapshot = Snapshot()
    by_a = permit(TPO, nested=[deny(data=[("authoredby", "Practitioner/a")])])
    snapshot.take("PractitionerRole/old", Written(employed=Employed("Practitioner/a")), 0)
    snapshot.take("Consent/1", rule(by_a, "Patient/1"), 0)

    def is_seen(author: str) -> bool:
        shown = sight_of(snapshot, WHO, SITE).predicate("Observation", SITE)
        return matches(shown, {"@patient": frozenset(("Patient/1",)), "@author": frozenset((author,))})

    assert [is_seen(each) for each in ("Practitioner/a", "PractitionerRole/old", "Practitioner/b")] == [False] * 2 + [
        True
    ]
    assert is_seen("PractitionerRole/new")
    snapshot.take("PractitionerRole/new", Written(employed=Employed("Practitioner/a")), 0)
    assert not is_seen("PractitionerRole/new")
    generation = snapshot.generation
    snapshot.take("PractitionerRole/new", Written(employed=Employed("Practitioner/a")), 0)
    snapshot.take("PractitionerRole/other", Written(employed=Employed("Practitioner/b")), 0)
    assert snapshot.generation == generation
    snapshot.take("PractitionerRole/new", Written(employed=Employed("Practitioner/b")), 0)
    assert is_seen("PractitionerRole/new")
