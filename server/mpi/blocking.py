"""What similar patients are found by, among a million: keys that survive the usual mistakes, each a small group.

Kept beside every Patient, in the commit that writes it, whoever does. A birth date finds those whose name was heard or
typed wrongly; the sound of a name with the year, and with month and day, those whose date was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from server.fhir.json_form import Resource
from server.fhir.writing import Change, Ruling
from server.kernel.clock import Clock
from server.mpi.patients import OWNER
from server.mpi.scoring import swapped
from server.mpi.stored import BLOCKS, DUE, MEMBERS
from server.mpi.traits import Traits, traits_of
from storage.ports import Delete, Put, Records
from storage.query import Key

_MOST_KEYS = 48
_PLACEHOLDERS = frozenset(("1900-01-01", "1970-01-01", "1111-11-11", "2000-01-01"))
"""Birth dates written where none is known: a group of everybody."""


def stored_keys(traits: Traits) -> frozenset[Key]:
    """What a patient is found by."""
    return frozenset(islice(dict.fromkeys(_keys(traits)), _MOST_KEYS))


def asked_keys(traits: Traits) -> tuple[str, ...]:
    """What is looked for: the same, and a date with day and month exchanged."""
    other = swapped(traits.birth_date)
    return tuple(islice(dict.fromkeys((*_keys(traits), *([f"d {other}"] if other else ()))), _MOST_KEYS))


def _keys(traits: Traits) -> Iterator[str]:
    if traits.citizen:
        yield f"c {traits.citizen}"
    for each in sorted(traits.numbers)[:8]:
        yield f"i {each.system}|{each.value}"
    for phone in sorted(traits.phones)[:4]:
        yield f"t {phone}"
    born = traits.birth_date
    if len(born) == 10 and born not in _PLACEHOLDERS:
        yield f"d {born}"
    for sound in dict.fromkeys(form.key for name in traits.names for form in name.forms):
        yield f"y {sound} {born[:4]}"
        if len(born) == 10:
            yield f"m {sound} {born[5:]}"


class BlockRules:
    """Refuses nothing; writes the keys of each Patient beside it, and notes members that others changed."""

    types = frozenset(("Patient",))

    def __init__(self, records: Records, authority: str, clock: Clock) -> None:
        self._records = records
        self._system = f"urn:oid:{authority}"
        self._clock = clock

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        changed = [f"Patient/{each.id}" for each in changes if each.owner != OWNER and each.standing.last is not None]
        members = {each.id for each in await self._records.get(MEMBERS, changed)} if changed else set()
        return [self._ruling(each, f"Patient/{each.id}" in members) for each in changes]

    def _ruling(self, change: Change, is_member: bool) -> Ruling:
        if change.owner == OWNER:
            return ()
        reference = f"Patient/{change.id}"
        due = (Put(DUE, reference, b"-"),) if is_member else ()
        if change.resource is None:
            return (Delete(BLOCKS, reference), *due)
        return (self.put(reference, change.resource), *due)

    def put(self, reference: str, resource: Resource, expected: int | None = None) -> Put:
        traits = traits_of(resource, self._system, self._clock.now().date())
        return Put(BLOCKS, reference, b"-", {"block": stored_keys(traits)}, expected)
