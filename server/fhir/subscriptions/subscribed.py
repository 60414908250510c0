"""A Subscription resource as the worker understands it, and what it refuses (R4 Subscription)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from profiles.definitions import definitions
from server.fhir.index.moments import span_of
from server.fhir.json_form import Resource
from server.fhir.subscriptions.owner import WORKER
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Issue, Kind, Problem

LIVE = ("requested", "active")
"""Statuses under which a subscription is, or asks to be, served."""
JSON, XML = "application/fhir+json", "application/fhir+xml"
_PAYLOADS = {JSON: JSON, "application/json": JSON, XML: XML, "application/xml": XML}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade"})

SYSTEM = Context(Actor(WORKER, "subscriptions", (Grant(INTERACTIONS),), frozenset({SERVER})), "subscriptions")
"""On whose behalf the worker reads and says how a subscription fares."""


@dataclass(frozen=True, slots=True)
class Channel:
    endpoint: str
    payload: str | None
    """The media type sent; `None` for an empty body."""
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What is to be told, and to whom."""

    type: str
    pairs: tuple[tuple[str, str], ...]
    """Search parameters; none for everything of the type."""
    channel: Channel
    end: int | None
    """Microseconds; `None` for no end."""


def parse(subscription: Resource) -> Subscribed:
    """A `Problem` (unprocessable) that names the element where it cannot be served."""
    resource_type, pairs = _criteria(subscription.get("criteria"))
    end = subscription.get("end")
    span = span_of(end) if isinstance(end, str) else None
    return Subscribed(resource_type, pairs, _channel(subscription.get("channel")), span[0] if span else None)


def _criteria(text: object) -> tuple[str, tuple[tuple[str, str], ...]]:
    resource_type, _, query = text.partition("?") if isinstance(text, str) else ("", "", "")
    if resource_type not in definitions().resource_types:
        raise refused("The criteria are no query of a resource type: Observation?code=…", "Subscription.criteria")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    except ValueError:
        raise refused("The criteria are no query of search parameters.", "Subscription.criteria") from None
    return resource_type, tuple(pairs)


def _channel(channel: object) -> Channel:
    place = "Subscription.channel"
    if not isinstance(channel, dict) or channel.get("type") != "rest-hook":
        raise refused("The only channel served is rest-hook.", f"{place}.type")
    endpoint, payload = channel.get("endpoint"), channel.get("payload")
    if not isinstance(endpoint, str) or not _is_url(endpoint):
        raise refused("A rest-hook needs an endpoint with an http or https URL.", f"{place}.endpoint")
    media_type = None
    if payload is not None:
        media_type = _PAYLOADS.get(str(payload).partition(";")[0].strip().lower())
        if media_type is None:
            raise refused(f"The payload is {JSON}, {XML} or nothing.", f"{place}.payload")
    headers = channel.get("header", [])
    return Channel(endpoint, media_type, tuple(_header(each) for each in headers if isinstance(headers, list)))


def _header(text: object) -> tuple[str, str]:
    match = _HEADER.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1].lower() in _OURS:
        raise refused(
            "A header is `Name: value`, and none that the request itself needs.", "Subscription.channel.header"
        )
    return match[1], match[2].strip()


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False


def refused(text: str, location: str) -> Problem:
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, location, "business-rule"),))
