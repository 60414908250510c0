"""The document registry's transactions as rows: ITI-18, 42, 51, 57, 61, 62, and ITI-38 as a responding gateway."""

from __future__ import annotations

from dataclasses import dataclass

from server.ihe.responses import note, query_response, refuse, refuse_query, registry_response
from server.kernel.offload import Offload
from server.soap.message import Exchange, Perform, Reply, Transaction
from server.xca.querying import Answering
from server.xds.ebxml_reading import read_adhoc_query, take_submission
from server.xds.removing import Removals, read_removal
from server.xds.repository import Registering
from server.xds.updating import Updates
from server.xds.vocabulary import LCM, QUERY

_SUBMIT = f"{{{LCM}}}SubmitObjectsRequest"
_REMOVE = f"{{{LCM}}}RemoveObjectsRequest"
_ASK = f"{{{QUERY}}}AdhocQueryRequest"


@dataclass(frozen=True, slots=True)
class RegistryRows:
    registry: Registering
    queries: Answering
    updates: Updates
    removals: Removals
    offload: Offload

    def transactions(self) -> tuple[Transaction, ...]:
        return (
            _query("ITI-18", "urn:ihe:iti:2007:RegistryStoredQuery", self._answer),
            _query("ITI-51", "urn:ihe:iti:2009:MultiPatientStoredQuery", self._answer),
            _submit("ITI-42", "urn:ihe:iti:2007:RegisterDocumentSet-b", self._register, "create"),
            _submit("ITI-57", "urn:ihe:iti:2010:UpdateDocumentSet", self._update, "update"),
            _submit(
                "ITI-61",
                "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
                self._register_on_demand,
                "create",
                "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",
            ),
            Transaction(
                name="ITI-62",
                action="urn:ihe:iti:2010:DeleteDocumentSet",
                response_action="urn:ihe:iti:2010:DeleteDocumentSetResponse",
                body=_REMOVE,
                perform=self._remove,
                refuse=refuse,
                interaction="delete",
            ),
        )

    def gateway(self) -> tuple[Transaction, ...]:
        return (_query("ITI-38", "urn:ihe:iti:2007:CrossGatewayQuery", self._answer_across),)

    async def _answer(self, exchange: Exchange) -> Reply:
        return await self._answered(exchange, is_gateway=False)

    async def _answer_across(self, exchange: Exchange) -> Reply:
        return await self._answered(exchange, is_gateway=True)

    async def _answered(self, exchange: Exchange, *, is_gateway: bool) -> Reply:
        query = read_adhoc_query(exchange.body)
        found = await self.queries.answer(exchange.context, query, is_gateway=is_gateway)
        note(exchange.context, found.errors)
        return Reply(query_response(found.objects, found.errors))

    async def _register(self, exchange: Exchange) -> Reply:
        return await self._registered(exchange, "ITI-42")

    async def _register_on_demand(self, exchange: Exchange) -> Reply:
        return await self._registered(exchange, "ITI-61")

    async def _registered(self, exchange: Exchange, act: str) -> Reply:
        submission = await self.offload.cpu(take_submission, exchange.body)
        return Reply(registry_response(await self.registry.register(exchange.context, submission, act=act)))

    async def _update(self, exchange: Exchange) -> Reply:
        submission = await self.offload.cpu(take_submission, exchange.body)
        return Reply(registry_response(await self.updates.update(exchange.context, submission)))

    async def _remove(self, exchange: Exchange) -> Reply:
        await self.removals.remove(exchange.context, read_removal(exchange.body))
        return Reply(registry_response())


def _query(name: str, action: str, perform: Perform) -> Transaction:
    return Transaction(
        name=name,
        action=action,
        response_action=action + "Response",
        body=_ASK,
        perform=perform,
        refuse=refuse_query,
        interaction="search",
    )


def _submit(name: str, action: str, perform: Perform, interaction: str, response_action: str = "") -> Transaction:
    return Transaction(
        name=name,
        action=action,
        response_action=response_action or action + "Response",
        body=_SUBMIT,
        perform=perform,
        refuse=refuse,
        interaction=interaction,
    )
