"""What every consent of the archive says now, in memory: patients by the terms that hold for them.

Ten thousand patients agreed to a few dozen texts, so askers are judged once for each set of terms and not for each
patient. A change of one consent, and a moment at which one begins or ends, moves the patients concerned and no others.
Patients that are linked are one person: what one of them agreed to holds for all. What a practitioner authored is also
what was authored under a role of theirs, whenever the role came to be; one that is gone still tells whose work it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from msgspec.structs import replace

from server.access.consent.rule import Datum, Employed, Linked, Provision, Rule, Terms, Written

Group = tuple[Terms, ...]
_BY = "authoredby"


class Snapshot:
    """Kept by one process and changed in its event loop only."""

    def __init__(self, custodians: frozenset[str] = frozenset(), generation: int = 0) -> None:
        self._custodians = custodians
        self.version = 0
        """Of the state record that this follows."""
        self.generation = generation
        """Counts what happened here: answers are kept as long as it stays the same."""
        self.groups: dict[Group, set[str]] = {}
        """`Patient/3` by the terms in force; those without are in none."""
        self._group_of: dict[str, Group] = {}
        self._rules: dict[str, Rule] = {}
        self._by_patient: dict[str, set[str]] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self._told_by: dict[str, set[str]] = {}
        self._practitioner_of: dict[str, str] = {}
        self._roles: dict[str, set[str]] = {}
        """`PractitionerRole/5` by practitioner."""
        self._of_author: dict[str, set[str]] = {}
        """Patients whose consents speak, or once spoke, of what a practitioner authored."""
        self._moments: list[tuple[int, str]] = []

    def take(self, name: str, written: Written, now: int) -> None:
        """What a record says from now on of `Consent/4`, `PractitionerRole/5` or, where it links, `Patient/3`."""
        if written.employed is not None:
            self._employ(name, written.employed, now)
        elif name.startswith("Patient/"):
            self._place(self._relink(name, written.linked or Linked()), now)
        else:
            self._place(self._exchange(name, written.rule, now), now)

    def advance(self, now: int) -> None:
        """Take account of what began or ended up to this moment."""
        due: set[str] = set()
        while self._moments and self._moments[0][0] <= now:
            due.add(heappop(self._moments)[1])
        if due:
            self._place(due, now)

    def people(self, patient: str) -> set[str]:
        """The patient and all that are linked, one way or other."""
        found, pending = {patient}, [patient]
        while pending:
            one = pending.pop()
            for each in (*self._told.get(one, ()), *self._told_by.get(one, ())):
                if each not in found:
                    found.add(each)
                    pending.append(each)
        return found

    def terms_of(self, patient: str) -> Group:
        return self._group_of.get(patient, ())

    def consents_of(self, patient: str, now: int) -> dict[str, Rule]:
        """Those in force for a patient, by `Consent/4`."""
        return {name: rule for name, rule, _ in self._in_force(self.people(patient), now)}

    def named(self) -> frozenset[str]:
        """Everybody that a provision names as a recipient."""
        provisions = (each for group in self.groups for terms in group for each in (terms.root, *terms.exceptions))
        return frozenset(actor for each in provisions for actor in each.actors or ())

    def _exchange(self, name: str, rule: Rule | None, now: int) -> set[str]:
        """The patients that the consent was or is now of."""
        touched = set()
        before = self._rules.pop(name, None)
        if before is not None:
            touched.add(before.patient)
            self._by_patient[before.patient].discard(name)
        if rule is not None and self._is_ours(rule):
            touched.add(rule.patient)
            self._rules[name] = rule
            self._by_patient.setdefault(rule.patient, set()).add(name)
            for author in _authors(rule):
                self._of_author.setdefault(author, set()).add(rule.patient)
            for moment in rule.boundaries():
                if moment > now:
                    heappush(self._moments, (moment, rule.patient))
        return touched

    def _employ(self, role: str, employed: Employed, now: int) -> None:
        before = self._practitioner_of.get(role)
        if before == employed.practitioner:
            return
        self._practitioner_of[role] = employed.practitioner
        self._roles.setdefault(employed.practitioner, set()).add(role)
        touched = set(self._of_author.get(employed.practitioner, ()))
        if before is not None:
            self._roles[before].discard(role)
            touched |= self._of_author.get(before, set())
        if touched:
            self._place(touched, now)

    def _is_ours(self, rule: Rule) -> bool:
        return not self._custodians or not rule.custodians or not self._custodians.isdisjoint(rule.custodians)

    def _relink(self, patient: str, linked: Linked) -> set[str]:
        """Those that were or are now one person with the patient."""
        touched = self.people(patient)
        for each in self._told.pop(patient, ()):
            self._told_by[each].discard(patient)
        if linked.others:
            self._told[patient] = linked.others
            for each in linked.others:
                self._told_by.setdefault(each, set()).add(patient)
        return touched | self.people(patient)

    def _place(self, patients: Iterable[str], now: int) -> None:
        self.generation += 1
        for patient in {each for one in patients for each in self.people(one)}:
            self._leave(patient)
            found = list(self._in_force(self.people(patient), now))
            if found:
                different = {terms for _, _, terms in found}
                group = tuple(sorted(different, key=repr) if len(different) > 1 else different)
                self._group_of[patient] = group
                self.groups.setdefault(group, set()).add(patient)

    def _leave(self, patient: str) -> None:
        group = self._group_of.pop(patient, None)
        if group is not None:
            members = self.groups[group]
            members.discard(patient)
            if not members:
                del self.groups[group]

    def _in_force(self, people: Iterable[str], now: int) -> Iterator[tuple[str, Rule, Terms]]:
        for each in people:
            for name in self._by_patient.get(each, ()):
                rule = self._rules[name]
                terms = rule.at(now)
                if terms is not None:
                    yield name, rule, self._under_roles(terms)

    def _under_roles(self, terms: Terms) -> Terms:
        """With the roles of the authors it names."""
        if not any(self._roles.get(each) for provision in _provisions(terms) for each in _authors_of(provision)):
            return terms
        return replace(terms, root=self._widened(terms.root), exceptions=tuple(map(self._widened, terms.exceptions)))

    def _widened(self, provision: Provision) -> Provision:
        roles = {role for author in _authors_of(provision) for role in self._roles.get(author, ())}
        if not roles:
            return provision
        data = {*(provision.data or ()), *(Datum(_BY, role) for role in roles)}
        return replace(provision, data=tuple(sorted(data, key=lambda each: (each.meaning, each.reference))))


def _provisions(terms: Terms) -> tuple[Provision, ...]:
    return (terms.root, *terms.exceptions)


def _authors(rule: Rule) -> set[str]:
    provisions = (rule.root, *(each for each, _, _ in rule.exceptions))
    return {author for provision in provisions for author in _authors_of(provision)}


def _authors_of(provision: Provision) -> Iterator[str]:
    return (each.reference for each in provision.data or () if each.meaning == _BY)
