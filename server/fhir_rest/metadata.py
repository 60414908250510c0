"""`/metadata`: the capability statement, kept ready and told apart by its content (R4 http.html#capabilities)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from server.fhir import json_form
from server.fhir_rest.capability import Capabilities
from server.fhir_rest.formats import Presentation, presentation
from server.fhir_rest.rendering import rewritten
from server.http.conditional import not_modified, weak_etag
from server.http.surface import Answer, Call, Endpoint
from server.kernel.answers import AnswerCache
from server.kernel.offload import Offload


@dataclass(frozen=True, slots=True)
class Metadata:
    capabilities: Capabilities
    answers: AnswerCache
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("capabilities", "GET", "/metadata", "capabilities", self.retrieve, "R4 http.html#capabilities"),
        )

    async def retrieve(self, call: Call) -> Answer:
        asked = presentation(call)
        mode = next((value for name, value in call.query if name == "mode"), "full")
        key = ("fhir.metadata", self.capabilities.registry(), call.base, mode, asked)
        known, mark = self.answers.get((key, "body")), self.answers.get((key, "digest"))
        if known is None or mark is None:
            made = await self.offload.cpu(self._made, call.base, mode, asked)
            for part, each in zip(("body", "digest"), made, strict=True):
                self.answers.put((key, part), each)
            known, mark = made
        tag = weak_etag(mark.decode())
        if (unchanged := not_modified(call, tag)) is not None:
            return unchanged
        return Answer(200, known, asked.media_type, [("ETag", tag), ("Vary", "Accept")])

    def _made(self, base: str, mode: str, asked: Presentation) -> tuple[bytes, bytes]:
        """A mode that is not known is as none (R4 http.html#capabilities)."""
        if mode == "terminology":
            statement = self.capabilities.terminology(base)
        else:
            statement = self.capabilities.full(base, is_normative=mode == "normative")
        body = rewritten(json_form.encode(statement), asked)
        return body, hashlib.sha256(body).hexdigest()[:32].encode()
