"""Asks literal resources a search the way the server does: keys on one side, a term on the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from server.fhir.index.indexer import Indexer
from server.fhir.index.reading import Reading
from server.fhir.index.registry import Registry
from server.fhir.index.splitting import split_or
from server.fhir.index.terms import clause
from server.fhir.json_form import decode
from storage.query import matches

BASE = "https://weft.example.org/fhir"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGISTRY = Registry()
INDEXER = Indexer(REGISTRY, bases=(BASE,))
READING = Reading(NOW, bases=(BASE,))


def resource(resource_type: str, members: dict[str, Any]) -> dict[str, Any]:
    """A resource as it comes out of JSON: floats become decimals."""
    return decode(msgspec.json.encode({"resourceType": resource_type, "id": "x"} | members))


def is_found(
    asked: str,
    resource_type: str,
    members: dict[str, Any],
    *,
    reading: Reading = READING,
    indexer: Indexer = INDEXER,
    micros: int = 0,
) -> bool:
    """Whether `name:modifier=value,value` finds the resource."""
    name, _, value = asked.partition("=")
    code, _, modifier = name.partition(":")
    parameter = indexer.registry.find(resource_type, code)
    assert parameter is not None, code
    predicate = clause(parameter, modifier or None, split_or(value), reading)
    return matches(predicate, indexer.keys(resource(resource_type, members), micros))


def found(asked: str, resource_type: str, resources: dict[str, dict[str, Any]], **kwargs: Any) -> set[str]:
    """The names of the resources a search finds."""
    return {name for name, each in resources.items() if is_found(asked, resource_type, each, **kwargs)}


def names(texts: str) -> set[str]:
    return set(texts.split())


def all_of(searches: Iterable[str], resource_type: str, members: dict[str, Any]) -> bool:
    return all(is_found(each, resource_type, members) for each in searches)
