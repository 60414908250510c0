"""Consents as the access point asks for them: which data of which patients an asker may see (rules 2, 3, 12, 13).

Every question is answered from what stands in the records at that moment: the state record, or the revision of a store
that can tell it, says whether anything changed, and only what did is read. So a withdrawal acts on the next request,
whichever process took it.

A fault never opens anything: while consents cannot be judged nobody sees anything, except roles the site has named,
with the purpose break-glass. Whose name is on whose door (organizations, groups, care teams) may be a second old.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from itertools import count
from time import monotonic
from typing import Protocol

import msgspec

from server.access.classes import Class, class_of
from server.access.consent.alerts import Alerts, LoggedAlerts
from server.access.consent.judging import OPEN, SHUT, Answer, Asker, reserves
from server.access.consent.policies import CLINICIANS, Policy, Site
from server.access.consent.purposes import BREAK_GLASS
from server.access.consent.rule import RULES, SEQUENCE, STATE, Rule, Written
from server.access.consent.sight import Sight, answer_to, sight_of
from server.access.consent.snapshot import Snapshot
from server.access.decision import Extent
from server.kernel.clock import Clock, micros
from server.kernel.context import SERVER, Actor, Context
from server.kernel.ids import new_token
from storage.errors import StorageError
from storage.ports import Index, Records
from storage.query import EVERYTHING, NOTHING, Between, Order, Predicate

INDEXES = (Index(RULES, (SEQUENCE,)),)
CURRENT = "current"
"""The one record of `STATE`."""
OWN_ROLES = frozenset({"patient", "proxy"})
RECORDER, RESEARCHER = "recorder", "researcher"
_PAGE = 1000
_SECONDS = 5.0
_SIGHTS = 256
_ONE_REQUEST, _MOST_ASKED = 0.5, 64
"""Seconds for which a request that goes on may rely on its first look, and how many requests are remembered."""
_UNSEEN: tuple[int, int, Sight | None] = (-1, 0, None)

_FAULT = "fault"
"""Name under which a request that met a fault is told of."""


class Affiliations(Protocol):
    async def names(self, actor: Actor, named: frozenset[str]) -> frozenset[str]:
        """The references among those `named` that mean the actor: their own, and of what they belong to."""
        ...


class NoAffiliations:
    """Everyone goes by their own name only."""

    async def names(self, actor: Actor, named: frozenset[str]) -> frozenset[str]:
        return frozenset((actor.fhir_user,)) if actor.fhir_user else frozenset()


class Consents:
    """The consents of one archive, followed by one process."""

    def __init__(
        self,
        records: Records,
        clock: Clock,
        site: Site | None = None,
        affiliations: Affiliations | None = None,
        alerts: Alerts | None = None,
    ) -> None:
        self._records = records
        self._clock = clock
        self._site = site or Site()
        self._strict = replace(self._site, policy=Policy.DENY)
        self._affiliations = affiliations or NoAffiliations()
        self._alerts = alerts or LoggedAlerts()
        self._snapshot = Snapshot(self._site.custodians)
        self._revision: int | None = None
        self._loading = asyncio.Lock()
        self._sights: OrderedDict[tuple[Asker, Policy], tuple[int, int, Sight | None]] = OrderedDict()
        self._known: dict[tuple[Actor, str, Policy], tuple[int, tuple[int, Sight]]] = {}
        self._numbers = count(1)
        self._asked: OrderedDict[int, tuple[Context, float]] = OrderedDict()
        self._named: tuple[int, frozenset[str]] = (-1, frozenset())
        self._told: tuple[Context, bool, tuple[int, Sight]] | None = None

    async def predicate(
        self, context: Context, resource_type: str, interaction: str, *, explicit: bool = False
    ) -> Predicate:
        """What of a type the consents let this actor see; they govern disclosure, so never a create.

        `explicit`: only what a consent permits, as if the custodian's policy were to deny.
        """
        if not is_asked(context, resource_type, interaction):
            return EVERYTHING
        seen = await self._seen(context, explicit=explicit)
        if seen is None:
            return EVERYTHING if self._may_go_on(context) else NOTHING
        return seen[1].predicate(resource_type, self._site)

    async def state(self, context: Context) -> Hashable:
        """Changes whenever an answer may have."""
        if SERVER in context.actor.roles:
            return ()
        seen = await self._seen(context)
        if seen is None:
            return object()
        # What a researcher sees goes by each permission, also where it equals what the policy says.
        return (seen[0], self._snapshot.generation) if RESEARCHER in context.actor.roles else seen[0]

    async def redacted_patients(self, context: Context) -> frozenset[str] | None:
        """Of whose data this actor sees some; `None`: of anybody's, as nothing is known."""
        if SERVER in context.actor.roles:
            return frozenset()
        seen = await self._seen(context)
        if seen is None:
            return frozenset() if self._may_go_on(context) else None
        return seen[1].partial

    async def extent(self, context: Context) -> Extent:
        """How far consents let the actor see; after a fault nothing that was or will be."""
        explicit = RESEARCHER in context.actor.roles
        seen = await self._seen(context, explicit=explicit)
        return Extent(new_token()) if seen is None else Extent(seen[1].stamp(), seen[1].left_out)

    async def answer(self, context: Context, patient: str) -> Answer:
        """For one patient (`Patient/3`): `OPEN`, `SHUT`, or something between."""
        if SERVER in context.actor.roles:
            return OPEN
        if await self._seen(context) is None:
            return OPEN if self._may_go_on(context) else SHUT
        return answer_to(self._snapshot, await self._asker(context), self._site, patient)

    async def reserves(self, context: Context, patient: str) -> bool:
        """Whether the patient has said whose break-glass is, and it is not this actor's."""
        if SERVER in context.actor.roles or await self._seen(context) is None:
            return False
        return reserves(self._snapshot.terms_of(patient), await self._asker(context))

    async def relied_on(self, patient: str) -> dict[str, Rule]:
        """The consents in force for a patient, by `Consent/4`; none after a fault, of which whoever asked was told."""
        try:
            await self._follow(None)
        except (StorageError, TimeoutError):
            return {}
        return self._snapshot.consents_of(patient, self._now())

    async def _seen(self, context: Context, *, explicit: bool = False) -> tuple[int, Sight] | None:
        """What this asker sees of everybody, under a number that no other sight has; `None` after a fault, which is
        told of. Found once in a turn of the event loop: a request asks for itself and for what it shows."""
        told = self._told
        if told is not None and told[0] is context and told[1] is explicit:
            return told[2]
        found = await self._found(context, explicit=explicit)
        if found is not None:
            self._told = context, explicit, found
            asyncio.get_running_loop().call_soon(self._forget)
        return found

    async def _known_still(self, context: Context, *, explicit: bool) -> tuple[int, Sight] | None:
        """What was worked out before, where nothing was written since: so it is for most requests."""
        revision, snapshot = await self._records.revision(), self._snapshot
        if revision is None or revision != self._revision or self._named[1] or self._named[0] != snapshot.generation:
            return None
        snapshot.advance(self._now())
        known = self._known.get((context.actor, context.purpose, Policy.DENY if explicit else self._site.policy))
        return known[1] if known is not None and known[0] == snapshot.generation else None

    def _forget(self) -> None:
        self._told = None

    async def _found(self, context: Context, *, explicit: bool) -> tuple[int, Sight] | None:
        try:
            if (known := await self._known_still(context, explicit=explicit)) is not None:
                return known
            await self._follow(context)
            return await self._sight(context, self._strict if explicit else self._site)
        except Exception as error:  # whatever it is, it must not open anything
            context.trail.refuse("consents could not be judged")
            if _FAULT not in context.trail.hidden:
                context.trail.hide(_FAULT)
                await self._alerts.fault(context, type(error).__name__)
            return None

    async def _sight(self, context: Context, site: Site) -> tuple[int, Sight]:
        """As worked out before, where consents name nobody: then it does not matter whom the actor belongs to."""
        key = (context.actor, context.purpose, site.policy)
        known = self._known.get(key)
        if known is not None and known[0] == self._snapshot.generation and not self._everybody_named():
            return known[1]
        found = await self._judged(context, site)
        if len(self._known) >= _SIGHTS:
            self._known.clear()
        self._known[key] = self._snapshot.generation, found
        return found

    async def _judged(self, context: Context, site: Site) -> tuple[int, Sight]:
        asker = await self._asker(context)
        generation, number, sight = self._sights.get((asker, site.policy), _UNSEEN)
        if sight is not None and generation == self._snapshot.generation:
            return number, sight
        made = sight_of(self._snapshot, asker, site)
        if made != sight:
            number, sight = next(self._numbers), made
        self._sights[asker, site.policy] = (self._snapshot.generation, number, sight)
        self._sights.move_to_end((asker, site.policy))
        if len(self._sights) > _SIGHTS:
            self._sights.popitem(last=False)
        return number, sight

    async def _asker(self, context: Context) -> Asker:
        """As little of the actor as matters, so that many share what was worked out for one."""
        actor = context.actor
        named = self._everybody_named()
        names = named
        if named:
            async with asyncio.timeout(_SECONDS):
                names = named & await self._affiliations.names(actor, named)
        own = frozenset(f"Patient/{each}" for each in actor.own_patients) if actor.roles & OWN_ROLES else frozenset()
        own_name = actor.fhir_user if own else ""
        return Asker(names, own_name, actor.roles.intersection(CLINICIANS), context.purpose, own)

    def _everybody_named(self) -> frozenset[str]:
        generation, named = self._named
        if generation != self._snapshot.generation:
            named = self._snapshot.named()
            self._named = (self._snapshot.generation, named)
        return named

    async def _follow(self, context: Context | None) -> None:
        """Bring the snapshot up to what is stored now."""
        revision = await self._records.revision()
        if revision is None and context is not None:
            if not self._looked_for(context):
                await self._look()
                self._remember(context)
        elif revision is None or revision != self._revision:
            await self._look()
            self._revision = revision
        self._snapshot.advance(self._now())

    async def _look(self) -> None:
        async with asyncio.timeout(_SECONDS):
            if await self._version() != self._snapshot.version:
                async with self._loading:
                    await self._load(await self._version())

    def _looked_for(self, context: Context) -> bool:
        """Whether it was looked for this very request: one that asks of a hundred types need not look as often."""
        known = self._asked.get(id(context))
        return known is not None and known[0] is context and monotonic() - known[1] < _ONE_REQUEST

    def _remember(self, context: Context) -> None:
        self._asked[id(context)] = (context, monotonic())
        if len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)

    async def _version(self) -> int:
        records = await self._records.get(STATE, [CURRENT])
        return records[0].version if records else 0

    async def _load(self, version: int) -> None:
        """Take up what was written since; what comes meanwhile may be taken twice, which does no harm."""
        if version < self._snapshot.version:
            self._snapshot = Snapshot(self._site.custodians, self._snapshot.generation + 1)
        news = Between(SEQUENCE, self._snapshot.version + 1, None)
        after = None
        while self._snapshot.version < version:
            page = await self._records.find(RULES, news, order=(Order(SEQUENCE),), after=after, limit=_PAGE)
            for record in page.records:
                self._snapshot.take(record.id, msgspec.json.decode(record.body, type=Written), self._now())
            after = page.next
            if after is None:
                self._snapshot.version = version

    def _may_go_on(self, context: Context) -> bool:
        return context.purpose == BREAK_GLASS and not self._site.emergency_roles.isdisjoint(context.actor.roles)

    def _now(self) -> int:
        return micros(self._clock)


def is_asked(context: Context, resource_type: str, interaction: str) -> bool:
    """Whether consents have a say: of what tells of patients, in no work of the server's own, and not about consents
    themselves where somebody keeps these."""
    roles = context.actor.roles
    if SERVER in roles or interaction == "create" or class_of(resource_type) in (Class.DIRECTORY, Class.DEFINITION):
        return False
    return not (resource_type == "Consent" and RECORDER in roles)
