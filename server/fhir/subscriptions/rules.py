"""What a Subscription must fulfil to be stored: criteria that can be searched by, and a channel that is served."""

from __future__ import annotations

from collections.abc import Sequence

from server.fhir.collaborators import Searcher, Validation
from server.fhir.json_form import Resource
from server.fhir.subscriptions.subscribed import LIVE, SYSTEM, parse, refused
from server.kernel.problem import Problem


class SubscriptionRules:
    """A check of resources with these rules on top of another one's. One that is off may be anything."""

    def __init__(self, validation: Validation, searcher: Searcher) -> None:
        self._validation = validation
        self._searcher = searcher

    async def check_all(self, resources: Sequence[Resource]) -> Sequence[Problem | None]:
        problems = await self._validation.check_all(resources)
        if not any(each["resourceType"] == "Subscription" for each in resources):
            return problems
        return [problem or await self._checked(resource) for resource, problem in zip(resources, problems, strict=True)]

    async def _checked(self, resource: Resource) -> Problem | None:
        if resource["resourceType"] != "Subscription" or resource.get("status") not in LIVE:
            return None
        try:
            subscribed = parse(resource)
        except Problem as problem:
            return problem
        try:
            if subscribed.pairs:
                await self._searcher.predicate(SYSTEM, subscribed.type, subscribed.pairs)
        except Problem as problem:
            return refused(problem.text, "Subscription.criteria")
        return None
