"""Consents as the authorization server asks for them: whether a token may be, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.access.consent.judging import SHUT
from server.access.consent.purposes import BREAK_GLASS
from server.access.consent.residual import Relied, residual_of
from server.access.consent.source import Consents
from server.kernel.context import Context


@dataclass(frozen=True, slots=True)
class TokenConsents:
    """What `server.smart.consenting` asks."""

    consents: Consents

    async def shuts(self, context: Context, patient: str) -> bool:
        """A fault shuts as well, for it opens nothing."""
        if await self.consents.answer(context, patient) == SHUT:
            return True
        return context.purpose == BREAK_GLASS and await self.consents.reserves(context, patient)

    async def relied(self, context: Context, patient: str, url: Callable[[str], str]) -> Relied:
        answer = await self.consents.answer(context, patient)
        in_force = await self.consents.relied_on(patient)
        policies = dict.fromkeys(policy for rule in in_force.values() for policy in rule.policies)
        return Relied(tuple(sorted(in_force)), tuple(policies), tuple(residual_of(answer, url)))
