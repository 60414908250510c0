"""The one decision point: `constrain` narrows a query before it runs, `decide` judges one object by the same predicate.

Rights are an intersection: role policy, a client's scopes, patient compartment, consent and labels. No term widens
another, and callers meet the predicate with their own before any limit, count or page. Scopes are united (each with
its own patient and criteria), roles are united (each with its own limits), and then the two are met.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from server.access.classes import Class, class_of
from server.access.compartments import all_of, any_of, of_patients
from server.access.facets import CONTEXT, LEVEL
from server.access.labels import LEVELS
from server.access.manifests import IMAGES, LISTING, Manifests, NoManifests
from server.access.relations import NoRelations, Relations
from server.access.roles import EMERGENCY, MAY_BREAK_GLASS, REFERRING, SYSTEM, Reach, Rule, may
from server.kernel.context import SERVER, Context, Grant
from server.kernel.problem import Kind, Problem
from storage.query import EVERYTHING, NOTHING, Between, Exists, Key, Not, Predicate, matches

_MOST_KEPT = 4096
_HIGHEST = len(LEVELS) - 1
_UNSHARED = Not(Exists(CONTEXT))
"""A Binary with a security context is read by who may see that, one by one."""


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str
    """For the audit trail; the answer to a client does not carry it."""


GRANTED = Decision(True, "a role and a grant cover this")
REFUSED = Decision(False, "no role and grant cover this")
LEFT_OUT = Decision(False, "a compartment, a consent or a label leaves this out")


@dataclass(frozen=True, slots=True)
class Extent:
    """What consents let an actor see at a moment, told shortly enough to be kept."""

    stamp: str = ""
    """Equal at two moments in all processes only where the same may be seen."""
    left_out: int = 0
    """How many patients are left out altogether, as far as they are counted."""


class ConsentSource(Protocol):
    """What consents leave of what the rights allow."""

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        """`explicit`: only patients of whom a consent permits it count, whatever the implicit policy."""
        ...

    async def state(self, context: Context) -> Hashable:
        """Changes whenever one of the predicates for this actor may have."""
        ...

    async def redacted_patients(self, context: Context) -> frozenset[str] | None: ...

    async def extent(self, context: Context) -> Extent:
        """How far consents let the actor see, for what is kept and handed out later."""
        ...


class Criteria(Protocol):
    """What a search by the criteria of a granular scope finds."""

    def compile(self, resource_type: str, criteria: tuple[tuple[str, str], ...]) -> Predicate:
        """`NOTHING` for what is not understood."""
        ...

    def state(self) -> Hashable: ...


class NoConsents:
    """Nobody consented to or forbade anything."""

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        return NOTHING if explicit else EVERYTHING

    async def state(self, context: Context) -> Hashable:
        return 0

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        return frozenset()

    async def extent(self, context: Context) -> Extent:
        return Extent()


class NoCriteria:
    """Granular scopes give nothing."""

    def compile(self, resource_type: str, criteria: tuple[tuple[str, str], ...]) -> Predicate:
        return NOTHING

    def state(self) -> Hashable:
        return 0


class _Heeded(Enum):
    """How much of what limits an actor is met."""

    ALL = 0
    BUT_CONSENT = 1
    RIGHTS = 2
    """Neither consent nor labels: these govern what is shown, not what is kept."""


class AccessPoint:
    """Asked by services with every call; default is to refuse."""

    def __init__(self, consents: ConsentSource | None = None, relations: Relations | None = None) -> None:
        self.consents: ConsentSource = consents or NoConsents()
        self._relations: Relations = relations or NoRelations()
        self.criteria: Criteria = NoCriteria()
        """Set once by who knows search parameters."""
        self.manifests: Manifests = NoManifests()
        """Set once by who knows rights over images."""
        self.is_keyed = True
        """Whether all records carry the keys that predicates are about; set by who knows the records."""
        self._kept: dict[Hashable, tuple[Hashable, Predicate]] = {}
        self._told: tuple[asyncio.AbstractEventLoop, Context, frozenset[str]] | None = None

    async def constrain(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        """What the actor may see or change of a FHIR resource type, as a predicate over its records' keys."""
        if interaction == "create":
            return await self._predicate(context, interaction, resource_type, _Heeded.RIGHTS)
        return await self._shown(context, interaction, resource_type, _Heeded.ALL)

    async def rights(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        """The same as if nobody had consented to or forbidden anything: why something is refused is told by it."""
        return await self._shown(context, interaction, resource_type, _Heeded.BUT_CONSENT)

    async def outcome(self, context: Context, interaction: str, resource_type: str) -> Predicate:
        """What a resource must be after a change: within the actor's rights, whoever may see it then."""
        return await self._predicate(context, interaction, resource_type, _Heeded.RIGHTS)

    async def decide(
        self, context: Context, interaction: str, resource_type: str, keys: Mapping[str, frozenset[Key]]
    ) -> Decision:
        """Whether the actor may do this to the object with these keys."""
        predicate = await self.constrain(context, interaction, resource_type)
        if matches(predicate, keys):
            return GRANTED
        return REFUSED if predicate == NOTHING else LEFT_OUT

    async def limits(self, context: Context, interaction: str, resource_type: str) -> frozenset[str] | None:
        """Logical ids of the only patients the actor may ask about; `None` where they are not counted out."""
        actor = context.actor
        if SERVER in actor.roles or class_of(resource_type) in (Class.DIRECTORY, Class.DEFINITION):
            return None
        referred = await self._referred(context)
        grants = {grant.patient for grant in actor.grants if grant.covers(interaction, resource_type)}
        by_grant = None if None in grants else frozenset(each for each in grants if each)
        reaches = [
            _reached(rule, role, context, referred) for role, rule in _rules(context, interaction, resource_type)
        ]
        by_role = None if None in reaches else frozenset().union(*(each for each in reaches if each))
        if by_grant is None or by_role is None:
            return by_role if by_grant is None else by_grant
        return by_grant & by_role

    async def state(self, context: Context) -> Hashable:
        """Changes whenever a predicate given to this actor may have: kept answers are bound to it."""
        return (context.actor, context.purpose, await self._state(context))

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        """`Patient/3`: those of whose resources this actor may see some but not others, so that what refers to or
        contains others is to be redacted. `None` where it may be anybody's."""
        if SERVER in context.actor.roles:
            return frozenset()
        return await self.consents.redacted_patients(context)

    async def extent(self, context: Context) -> Extent:
        """How far consents let the actor see now."""
        return Extent() if SERVER in context.actor.roles else await self.consents.extent(context)

    async def _state(self, context: Context) -> Hashable:
        if SERVER in context.actor.roles:
            return None
        seen = await self.consents.state(context)
        if REFERRING not in context.actor.roles:
            return (seen, self.criteria.state())
        return (seen, self.criteria.state(), await self._referred_now(context))

    async def _referred_now(self, context: Context) -> frozenset[str]:
        """Found once in a turn of the event loop: a transaction asks for each of its entries, and who knows of a later
        change asks in a later turn."""
        loop, told = asyncio.get_running_loop(), self._told
        if told is not None and told[0] is loop and told[1] is context:
            return told[2]
        found = await self._referred(context)
        self._told = loop, context, found
        loop.call_soon(self._forget)
        return found

    def _forget(self) -> None:
        self._told = None

    async def _referred(self, context: Context) -> frozenset[str]:
        actor = context.actor
        if REFERRING not in actor.roles or context.purpose == EMERGENCY:
            return frozenset()
        return await self._relations.patients_of(actor.fhir_user)

    async def _shown(self, context: Context, interaction: str, resource_type: str, heeded: _Heeded) -> Predicate:
        found = await self._predicate(context, interaction, resource_type, heeded)
        if resource_type != LISTING or found == NOTHING or SERVER in context.actor.roles:
            return found
        return await self.manifests.narrowed(context, found, await self._predicate(context, "search", IMAGES, heeded))

    async def _predicate(self, context: Context, interaction: str, resource_type: str, heeded: _Heeded) -> Predicate:
        actor = context.actor
        if SERVER in actor.roles:
            return EVERYTHING if any(each.covers(interaction, resource_type) for each in actor.grants) else NOTHING
        if not self.is_keyed:
            raise Problem(
                Kind.UNAVAILABLE, "This archive has to be indexed anew (weft reindex) before anybody may see it."
            )
        state = await self._state(context)
        key = (actor, context.purpose, interaction, resource_type, heeded)
        known = self._kept.get(key)
        if known is not None and known[0] == state:
            return known[1]
        found = await self._found(context, interaction, resource_type, heeded)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = state, found
        return found

    async def _found(self, context: Context, interaction: str, resource_type: str, heeded: _Heeded) -> Predicate:
        covering = [each for each in context.actor.grants if each.covers(interaction, resource_type)]
        scopes = any_of([self._scope(each, interaction, resource_type) for each in covering])
        if scopes == NOTHING:
            return NOTHING
        referred = await self._referred(context)
        terms: list[Predicate] = []
        for role, rule in _rules(context, interaction, resource_type):
            reached = _reached(rule, role, context, referred)
            terms.append(
                all_of(
                    [
                        EVERYTHING if reached is None else of_patients(reached, resource_type, interaction),
                        _ceiling(rule, context.purpose) if heeded is not _Heeded.RIGHTS else EVERYTHING,
                        await self._consented(context, interaction, resource_type, rule, heeded),
                    ]
                )
            )
        found = all_of([scopes, any_of(terms)])
        return all_of([found, _UNSHARED]) if resource_type == "Binary" and interaction == "search" else found

    def _scope(self, grant: Grant, interaction: str, resource_type: str) -> Predicate:
        within = EVERYTHING if grant.patient is None else of_patients((grant.patient,), resource_type, interaction)
        return all_of([within, self.criteria.compile(resource_type, grant.criteria) if grant.criteria else EVERYTHING])

    async def _consented(
        self, context: Context, interaction: str, resource_type: str, rule: Rule, heeded: _Heeded
    ) -> Predicate:
        if heeded is not _Heeded.ALL or not rule.heeds_consent:
            return EVERYTHING
        if rule.is_explicit:
            return await self.consents.predicate(context, resource_type, interaction, explicit=True)
        return await self.consents.predicate(context, resource_type, interaction)


def _rules(context: Context, interaction: str, resource_type: str) -> Iterator[tuple[str, Rule]]:
    """Each role of the actor that may do this, and how. An emergency widens the rights of those who may declare one."""
    purpose = context.purpose
    roles = context.actor.roles & MAY_BREAK_GLASS if purpose == EMERGENCY else context.actor.roles
    for role in sorted(roles):
        rule = may(role, interaction, resource_type, purpose)
        if rule is not None:
            yield role, rule


def _reached(rule: Rule, role: str, context: Context, referred: frozenset[str]) -> frozenset[str] | None:
    """The patients a rule is about; `None` for all."""
    own = context.actor.own_patients
    match rule.reach:
        case Reach.ALL:
            return None
        case Reach.REFERRED:
            return None if context.purpose == EMERGENCY else referred
        case Reach.OWN:
            return own if own or role != SYSTEM else None


def _ceiling(rule: Rule, purpose: str) -> Predicate:
    if rule.ceiling >= _HIGHEST or purpose == EMERGENCY:
        return EVERYTHING
    return Not(Between(LEVEL, rule.ceiling + 1, None))
