"""What follows the kick-off of a bulk export: its status, its files, its end (Bulk Data Access, export.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

import orjson

from server.fhir.export.exports import Exports
from server.fhir.export.job import File, Job, State
from server.fhir.export.request import NDJSON
from server.fhir.json_form import encode
from server.fhir.stored import instant_text
from server.http.compression import packed_stream, takes_gzip
from server.http.surface import Answer, Call, Endpoint
from server.kernel.offload import Offload
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Blobs

_CLAUSE = "Bulk Data Access"
_JOB = "/$export/{job}"
_RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Exporting:
    """`is_open` where no token is needed for the files."""

    exports: Exports
    blobs: Blobs
    is_open: bool
    offload: Offload

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("export.status", "GET", _JOB, "search", self.status, _CLAUSE),
            Endpoint("export.cancel", "DELETE", _JOB, "search", self.cancel, _CLAUSE),
            Endpoint("export.file", "GET", _JOB + "/{number}", "search", self.file, _CLAUSE),
        )

    async def status(self, call: Call) -> Answer:
        """202 while it runs, then the manifest; a `Problem` where the export failed."""
        job = await self.exports.job(call.context, call.path["job"])
        if job.state is State.FAILED:
            raise Problem(Kind.FAULT, f"The export failed: {job.failure}", (Issue(job.failure, code="exception"),))
        if job.state is not State.COMPLETE:
            progress = f"{len(job.done)} types written" if job.done else "waiting"
            return Answer(202, headers=[("Retry-After", str(_RETRY_SECONDS)), ("X-Progress", progress)])
        expires = formatdate(job.expires // 1_000_000, usegmt=True)
        return Answer(200, orjson.dumps(self._manifest(call, job)), "application/json", [("Expires", expires)])

    async def cancel(self, call: Call) -> Answer:
        await self.exports.cancel(call.context, call.path["job"])
        return Answer(202)

    async def file(self, call: Call) -> Answer:
        number = call.path["number"]
        if not number.isascii() or not number.isdigit() or len(number) > 6:
            raise Problem(Kind.NOT_FOUND, "There is no such file.")
        job = await self.exports.job(call.context, call.path["job"])
        if job.state is State.COMPLETE and int(number) == len(job.files) and job.request.warnings:
            return Answer(200, b"".join(_outcome(each) + b"\n" for each in job.request.warnings), NDJSON)
        found = await self.exports.file(call.context, call.path["job"], int(number))
        pieces, vary = self.blobs.read(found.blob), ("Vary", "Accept-Encoding")
        if takes_gzip(call.header("accept-encoding") or ""):
            return Answer(200, packed_stream(pieces, self.offload), NDJSON, [vary, ("Content-Encoding", "gzip")])
        return Answer(200, pieces, NDJSON, [vary], length=found.blob.size)

    def _manifest(self, call: Call, job: Job) -> dict[str, object]:
        place = f"{call.base}/$export/{job.id}"
        numbered = list(enumerate(job.files))
        errors = [{"type": "OperationOutcome", "url": f"{place}/{len(job.files)}"}] if job.request.warnings else []
        manifest: dict[str, object] = {
            "transactionTime": instant_text(job.time),
            "request": job.url,
            "requiresAccessToken": not self.is_open,
            "output": _listed(place, "output", numbered),
            "error": errors,
        }
        if job.extent.left_out:
            manifest["extension"] = {"patientsLeftOut": job.extent.left_out}
        if job.request.since is not None:
            manifest["deleted"] = _listed(place, "deleted", numbered)
        return manifest


def _listed(place: str, kind: str, files: Sequence[tuple[int, File]]) -> list[dict[str, object]]:
    return [
        {"type": each.type, "url": f"{place}/{number}", "count": each.count}
        for number, each in files
        if each.kind == kind
    ]


def _outcome(text: str) -> bytes:
    issue = {"severity": "warning", "code": "not-supported", "diagnostics": text}
    return encode({"resourceType": "OperationOutcome", "issue": [issue]})
