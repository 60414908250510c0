"""Persons as a forest: a replaced one hangs below its survivor. Pure; each function gives the persons it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from server.kernel.problem import Kind, Problem
from server.mpi.persons import Standing
from server.mpi.stored import Person

Changed = dict[str, Person]


def above(persons: Mapping[str, Person], number: str) -> tuple[str, ...]:
    """Those a number is replaced by, the nearest first."""
    return tuple(_above(persons, number))


def below(persons: Mapping[str, Person], number: str) -> tuple[str, ...]:
    """A number and all it absorbed."""
    return (number, *persons[number].absorbed)


def patients_below(persons: Mapping[str, Person], number: str) -> tuple[str, ...]:
    return tuple(each.patient for one in below(persons, number) for each in persons[one].members)


def merged(survivor: Standing, other: Standing) -> Changed:
    """Two persons that nobody replaced become one."""
    return attached(survivor, survivor.number, other)


def attached(standing: Standing, number: str, other: Standing) -> Changed:
    """A person that nobody replaced comes below a number, which another may have replaced."""
    if standing.number == other.number:
        raise Problem(Kind.CONFLICT, "Both are one person already.")
    changed = {other.number: replace(other.person, replaced_by=number)}
    for each in (number, *above(standing.persons, number)):
        person = standing.persons[each]
        changed[each] = replace(person, absorbed=(*person.absorbed, *below(other.persons, other.number)))
    return changed


def detached(standing: Standing, number: str) -> Changed:
    """A number stands for itself again, with all that had come to it."""
    gone = frozenset(below(standing.persons, number))
    changed = {number: replace(standing.persons[number], replaced_by="")}
    for each in above(standing.persons, number):
        person = standing.persons[each]
        changed[each] = replace(person, absorbed=tuple(one for one in person.absorbed if one not in gone))
    return changed


def without(standing: Standing, patient: str) -> Changed:
    """Its number loses a Patient."""
    number = standing.number_of(patient)
    person = standing.persons[number]
    return {number: replace(person, members=tuple(each for each in person.members if each.patient != patient))}


def moved(changed: Changed, patient: str, source: str, target: str) -> Changed:
    """A Patient goes from one number to another, to where it was by its age."""
    member = next(each for each in changed[source].members if each.patient == patient)
    left = tuple(each for each in changed[source].members if each != member)
    members = tuple(sorted((*changed[target].members, member), key=lambda each: each.at))
    emptied, filled = replace(changed[source], members=left), replace(changed[target], members=members)
    return {**changed, source: emptied, target: filled}


def _above(persons: Mapping[str, Person], number: str) -> Iterator[str]:
    while number := persons[number].replaced_by:
        yield number
