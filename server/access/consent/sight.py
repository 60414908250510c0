"""What one asker sees of all patients: those whose answer differs from the policy's, and the predicates of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain

from server.access.consent.judging import OPEN, SHUT, Answer, Asker, judge, judge_own, policy_answer
from server.access.consent.policies import Site
from server.access.consent.predicate import joined_all, joined_any
from server.access.consent.snapshot import Snapshot
from server.access.facets import PATIENT, SHARED
from storage.query import EVERYTHING, Any, Equals, Exists, Not, OneOf, Predicate


@dataclass(frozen=True, slots=True)
class Sight:
    usual: Answer
    """To those whose patient has no consent in force."""
    others: Mapping[Answer, tuple[str, ...]]
    """`Patient/3` by answer, of those who get another."""
    partial: frozenset[str]
    """Patients of whose data some may be seen and some may not."""
    _predicates: dict[str, Predicate] = field(default_factory=dict, compare=False, repr=False)

    @property
    def left_out(self) -> int:
        return len(self.others.get(SHUT, ()))

    def stamp(self) -> str:
        """The same in every process that sees the same."""
        others = sorted(f"{answer.told()} {sorted(patients)}" for answer, patients in self.others.items())
        told = [self.usual.told(), *others]
        return sha256("\n".join(told).encode()).hexdigest()

    def predicate(self, resource_type: str, site: Site) -> Predicate:
        """Over the keys of a type, of which every patient a resource is about must agree."""
        found = self._predicates.get(resource_type)
        if found is None:
            make = self._narrowed if self.usual == OPEN else self._opened
            found = self._predicates[resource_type] = make(resource_type, site)
        return found

    def _narrowed(self, resource_type: str, site: Site) -> Predicate:
        """Everything except what some patients do not permit: of all others' data no more is asked than whose it is."""
        limited = [(data, some) for data, some in _by_data(self.others, resource_type, site) if data != EVERYTHING]
        terms = [joined_any([Not(_of(patients)), data]) for data, patients in limited]
        if len(limited) < 2:
            return joined_all(terms)
        everyone = _of(tuple(chain(*(patients for _, patients in limited))))
        return Any((Not(everyone), joined_all(terms)))

    def _opened(self, resource_type: str, site: Site) -> Predicate:
        """Nothing of patients except what some permit; what is about several of them stays closed."""
        terms: list[Predicate] = [Not(Exists(PATIENT))]
        for data, patients in _by_data(self.others, resource_type, site):
            terms.append(joined_all([_of(patients), Not(Exists(SHARED)), data]))
        return joined_any(terms)


def sight_of(snapshot: Snapshot, asker: Asker, site: Site) -> Sight:
    """Judged once for each set of terms, and once for each patient who is the asker's own."""
    usual = policy_answer(asker, site)
    found: dict[Answer, list[str]] = {}
    for group, patients in snapshot.groups.items():
        answer = judge(group, asker, site)
        if answer != usual:
            found.setdefault(answer, []).extend(patients - asker.own_patients)
    for patient in asker.own_patients:
        answer = answer_to(snapshot, asker, site, patient)
        if answer != usual:
            found.setdefault(answer, []).append(patient)
    others = {answer: tuple(sorted(patients)) for answer, patients in found.items() if patients}
    partial = frozenset(each for answer, some in others.items() if answer not in (OPEN, SHUT) for each in some)
    return Sight(usual, others, partial)


def answer_to(snapshot: Snapshot, asker: Asker, site: Site, patient: str) -> Answer:
    """The same of one patient."""
    terms = snapshot.terms_of(patient)
    if patient in asker.own_patients:
        return judge_own(terms, asker)
    return judge(terms, asker, site) if terms else policy_answer(asker, site)


def _by_data(
    others: Mapping[Answer, tuple[str, ...]], resource_type: str, site: Site
) -> Iterable[tuple[Predicate, tuple[str, ...]]]:
    """Patients by what may be seen of a type: different answers often say the same of it."""
    found: dict[Predicate, list[tuple[str, ...]]] = {}
    for answer, patients in others.items():
        found.setdefault(answer.predicate(resource_type, site), []).append(patients)
    return [(data, some[0] if len(some) == 1 else tuple(chain(*some))) for data, some in found.items()]


def _of(patients: tuple[str, ...]) -> Predicate:
    return Equals(PATIENT, patients[0]) if len(patients) == 1 else OneOf(PATIENT, patients)
