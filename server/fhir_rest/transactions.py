"""Bundles posted to the base: transaction and batch (R4 http.html#transaction)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.fhir.bundle.answers import EntryAnswer, Prefer, response_bundle
from server.fhir.bundle.batch import Batches
from server.fhir.bundle.entries import all_sound, parse_bundle
from server.fhir.bundle.transaction import Transactions
from server.fhir.collaborators import Redaction
from server.fhir_rest.bodies import Bodies
from server.fhir_rest.following import Following
from server.fhir_rest.formats import presentation
from server.fhir_rest.pages import answer_bundle
from server.fhir_rest.prefer import Return, preferences
from server.fhir_rest.problems import STATUS
from server.fhir_rest.providing import Provide
from server.fhir_rest.routing import FhirRouter
from server.fhir_rest.within_bundle import WithinBundle
from server.http.surface import Answer, Call, Endpoint
from server.kernel.context import Context
from server.kernel.offload import Offload
from server.kernel.problem import Problem


@dataclass(frozen=True, slots=True)
class Bundles:
    """`most` entries of one bundle; `router` leads to all else this surface serves."""

    transactions: Transactions
    batches: Batches
    bodies: Bodies
    router: FhirRouter
    offload: Offload
    most: int
    redaction: Redaction
    documents: Provide
    following: Following

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (Endpoint("transaction", "POST", "/", "create", self.process, "R4 http.html#transaction"),)

    async def process(self, call: Call) -> Answer:
        asked = presentation(call).whole
        bundle = await self.bodies.resource(call)
        kind, entries = await self.offload.cpu(parse_bundle, bundle, call.base, self.most)
        within = WithinBundle(self.router, call.base)
        if kind == "transaction" and self.documents.is_for(bundle):
            answers = await self.documents.provide(call.context, bundle, all_sound(entries))
        elif kind == "transaction":
            asked_for = await self.following.asked_all(call.context, all_sound(entries))
            answers = await self.transactions.run(call.context, asked_for, within.perform, is_safe=within.is_safe)
            answers = await self.following.written_all(call.context, asked_for, answers)
        else:
            answers = await self.batches.run(call.context, entries, within.perform)
        prefer = Prefer(preferences(call).returns or Return.MINIMAL)
        if prefer is Prefer.REPRESENTATION:
            answers = [await self._shown(call.context, each) for each in answers]
        body = await self.offload.cpu(response_bundle, kind, answers, call.base, prefer, _status)
        return await answer_bundle(body, asked, self.offload)

    async def _shown(self, context: Context, answer: EntryAnswer) -> EntryAnswer:
        """What was written, as far as who wrote it may read it."""
        if answer.stored is None or answer.stored.is_deleted or answer.body:
            return answer
        shown = await self.redaction.written(context, answer.stored)
        return replace(answer, stored=shown or answer.stored, is_withheld=shown is None)


def _status(problem: Problem) -> int:
    return STATUS[problem.kind]
