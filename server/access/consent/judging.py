"""What the consents of one patient say to one asker (rules 3 to 8 and 13 of our decision table).

Of one consent a nested provision that is met replaces what the root says, and of nested ones that are met a
prohibition wins; so it does among several consents. What no consent forbids needs one that permits it, except where
none permits anything for the purpose asked: there the custodian's policy goes on to speak.

A consent that only forbids leaves what it does not forbid to the policy. Rejected: reading every consent as the whole
of what is permitted, by which a patient who bars one relative would bar every physician; `Site.is_whole` chooses that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from server.access.consent.policies import Site, permits
from server.access.consent.predicate import data_of, joined_all, joined_any, negated
from server.access.consent.purposes import BREAK_GLASS, covers
from server.access.consent.rule import Provision, Terms
from storage.query import EVERYTHING, Predicate


@dataclass(frozen=True, slots=True)
class Asker:
    """All that consents may tell askers apart by."""

    names: frozenset[str]
    """References by which provisions may mean them: their own, and those of whom they work for or belong to."""
    own_name: str
    roles: frozenset[str]
    purpose: str
    own_patients: frozenset[str] = frozenset()
    """`Patient/3`: whose record is their own, or whom they act for."""


class Ban(NamedTuple):
    """What a prohibition is about, and the permissions of its own consent that it gives way to."""

    provision: Provision
    exceptions: frozenset[Provision] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """Which data may be seen, by provisions of which only what they say of data is left."""

    forbidden: frozenset[Ban] = frozenset()
    permitted: frozenset[Provision] | None = None
    """`None`: everything that is not forbidden."""
    _predicates: dict[tuple[str, bool], Predicate] = field(default_factory=dict, compare=False, repr=False)

    def predicate(self, resource_type: str, site: Site) -> Predicate:
        """Over the keys of one type; kept, because hundreds of searches ask for the same."""
        key = (resource_type, site.unlabelled_is_restricted)
        found = self._predicates.get(key)
        if found is None:
            found = self._predicates[key] = self._predicate(*key)
        return found

    def told(self) -> str:
        """As a text that is the same in every process."""
        bans = sorted(f"{ban.provision} {sorted(map(repr, ban.exceptions))}" for ban in self.forbidden)
        return f"{bans} {self.permitted if self.permitted is None else sorted(map(repr, self.permitted))}"

    def _predicate(self, resource_type: str, unlabelled_is_restricted: bool) -> Predicate:
        def about(provisions: Iterable[Provision]) -> Predicate:
            ordered = sorted(provisions, key=repr)
            return joined_any(
                [data_of(each, resource_type, unlabelled_is_restricted=unlabelled_is_restricted) for each in ordered]
            )

        bans = [
            joined_all([about((ban.provision,)), negated(about(ban.exceptions))])
            for ban in sorted(self.forbidden, key=repr)
        ]
        permitted = EVERYTHING if self.permitted is None else about(self.permitted)
        return joined_all([permitted, negated(joined_any(bans))])


OPEN, SHUT = Answer(), Answer(permitted=frozenset())


def policy_answer(asker: Asker, site: Site) -> Answer:
    """To those whose patient has no consent in force."""
    return OPEN if permits(site.policy, asker.purpose, asker.roles) else SHUT


def judge(consents: Iterable[Terms], asker: Asker, site: Site) -> Answer:
    """To somebody who asks for data of another; there is at least one consent."""
    forbidden: set[Ban] = set()
    permitted: set[Provision] = set()
    is_spoken_of = site.is_whole or not asker.purpose
    for terms in consents:
        is_spoken_of = is_spoken_of or _speaks(terms, asker.purpose)
        exceptions = [each for each in terms.exceptions if _is_met(each, asker)]
        forbidden.update(Ban(_bare(each)) for each in exceptions if not each.permits)
        allowed = frozenset(_bare(each) for each in exceptions if each.permits)
        permitted |= allowed
        if _is_met(terms.root, asker):
            if terms.root.permits:
                permitted.add(_bare(terms.root))
            else:
                forbidden.add(Ban(_bare(terms.root), allowed))
    rests_on_policy = not is_spoken_of and permits(site.policy, asker.purpose, asker.roles)
    return _simplified(forbidden, None if rests_on_policy else permitted)


def judge_own(consents: Iterable[Terms], asker: Asker) -> Answer:
    """To the patient, or who acts for them: only what forbids them by name counts."""
    provisions = (each for terms in consents for each in (terms.root, *terms.exceptions))
    named = [each for each in provisions if not each.permits and each.actors and asker.own_name in each.actors]
    return _simplified({Ban(_bare(each)) for each in named if covers(each.purposes, asker.purpose)}, None)


def reserves(consents: Iterable[Terms], asker: Asker) -> bool:
    """Whether break-glass is permitted by name, and to others only."""
    provisions = (each for terms in consents for each in (terms.root, *terms.exceptions))
    named = [each for each in provisions if each.permits and BREAK_GLASS in (each.purposes or ())]
    return bool(named) and not any(_is_met(each, asker) for each in named)


def _speaks(terms: Terms, purpose: str) -> bool:
    """Whether the consent permits something for the purpose, be it to others; to bar is not to speak of the rest."""
    is_of_root = covers(terms.root.purposes, purpose)
    if terms.replaces_policy or (terms.root.permits and is_of_root):
        return True
    return not is_of_root and any(each.permits and covers(each.purposes, purpose) for each in terms.exceptions)


def _is_met(provision: Provision, asker: Asker) -> bool:
    """By who asks and what for; whether data meet it is for the predicate to say."""
    return (
        covers(provision.purposes, asker.purpose)
        and (provision.actors is None or not asker.names.isdisjoint(provision.actors))
        and (provision.roles is None or not asker.roles.isdisjoint(provision.roles))
    )


def _bare(provision: Provision) -> Provision:
    """What it says of data, so that answers to patients whose provisions differ in people only are equal."""
    return Provision(provision.permits, labels=provision.labels, within=provision.within, data=provision.data)


def _simplified(forbidden: set[Ban], permitted: set[Provision] | None) -> Answer:
    kept = frozenset(ban for ban in forbidden if not any(each.is_of_all_data for each in ban.exceptions))
    if any(ban.provision.is_of_all_data and not ban.exceptions for ban in kept):
        return SHUT
    if permitted is not None and any(each.is_of_all_data for each in permitted):
        permitted = None
    if permitted is None:
        return Answer(kept) if kept else OPEN
    return Answer(kept, frozenset(permitted)) if permitted else SHUT
