"""Our own conformance resources as ordinary resources of the server, so that clients can read and search them."""

from __future__ import annotations

from profiles.packages.load import resources
from server.fhir.json_form import Resource, decode
from server.fhir.repository import Repository
from server.kernel.context import Context
from server.kernel.problem import Kind, Problem


async def publish(repository: Repository, context: Context) -> int:
    """Write those that are absent or older; gives how many were written. What somebody made newer stays."""
    written = 0
    for resource in resources():
        if await _is_wanting(repository, context, resource):
            await repository.update(context, resource["resourceType"], resource["id"], resource)
            written += 1
    return written


async def _is_wanting(repository: Repository, context: Context, resource: Resource) -> bool:
    try:
        stored = await repository.read(context, resource["resourceType"], resource["id"])
    except Problem as problem:
        if problem.kind in (Kind.NOT_FOUND, Kind.GONE):
            return True
        raise
    return _version(decode(stored.body)) < _version(resource)


def _version(resource: Resource) -> tuple[int, ...]:
    parts = str(resource.get("version", "")).split(".")
    return tuple(int(part) for part in parts if part.isdecimal())
