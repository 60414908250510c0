"""Paths of the REST surface: the shared router, and what only FHIR knows of paths.

Resource types are names in a path, not 146 rows each; a type that R4 does not have, and an operation that is not
there, are told apart from a wrong method.
"""

from __future__ import annotations

from collections.abc import Sequence

from profiles.definitions import definitions
from server.fhir.operations.catalogue import Catalogue
from server.http.routing import Match, Router
from server.http.surface import Endpoint
from server.kernel.problem import Kind, Problem

TYPE = "/{type}"
INSTANCE = "/{type}/{id}"
VERSION = "/{type}/{id}/_history/{version}"
COMPARTMENT = "/{type}/{id}/{member}"


class FhirRouter(Router):
    def __init__(self, endpoints: Sequence[Endpoint], catalogue: Catalogue) -> None:
        super().__init__(endpoints)
        self._types = frozenset(definitions().resource_types)
        self._catalogue = catalogue

    def find(self, path: str) -> Match | None:
        """As the shared router; `Problem` where the path names what is not there."""
        if path[-1] == "/" and path != "/":
            path = path[:-1]
        match = super().find(path)
        if match is None:
            return None
        named = match.path
        if "type" in named:
            if named["type"] not in self._types:
                raise Problem(Kind.NOT_FOUND, "The path names no resource type of FHIR R4.")
            if "$" in path and (name := path.rpartition("/")[2]) in named.values() and name[:1] == "$":
                self._refuse_operation(name)
        return match

    def _refuse_operation(self, name: str) -> None:
        if self._catalogue.levels(name):
            raise Problem(Kind.METHOD_NOT_ALLOWED, "The operation is not called here.", headers={"Allow": "OPTIONS"})
        raise Problem(Kind.NOT_FOUND, "There is no such operation.")
