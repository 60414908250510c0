"""Interactions with one resource: read, vread, create, update, patch, delete, conditional ones too (R4 http.html)."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from server.fhir import outcome
from server.fhir.committing import Status, Written
from server.fhir.json_form import Resource, decode
from server.fhir.repository import Repository
from server.fhir.stored import Stored
from server.fhir.validation import Validation
from server.fhir_rest import binary
from server.fhir_rest.bodies import Bodies
from server.fhir_rest.documents import DocumentReading
from server.fhir_rest.following import FEED, Following, is_feed
from server.fhir_rest.formats import CONTROLS, Presentation, presentation
from server.fhir_rest.noting import note
from server.fhir_rest.patches import change_of
from server.fhir_rest.prefer import Return, preferences
from server.fhir_rest.providing import Provide
from server.fhir_rest.rendering import answer_resource, answer_stored, validators
from server.fhir_rest.routing import INSTANCE, TYPE, VERSION
from server.http.conditional import not_modified
from server.http.surface import Answer, Call, Endpoint
from server.kernel.problem import Issue, Kind, Problem

_READ = "R4 http.html#read"
_CREATED = {Status.CREATED: 201}


@dataclass(frozen=True, slots=True)
class Resources:
    repository: Repository
    bodies: Bodies
    validation: Validation
    documents: DocumentReading
    provide: Provide
    following: Following

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("read", "GET", INSTANCE, "read", self.read, _READ),
            Endpoint("vread", "GET", VERSION, "read", self.vread, "R4 http.html#vread"),
            Endpoint("update", "PUT", INSTANCE, "update", self.update, "R4 http.html#update"),
            Endpoint("update.conditional", "PUT", TYPE, "update", self.update_matching, "R4 http.html#cond-update"),
            Endpoint("patch", "PATCH", INSTANCE, "update", self.patch, "R4 http.html#patch"),
            Endpoint("patch.conditional", "PATCH", TYPE, "update", self.patch_matching, "R4 http.html#patch"),
            Endpoint("delete", "DELETE", INSTANCE, "delete", self.delete, "R4 http.html#delete"),
            Endpoint("delete.conditional", "DELETE", TYPE, "delete", self.delete_matching, "R4 http.html#delete"),
            Endpoint("create", "POST", TYPE, "create", self.create, "R4 http.html#create"),
        )

    async def read(self, call: Call) -> Answer:
        named = call.path
        if named["type"] == "Binary" and (document := await self.documents.read(call)):
            return document
        stored = await self.repository.read(call.context, named["type"], named["id"])
        return await self._version(call, stored)

    async def vread(self, call: Call) -> Answer:
        named = call.path
        stored = await self.repository.vread(call.context, named["type"], named["id"], named["version"])
        return await self._version(call, stored)

    async def create(self, call: Call) -> Answer:
        asked = presentation(call).whole
        resource = await self._sent(call)
        if call.path["type"] == "DocumentReference" and self.provide.is_published(resource):
            stored = await self.provide.publish(call.context, resource)
            return await self._written(call, asked, Written(stored, Status.CREATED))
        criteria = call.header("if-none-exist")
        if criteria is None and any(name not in CONTROLS for name, _ in call.query):
            # Some clients put the criteria here; passed over, they would make one copy after another.
            criteria = _query(call)
        resource = await self.following.asked(call.context, resource)
        written = await self.repository.create(call.context, call.path["type"], resource, criteria)
        written = await self.following.written(call.context, written)
        return await self._written(call, asked, written)

    async def update(self, call: Call) -> Answer:
        asked = presentation(call).whole
        resource_type, resource_id = call.path["type"], call.path["id"]
        resource = await self.following.asked(call.context, await self._sent(call, resource_id))
        written = await self.repository.update(
            call.context, resource_type, resource_id, resource, call.header("if-match"), call.header("if-none-match")
        )
        written = await self.following.written(call.context, written)
        return await self._written(call, asked, written)

    async def update_matching(self, call: Call) -> Answer:
        asked = presentation(call).whole
        query, act = _query(call), call.context.trail.act
        if is_feed(call.path["type"], query):
            call.context.trail.name(FEED)
        sent = await self._sent(call)
        await self.following.check_feed(call.context, call.path["type"], query, sent)
        criteria = await self.following.criteria(call.context, call.path["type"], query)
        resource = await self.following.asked(call.context, sent, criteria if criteria != query else "")
        written = await self.repository.update_matching(
            call.context, call.path["type"], criteria, resource, call.header("if-match"), call.header("if-none-match")
        )
        written = await self.following.written(call.context, written, query)
        call.context.trail.name(act)
        return await self._written(call, asked, written)

    async def patch(self, call: Call) -> Answer:
        asked = presentation(call).whole
        change = await change_of(call, self.bodies)
        written = await self.repository.patch(
            call.context, call.path["type"], call.path["id"], change, call.header("if-match")
        )
        written = await self.following.written(call.context, written)
        return await self._written(call, asked, written)

    async def patch_matching(self, call: Call) -> Answer:
        asked = presentation(call).whole
        change = await change_of(call, self.bodies)
        criteria = await self.following.criteria(call.context, call.path["type"], _query(call))
        written = await self.repository.patch_matching(
            call.context, call.path["type"], criteria, change, call.header("if-match")
        )
        written = await self.following.written(call.context, written)
        return await self._written(call, asked, written)

    async def delete(self, call: Call) -> Answer:
        asked = presentation(call).whole
        deletion = await self.repository.delete(
            call.context, call.path["type"], call.path["id"], call.header("if-match")
        )
        return await self._deleted(call, asked, [deletion] if deletion else [])

    async def delete_matching(self, call: Call) -> Answer:
        asked = presentation(call).whole
        criteria = await self.following.criteria(call.context, call.path["type"], _query(call))
        deletions = await self.repository.delete_matching(
            call.context, call.path["type"], criteria, call.header("if-match")
        )
        return await self._deleted(call, asked, deletions)

    async def _version(self, call: Call, stored: Stored) -> Answer:
        note(call.context.trail, stored)
        if stored.type == "Binary" and binary.is_wanted_raw(call):
            answer = binary.raw_answer(stored)
        else:
            answer = await answer_stored(stored, presentation(call), self.repository.offload)
        return _unchanged(call, stored, answer.headers) or answer

    async def _sent(self, call: Call, resource_id: str | None = None) -> Resource:
        """The resource in the body; whatever else is posted as a Binary becomes one."""
        if call.path["type"] == "Binary" and binary.is_sent_raw(call):
            return binary.wrapped(call, await self.bodies.raw(call), resource_id)
        return await self.bodies.resource(call)

    async def _written(self, call: Call, asked: Presentation, written: Written) -> Answer:
        stored, status = written.stored, _CREATED.get(written.status, 200)
        match preferences(call).returns:
            case Return.MINIMAL:
                answer = Answer(status, headers=validators(stored))
            case Return.OUTCOME:
                answer = await answer_resource(await self._told(written), asked, self.repository.offload, status)
                answer.headers = validators(stored)
            case Return.REPRESENTATION | None:
                shown = await self.repository.reading.redaction.written(call.context, stored)
                answer = Answer(status, headers=validators(stored))
                if shown is not None:
                    answer = await answer_stored(shown, asked, self.repository.offload, status)
        if written.status in (Status.CREATED, Status.MATCHED):
            answer.headers.append(("Location", f"{call.base}/{stored.versioned}"))
        return answer

    async def _told(self, written: Written) -> Resource:
        """What was done, with the warnings of the checks; of a duplicate, what it duplicates."""
        if written.status is Status.MATCHED:
            there = Issue(f"The same is stored already as {written.stored.reference}.", None, "duplicate")
            return outcome.of_write("Nothing is written.", (there,))
        [checked] = await self.validation.checked([decode(written.stored.body)])
        return outcome.of_write(f"The resource is {written.status}.", checked.warnings)

    async def _deleted(self, call: Call, asked: Presentation, deletions: list[Stored]) -> Answer:
        headers = [("ETag", deletions[0].etag)] if len(deletions) == 1 else []
        if preferences(call).returns is not Return.OUTCOME:
            return Answer(204, headers=headers)
        text = f"{len(deletions)} deleted." if deletions else "There was nothing to delete."
        answer = await answer_resource(outcome.informational(text), asked, self.repository.offload)
        answer.headers += headers
        return answer


def _unchanged(call: Call, stored: Stored, headers: list[tuple[str, str]]) -> Answer | None:
    """304 where the client holds this very version; If-None-Match is heard before If-Modified-Since (RFC 9110 13.2)."""
    if call.header("if-none-match") is not None:
        return Answer(304, headers=headers) if not_modified(call, stored.etag) else None
    since = call.header("if-modified-since")
    if since is None:
        return None
    try:
        known = int(parsedate_to_datetime(since).timestamp())
    except (ValueError, OverflowError):
        return None
    return Answer(304, headers=headers) if stored.last_updated // 1_000_000 <= known else None


def _query(call: Call) -> str:
    try:
        return str(call.scope["query_string"].decode("utf-8"))
    except UnicodeDecodeError:
        raise Problem(Kind.INVALID, "The query is not percent-encoded UTF-8.") from None
