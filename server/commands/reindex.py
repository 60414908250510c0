"""`weft reindex`: shows how far the search index of FHIR resources has been written anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from profiles.definitions import definitions
from server.commands.over_services import opened
from server.fhir.reindex import Progress, Reindexer
from server.kernel.problem import Problem
from server.settings import Settings
from server.xds.reindexing import RegistryReindexer

DONE, NOT_DONE, WRONG_TYPE = 0, 1, 2
_DERIVED = {"DocumentReference", "List"}
"""What the objects of the document registry are decided about by."""


def reindex(settings: Settings, types: Sequence[str]) -> int:
    """Compute all search keys again; gives the exit status."""
    console = Console(highlight=False, soft_wrap=True)
    unknown = sorted(set(types) - set(definitions().resource_types))
    if unknown:
        console.print(f"no FHIR R4 resource type: {', '.join(unknown)}", markup=False)
        return WRONG_TYPE
    try:
        return asyncio.run(_reindex(settings, types, console))
    except Problem as problem:
        console.print(problem.text, markup=False)
        return NOT_DONE


async def _reindex(settings: Settings, types: Sequence[str], console: Console) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True)
    last = Progress("", 0, 0)
    async with opened(settings) as services:
        fhir = services.fhir
        parameters = fhir.knowledge.parameters
        reindexer = Reindexer(services.stores.records, parameters, fhir.repository.writing.keys, services.offload)
        # Before the resources: what these leave behind says that everything has its keys.
        registry = RegistryReindexer(services.documents.queries.shelf, fhir.repository.writing.keys)
        objects = await registry.run() if not types or _DERIVED & set(types) else 0
        with bar:
            task = bar.add_task("waiting for servers", total=None)
            async for last in reindexer.run(types):
                bar.update(task, description=last.resource_type, completed=last.done, total=last.total)
        for each in parameters.indexing.refused:
            console.print(f"{each.url}: not usable, {each.reason}", markup=False)
        custom = len(parameters.registry.custom)
    console.print(f"{last.done} resources indexed, {custom} custom search parameters in force")
    console.print(f"{objects} objects of the document registry indexed")
    return DONE
