"""What every check is handed: the client, the samples, and short ways to ask and to read an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.kit.client import Client, Response, multipart
from conformance.kit.samples import SampleSet
from conformance.kit.verdict import Failed, expect

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
OCTETS = "application/octet-stream"

JsonRow = Mapping[str, Any]


def related(media_type: str, transfer_syntax: str | None = None) -> str:
    """A media range for multipart/related (PS3.18 8.7.3.1)."""
    suffix = f"; transfer-syntax={transfer_syntax}" if transfer_syntax else ""
    return f'multipart/related; type="{media_type}"{suffix}'


@dataclass(frozen=True, slots=True)
class Session:
    client: Client
    samples: SampleSet

    def store(self, *files: bytes, study: str = "", accept: str | None = DICOM_JSON) -> Response:
        body, content_type = multipart([(DICOM, each) for each in files], DICOM)
        return self.client.post(f"/studies{'/' if study else ''}{study}", body, content_type, accept)

    def search(self, path: str) -> list[JsonRow]:
        """The rows of a search that must succeed."""
        return self.searched(path)[0]

    def searched(self, path: str) -> tuple[list[JsonRow], Response]:
        answer = self.client.get(path, DICOM_JSON)
        expect(answer.status == 200, f"GET {path} gave {answer.status}, expected 200")
        rows = answer.json()
        if not isinstance(rows, list):
            raise Failed("a search answer is an array of objects")
        return rows, answer

    def retrieve(self, path: str, accept: str, status: int = 200) -> Response:
        answer = self.client.get(path, accept)
        expect(answer.status == status, f"GET {path} gave {answer.status}, expected {status}")
        return answer


def value(row: JsonRow, tag: str) -> Any:
    """The first value of an attribute, or `None`."""
    values = row.get(tag, {}).get("Value") or [None]
    return values[0]


def values(rows: list[JsonRow], tag: str) -> list[Any]:
    return [value(row, tag) for row in rows]


def sequence(answer: Response, tag: str) -> list[JsonRow]:
    """The items of a sequence in a store answer (PS3.18 I.2)."""
    body = answer.json()
    if not isinstance(body, dict):
        raise Failed("a store answer is one object (PS3.18 I.2)")
    return body.get(tag, {}).get("Value") or []
