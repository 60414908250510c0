"""`$meta`, `$meta-add`, `$meta-delete`: profiles and labels of a resource or of one of its versions
(OperationDefinition Resource-meta, Resource-meta-add, Resource-meta-delete).

Labels are about a version and no part of what it says, so changing them makes no new version: versionId and
lastUpdated stay. A profile is known by its URL, a label by system and code; removing what is not there is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from server.fhir.collaborators import Validation
from server.fhir.identity import is_id
from server.fhir.json_form import Resource, encode, reread
from server.fhir.operations.catalogue import Invocation, Level, Operation
from server.fhir.operations.parameters import OperationParameters, missing, parameter, parameters
from server.fhir.reading import absent, gone, not_found
from server.fhir.repository import Repository
from server.fhir.stored import HISTORY, Stored, collection, from_history
from server.fhir.writing import AT, Act, Change, Prepared, told
from server.kernel.context import Context
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Put, Record

Meta: TypeAlias = dict[str, Any]
Edit: TypeAlias = Callable[[list[Any], list[Any]], list[Any]]

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Resource-"
_LABELS = ("profile", "security", "tag")
_LEVELS = frozenset({Level.INSTANCE, Level.VERSION})


@dataclass(frozen=True, slots=True)
class MetaOperations:
    repository: Repository
    validation: Validation

    def rows(self) -> tuple[Operation, ...]:
        return (
            Operation("$meta", _LEVELS, None, False, _DEFINITION + "meta", self.read),
            Operation("$meta-add", _LEVELS, None, True, _DEFINITION + "meta-add", self.add, "update"),
            Operation("$meta-delete", _LEVELS, None, True, _DEFINITION + "meta-delete", self.delete, "update"),
        )

    async def read(self, context: Context, invocation: Invocation) -> Resource:
        resource_type, resource_id = _named(invocation)
        if invocation.version is None:
            stored = await self.repository.read(context, resource_type, resource_id)
        else:
            stored = await self.repository.vread(context, resource_type, resource_id, invocation.version)
        return _answer(reread(stored.body).get("meta", {}))

    async def add(self, context: Context, invocation: Invocation) -> Resource:
        return await self._edit(context, invocation, _added)

    async def delete(self, context: Context, invocation: Invocation) -> Resource:
        return await self._edit(context, invocation, _removed)

    async def _edit(self, context: Context, invocation: Invocation, edit: Edit) -> Resource:
        given = _given(invocation.parameters)
        resource_type, resource_id = _named(invocation)
        await self.repository.reading.permitted(context, "update", resource_type)

        async def attempt() -> Resource:
            return await self._attempt(
                context, resource_type, resource_id, invocation.version, lambda m: _edited(m, given, edit)
            )

        return await self.repository.retried(attempt)

    async def _attempt(
        self,
        context: Context,
        resource_type: str,
        resource_id: str,
        version: str | None,
        change: Callable[[Meta], Meta],
    ) -> Resource:
        right = await self.repository.reading.permitted(context, "update", resource_type)
        found = await self.repository.reading.standing(right, resource_id)
        if found.last is None or (found.current is None and version is None):
            raise absent(found, resource_type, resource_id)
        record = await self._version(resource_type, resource_id, version or str(found.last.version))
        stored = from_history(record)
        if not await self.repository.reading.seen(right, [stored]):
            raise not_found(resource_type, resource_id)
        if stored.is_deleted:
            raise gone(stored)
        before = reread(stored.body)
        after = {**before, "meta": change(before.get("meta", {}))}
        if after["meta"] == before.get("meta"):
            return _answer(after["meta"])
        await self._check(after)
        keys = self.repository.writing.keys(after, stored.last_updated)
        changed = told(stored._replace(body=encode(after)), keys)
        acts: list[Act] = [_in_history(record, changed)]
        prepared = Prepared(Change(resource_type, resource_id, after, found), changed, keys, ())
        await self.repository.check_outcome(right, prepared)
        if found.version == stored.version:
            acts.append(Put(collection(resource_type), resource_id, changed.record_body(), keys, found.lock))
        await self.repository.commit([*acts, *self.repository.told(context, [prepared], "update")])
        return _answer(after["meta"])

    async def _version(self, resource_type: str, resource_id: str, version: str) -> Record:
        if is_id(version):
            for record in await self.repository.records.get(HISTORY, [f"{resource_type}/{resource_id}/{version}"]):
                return record
        text = "The resource has no such version."
        raise Problem(Kind.NOT_FOUND, text, (Issue(text, None, "not-found"),))

    async def _check(self, resource: Resource) -> None:
        for problem in await self.validation.check_all([resource]):
            if problem is not None:
                raise problem


def _in_history(record: Record, stored: Stored) -> Put:
    moment = frozenset((stored.last_updated,))
    keys: Mapping[str, frozenset[str | int]] = {AT: moment, stored.type: moment}
    return Put(HISTORY, record.id, stored.record_body(), keys, record.version)


def _named(invocation: Invocation) -> tuple[str, str]:
    return invocation.type or "", invocation.id or ""


def _given(asked: OperationParameters) -> Meta:
    asked.allow(("meta",))
    given = asked.complex("meta", "Meta")
    if given is None:
        raise missing("meta")
    return given


def _edited(meta: Meta, given: Meta, edit: Edit) -> Meta:
    """With each kind of label edited; one of which nothing is left goes."""
    lists = {name: edit(meta.get(name, []), _list(given, name)) for name in _LABELS if name in meta or name in given}
    return {name: value for name, value in {**meta, **lists}.items() if value != []}


def _list(given: Meta, name: str) -> list[Any]:
    listed = given.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(each, str if name == "profile" else dict) for each in listed):
        text = f"The labels under {name} are no list of labels."
        raise Problem(Kind.INVALID, text, (Issue(text, f"Parameters.parameter[0].value.{name}", "structure"),))
    return listed


def _added(present: list[Any], given: list[Any]) -> list[Any]:
    known = [_identity(each) for each in present]
    return present + [each for index, each in enumerate(given) if _is_new(each, known, given[:index])]


def _is_new(label: Any, known: list[Any], earlier: list[Any]) -> bool:
    identity = _identity(label)
    return identity not in known and identity not in [_identity(each) for each in earlier]


def _removed(present: list[Any], given: list[Any]) -> list[Any]:
    unwanted = [_identity(each) for each in given]
    return [each for each in present if _identity(each) not in unwanted]


def _identity(label: Any) -> Any:
    return label if isinstance(label, str) else (label.get("system"), label.get("code"))


def _answer(meta: Meta) -> Resource:
    return parameters(parameter("return", valueMeta=meta))
