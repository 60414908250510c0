"""For whom a message speaks: a verified assertion as the context of its transaction.

An emergency that is asserted is one that has to be allowed: by the subject's role, and by the patient where a consent
names who may. Its begin is told of once for each assertion and patient, and each refused attempt is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from lxml import etree

from server.access.consent.purposes import BREAK_GLASS
from server.audit.security_events import break_glass_refused, break_glass_started
from server.audit.who import Who
from server.audit.writes import Recording
from server.ihe.asking import patients_named
from server.kernel.clock import Clock, micros
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.trust.assertions import Asserted, Assertions
from server.trust.conditions import Presented
from server.trust.model import Node
from server.trust.refusals import failed
from server.trust.subjects import Directory, Speaking, speaking

_MOST_KEPT = 1000


class Reserves(Protocol):
    async def reserves(self, context: Context, patient: str) -> bool:
        """Whether the patient (`Patient/3`) has said whose break-glass is, and it is not this actor's."""
        ...


class Spoken:
    def __init__(
        self,
        assertions: Assertions,
        directory: Directory,
        consents: Reserves,
        recorder: Recording,
        clock: Clock,
        offload: Offload,
    ) -> None:
        self._assertions = assertions
        self._directory = directory
        self._consents = consents
        self._recorder = recorder
        self._clock = clock
        self._offload = offload
        self._emergencies: OrderedDict[str, None] = OrderedDict()

    async def context(
        self, entered: Context, header: etree._Element, body: etree._Element, presented: Presented, node: Node | None
    ) -> Context:
        """A `Refusal` where the assertion is not good, or not for what is asked."""
        asserted, held = await self._assertions.verify(header, presented)
        subject = await speaking(asserted, held.issuer, self._directory, node)
        context = replace(entered, actor=subject.actor, purpose=subject.purpose)
        is_asked = asserted.resource or subject.purpose == BREAK_GLASS
        asked = await self._offload.cpu(patients_named, body) if is_asked else frozenset()
        await self._check_patient(asserted, subject, asked)
        if subject.purpose == BREAK_GLASS:
            await self._check_emergency(context, subject, asked)
        return context

    async def _check_patient(self, asserted: Asserted, subject: Speaking, asked: Collection[str]) -> None:
        """Whoever is asked for is whom the assertion is for, by this number or another."""
        if not asserted.resource:
            return
        for each in asked:
            if each != asserted.resource and not (
                subject.patients and await self._directory.patients(each) == subject.patients
            ):
                raise failed("for another patient than is asked for")

    async def _check_emergency(self, context: Context, subject: Speaking, asked: Collection[str]) -> None:
        patients = dict.fromkeys(subject.patients)
        for each in asked:
            patients |= dict.fromkeys(await self._directory.patients(each))
        at, who = micros(self._clock), Who.of(context)
        patient, reason = next(iter(patients), ""), context.actor.break_glass
        if not subject.may_break_glass or await self._is_reserved(context, patients):
            await self._recorder.record([break_glass_refused(at, who, reason, patient)])
            raise failed("break-glass is not theirs")
        begun = f"{context.actor.id} {context.actor.session} {patient}"
        if begun not in self._emergencies:
            await self._recorder.record([break_glass_started(at, who, reason, patient)])
            self._emergencies[begun] = None
            if len(self._emergencies) > _MOST_KEPT:
                self._emergencies.popitem(last=False)

    async def _is_reserved(self, context: Context, patients: Collection[str]) -> bool:
        for each in patients:
            if await self._consents.reserves(context, each):
                return True
        return False
