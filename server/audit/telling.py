"""What a request did, as events: its pattern, what services noted on its trail, and how it ended.

This is the hot path of every disclosure: plain tuples, one event for an ordinary read, nothing formatted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.audit.acts import AUDIT_USED, About, Pattern
from server.audit.codes import CONSENT_DECISION, ROLE_DECISION, SECURITY_ALERT
from server.audit.event import Entity, Event
from server.kernel.context import Context
from server.kernel.trail import Note, Trail

_MOST_ENTITIES = 100
_MOST_PATIENTS = 300
"""In one event; a page of more is told of in several, so that an event stays short of what the journal takes."""
_LONGEST_TEXT = 200
_BY_ROLE = frozenset({"role", "label", "ceiling"})
"""Names under which services count what was held back for another reason than a consent."""
_LONGEST_QUERY = 8 << 10


class Deed(NamedTuple):
    """One request as its surface saw it."""

    pattern: Pattern
    subject: str
    """What the request names: `Observation/7`, `urn:oid:<study>`, or a job; services may have noted more."""
    query: str
    """The raw request where the pattern keeps it, secrets taken out."""
    outcome: int = 0
    text: str = ""
    """Why it failed, without patient data."""
    patients: tuple[str, ...] = ()
    """Whom the request names, for where services noted nobody."""


def events_of(at: int, context: Context, deed: Deed) -> list[Event]:
    """The event of the act itself, one of what of it came to nothing (ATNA has one for each status), and the decision
    by consent or role where that narrowed or refused it."""
    trail = context.trail
    found = [_failed(at, context, deed)] if trail.failures else []
    if not found or (trail.notes and not deed.outcome):
        found += _done(at, context, deed)
    if trail.hidden or trail.consents:
        found.append(_decision(at, context, deed, _whose(trail, deed)))
    return found


def _done(at: int, context: Context, deed: Deed) -> list[Event]:
    trail = context.trail
    pattern = deed.pattern
    patients = _whose(trail, deed)
    entities = () if pattern.about is About.QUERY else _entities(trail.notes, deed)
    query = deed.query[:_LONGEST_QUERY]
    text = (trail.reason or deed.text)[:_LONGEST_TEXT] if deed.outcome else ""
    act = (pattern.code, pattern.subtype, pattern.action, at, deed.outcome, text)
    found = [event_of(context, act, patients[:_MOST_PATIENTS], entities, query)]
    for start in range(_MOST_PATIENTS, len(patients), _MOST_PATIENTS):
        found.append(event_of(context, act, patients[start : start + _MOST_PATIENTS], entities, query))
    return found


def _failed(at: int, context: Context, deed: Deed) -> Event:
    trail = context.trail
    text = " ".join(dict.fromkeys([each.code for each in trail.failures]))[:_LONGEST_TEXT]
    notes = [Note(reference, (), detail) for _, reference, detail in trail.failures if reference]
    entities = () if deed.pattern.about is About.QUERY else _entities(notes, deed)
    act = (deed.pattern.code, deed.pattern.subtype, deed.pattern.action, at, max(deed.outcome, 4), text)
    patients = _whose(trail, deed)[:_MOST_PATIENTS]
    return event_of(context, act, patients, entities, deed.query[:_LONGEST_QUERY])


def decision_of(at: int, context: Context, deed: Deed) -> list[Event]:
    """Without what was done: of a write, whose event went with its commit."""
    trail = context.trail
    found = [_failed(at, context, deed)] if trail.failures else []
    if trail.hidden or trail.consents:
        found.append(_decision(at, context, deed, _whose(trail, deed)))
    return found


def _decision(at: int, context: Context, deed: Deed, patients: tuple[str, ...]) -> Event:
    """One for each request, with how often each rule acted; what was hidden is never named."""
    trail = context.trail
    rules = [f"{rule}={count}" for rule, count in sorted(trail.hidden.items())]
    text = " ".join([*rules, *([trail.reason] if trail.reason and deed.outcome else [])])[:_LONGEST_TEXT]
    is_by_consent = trail.consents or not _BY_ROLE.issuperset(trail.hidden)
    subtype = CONSENT_DECISION if is_by_consent else ROLE_DECISION
    act = (SECURITY_ALERT, subtype, "E", at, 4 if deed.outcome else 0, text)
    consents = tuple([Entity("consent", each) for each in list(trail.consents)[:_MOST_ENTITIES]])
    return event_of(context, act, patients[:_MOST_PATIENTS], consents)


def event_of(
    context: Context,
    act: tuple[str, str, str, int, int, str],
    patients: tuple[str, ...],
    entities: tuple[Entity, ...],
    query: str = "",
) -> Event:
    """`act`: code, subtype, action, when, outcome and its text."""
    actor, numbers = context.actor, context.trail.numbers
    return Event(
        *act,
        context.request_id,
        context.purpose,
        actor.user,
        actor.name if actor.user else "",
        actor.fhir_user,
        tuple(actor.roles),
        actor.client,
        actor.session,
        context.peer,
        patients[0] if patients else "",
        entities,
        query,
        patients[1:],
        tuple([numbers.get(each, "") for each in patients or ("",)]) if numbers else (),
    )


def _whose(trail: Trail, deed: Deed) -> tuple[str, ...]:
    return () if deed.pattern is AUDIT_USED else _patients(trail) or deed.patients


def _patients(trail: Trail) -> tuple[str, ...]:
    notes = trail.notes
    if len(notes) == 1 and not trail.patients:
        return notes[0].patients
    found = dict(trail.patients)
    for note in notes:
        for each in note.patients:
            found[each] = None
    return tuple(found)


def _entities(notes: Sequence[Note], deed: Deed) -> tuple[Entity, ...]:
    kind = deed.pattern.about.value
    if not notes:
        return (Entity(kind, deed.subject),) if deed.subject else ()
    found = [Entity(kind, reference, detail) for reference, _, detail in notes[:_MOST_ENTITIES]]
    if len(notes) > _MOST_ENTITIES:
        found.append(Entity(kind, "", f"and {len(notes) - _MOST_ENTITIES} more"))
    return tuple(found)
