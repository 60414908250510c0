"""Pages of searches and of histories as Bundles: stored bytes joined with what stands around them (FHIR R4 Bundle).

Nothing is parsed where whole resources are asked for in JSON. XML is made from the joined JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote

import orjson

from profiles.findings import Severity
from server.fhir import json_form, outcome
from server.fhir.history import HistoryPage
from server.fhir.json_form import Resource
from server.fhir.search.request import Pairs, SearchResult
from server.fhir.stored import Stored
from server.fhir.subset import Subset, Summary
from server.fhir_rest.formats import Format, Presentation
from server.fhir_rest.rendering import rendered
from server.http.surface import Answer
from server.kernel.offload import Offload

_SAFE = re.compile(r"[A-Za-z0-9_.~:,/-]*", re.ASCII)

PAGE = "_page"
"""The parameter that leads to another page."""

_MATCH = b'%b%b","resource":%b,"search":{"mode":"match"}}'
_INCLUDE = b'%b%b","resource":%b,"search":{"mode":"include"}}'

_INLINE = 8
"""Resources of a page that are rewritten on the event loop; more go to a thread."""


def link(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in pairs])
    return f"{url}?{query}" if query else url


@lru_cache(maxsize=2048)
def _quoted(text: str) -> str:
    """Most of what stands in a link needs no quoting, and finding that out is ten times as fast."""
    return text if _SAFE.fullmatch(text) else quote(text, safe=":,/")


async def answer_search(result: SearchResult, asked: Presentation, offload: Offload, base: str, url: str) -> Answer:
    """A page of a search at `url`."""
    links = [("self", link(url, result.used))]
    if result.next is not None:
        # The place is written in characters that no link has to quote.
        links.append(("next", f"{url}?{PAGE}={result.next}"))
    head = _head("searchset", result.total, links)
    size = len(result.matches) + len(result.included)
    if asked.subset.is_whole and asked.format is Format.JSON:
        body = _joined(head, _search_entries(result, base, None))
    elif size <= _INLINE:
        body = _joined(head, _search_entries(result, base, asked.subset))
    else:
        body = await offload.cpu(lambda: _joined(head, _search_entries(result, base, asked.subset)))
    return await answer_bundle(body, asked, offload)


async def answer_history(
    page: HistoryPage, asked: Presentation, offload: Offload, base: str, url: str, used: Pairs
) -> Answer:
    links = [("self", link(url, used))]
    if page.next is not None:
        links.append(("next", link(url, ((PAGE, page.next), *(pair for pair in used if pair[0] != PAGE)))))
    head = _head("history", page.total, links)
    versions = [] if asked.subset.summary is Summary.COUNT else page.versions
    entries = await offload.cpu(_history_entries, versions, base, asked.subset)
    body = _joined(head, entries)
    return await answer_bundle(body, asked, offload)


async def answer_bundle(body: bytes, asked: Presentation, offload: Offload) -> Answer:
    """A Bundle that is there as JSON, its resources already cut to the part asked for."""
    if asked.format is Format.XML or asked.is_pretty:
        body = await offload.cpu(_rewritten, body, asked.whole)
    return Answer(200, body, asked.media_type, [("Vary", "Accept")])


def _rewritten(body: bytes, asked: Presentation) -> bytes:
    return rendered(json_form.reread(body), asked)


def _head(kind: str, total: int | None, links: Sequence[tuple[str, str]]) -> bytes:
    bundle: Resource = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    return orjson.dumps(bundle | {"link": [{"relation": relation, "url": url} for relation, url in links]})


def _joined(head: bytes, entries: list[bytes]) -> bytes:
    """FHIR forbids an empty list of entries."""
    return b"".join((head[:-1], b',"entry":[', b",".join(entries), b"]}")) if entries else head


def _search_entries(result: SearchResult, base: str, subset: Subset | None) -> list[bytes]:
    """`subset`: `None` where everything is whole."""
    start = b'{"fullUrl":' + orjson.dumps(base + "/")[:-1]
    if subset is None:
        entries = [_MATCH % (start, f"{each.type}/{each.id}".encode(), each.body) for each in result.matches]
        entries += [_INCLUDE % (start, f"{each.type}/{each.id}".encode(), each.body) for each in result.included]
    else:
        entries = [_MATCH % (start, each.reference.encode(), _matched(each.body, subset)) for each in result.matches]
        entries += [
            _INCLUDE % (start, each.reference.encode(), _included(each.body, subset)) for each in result.included
        ]
    if result.warnings:
        remark = outcome.of_issues(result.warnings, Severity.WARNING, "processing")
        entries.append(b'{"resource":' + json_form.encode(remark) + b',"search":{"mode":"outcome"}}')
    return entries


def _matched(body: bytes, subset: Subset) -> bytes:
    return body if subset.is_whole else json_form.encode(subset.of(json_form.reread(body)))


def _included(body: bytes, subset: Subset) -> bytes:
    return body if subset.is_whole else json_form.encode(subset.of_included(json_form.reread(body)))


def _history_entries(versions: Sequence[Stored], base: str, subset: Subset) -> list[bytes]:
    return [_version(each, base, subset) for each in versions]


def _version(stored: Stored, base: str, subset: Subset) -> bytes:
    """One entry: the act as if it had been part of a transaction, and its result."""
    method = stored.method
    status = {"POST": "201 Created", "DELETE": "204 No Content"}.get(method)
    entry = orjson.dumps({
        "fullUrl": f"{base}/{stored.reference}",
        "request": {"method": method, "url": stored.type if method == "POST" else stored.reference},
        "response": {
            "status": status or ("201 Created" if stored.version == 1 else "200 OK"),
            "etag": stored.etag,
            "lastModified": stored.last_updated_text,
        },
    })  # fmt: skip
    if stored.is_deleted:
        return entry
    return entry[:-1] + b',"resource":' + _matched(stored.body, subset) + b"}"
