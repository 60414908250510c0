"""Subscriptions by REST hook (FHIR R4 subscription.html); they need a server that may reach this machine's loopback."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

from conformance.kit.fhir.listener import Listener, listening
from conformance.kit.fhir.search_chains import person
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import JSON, TAGS, Fhir, Resource, expect_status, refused
from conformance.kit.fhir.shelf import Shelf
from conformance.kit.verdict import Skipped, expect

subscriptions = Section()

_CLAUSE = "subscription.html"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def subscription(endpoint: str, criteria: str, **members: object) -> Resource:
    channel = {"type": "rest-hook", "endpoint": endpoint, **members.pop("channel", {})}  # type: ignore[dict-item]
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "conformance check",
        "criteria": criteria,
        "channel": channel,
        **members,
    }


def _need(fhir: Fhir) -> None:
    fhir.need("Subscription", "create")
    if urlsplit(fhir.base).hostname not in _LOOPBACK:
        raise Skipped("only a server on this machine reaches the listener of the kit")


def _status(fhir: Fhir, shelf: Shelf, wanted: str, seconds: float = 20) -> Resource:
    deadline = time.monotonic() + seconds
    while (found := fhir.read(f"/{shelf['hook']}"))["status"] != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _activated(fhir: Fhir, shelf: Shelf, listener: Listener, criteria: str = "", **channel: object) -> None:
    """A subscription that is active; skipped where the server may not send to loopback."""
    told = criteria or f"Patient?_tag={TAGS}|{shelf.token}"
    shelf.add("hook", subscription(listener.url, told, channel=channel))
    found = _status(fhir, shelf, "active")
    if found["status"] == "error" and not listener.heard:
        raise Skipped(f"the server does not send to the listener: {found.get('error', '')}")
    expect(found["status"] == "active", f"a subscription stays {found['status']}")


def _reached(fhir: Fhir, shelf: Shelf, listener: Listener, count: int = 1) -> None:
    """So many notifications have come; skipped where the server says it may not send here."""
    if len(listener.waits_for(count)) < count:
        found = fhir.read(f"/{shelf['hook']}")
        if not listener.heard and found.get("error"):
            raise Skipped(f"the server does not send to the listener: {found['error']}")
    heard = len(listener.heard)
    expect(heard >= count, f"{heard} notifications came, expected {count}")


@subscriptions.check("O80", _CLAUSE)
def activates_subscriptions(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        _activated(fhir, shelf, listener)


@subscriptions.check("O80", _CLAUSE)
def leaves_subscriptions_off_that_are(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        shelf.add("hook", subscription(listener.url, f"Patient?_tag={TAGS}|{shelf.token}", status="off"))
        shelf.add("other", subscription(listener.url, f"Patient?_tag={TAGS}|{shelf.token}"))
        shelf.add("anna", person("Quell"))
        listener.waits_for(2, 3)
        expect(len(listener.heard) <= 1, "a subscription that is off is served")
        expect(fhir.read(f"/{shelf['hook']}")["status"] == "off", "a subscription that is off is not left so")


@subscriptions.check("O80", _CLAUSE)
def does_not_take_a_client_s_word_that_it_is_active(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        sent = fhir.draft("Subscription") | subscription(listener.url, "Patient?family=nobody", status="active")
        answer = fhir.post("/Subscription", sent, prefer="return=representation")
        if answer.status != 201:
            refused(answer, 400, 422)
            return
        expect(answer.json()["status"] != "error", "a subscription begins with an error")


@subscriptions.check("O81", _CLAUSE)
def refuses_subscriptions_it_cannot_serve(fhir: Fhir) -> None:
    _need(fhir)
    url = "http://127.0.0.1:9/hook"
    for criteria in ("/Patient?family=x", "Sofa?family=x", "Patient?shoesize=43", "Patient?birthdate=soon", "family=x"):
        answer = fhir.post("/Subscription", subscription(url, criteria))
        expect(answer.status in (400, 422), f"the criteria {criteria} gave {answer.status}, expected 422")
    mail = subscription(url, "Patient?family=x", channel={"type": "sms"})
    refused(fhir.post("/Subscription", mail), 400, 422)


@subscriptions.check("O82", _CLAUSE)
def tells_of_creates_and_updates_that_match(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        _activated(fhir, shelf, listener, f"Patient?gender=male&_tag={TAGS}|{shelf.token}")
        shelf.add("woman", person("Quell", gender="female"))
        shelf.add("man", person("Strom", gender="male"))
        _reached(fhir, shelf, listener)
        shelf.put("woman", person("Quell", gender="male", id=shelf.id("woman")))
        _reached(fhir, shelf, listener, 2)
        shelf.put("woman", person("Quell", gender="female", id=shelf.id("woman")))
        shelf.remove("man")
        shelf.put("last", person("Last", gender="male", id=fhir.unique()))
        _reached(fhir, shelf, listener, 3)
        listener.waits_for(4, 2)
        expect(len(listener.heard) == 3, f"{len(listener.heard)} notifications came, expected 3")


@subscriptions.check("O83", _CLAUSE)
def knocks_without_payload(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        _activated(fhir, shelf, listener, header=["X-Check: kit", "Authorization: Bearer abc"])
        shelf.add("anna", person("Quell"))
        _reached(fhir, shelf, listener)
        heard = listener.heard[0]
        expect((heard.method, heard.path, heard.body) == ("POST", "/hook", b""), f"{heard.method} {heard.path} came")
        expect(heard.headers.get("x-check") == "kit", "the headers of the channel are not sent")
        expect(heard.headers.get("authorization") == "Bearer abc", "the headers of the channel are not sent")


@subscriptions.check("O83", _CLAUSE)
def sends_the_resource_as_payload(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        _activated(fhir, shelf, listener, payload=JSON)
        shelf.add("anna", person("Quell"))
        _reached(fhir, shelf, listener)
        heard = listener.heard[0]
        expect(heard.headers.get("content-type", "").startswith(JSON), "the payload is not of the media type asked for")
        expect(json.loads(heard.body)["id"] == shelf.id("anna"), "the payload is another resource")
        expect(heard.method == "POST" or heard.path.endswith(shelf["anna"]), f"{heard.method} {heard.path} came")


@subscriptions.check("O84", _CLAUSE)
def tries_again_when_the_endpoint_fails(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        _activated(fhir, shelf, listener)
        listener.failing = 1
        started = time.monotonic()
        shelf.add("anna", person("Quell"))
        expect(time.monotonic() - started < 5, "a failing endpoint slows a write")
        _reached(fhir, shelf, listener, 2)


@subscriptions.check("O84", _CLAUSE)
def ends_subscriptions_in_time(fhir: Fhir) -> None:
    _need(fhir)
    with listening() as listener:
        shelf = Shelf(fhir)
        past = subscription(listener.url, f"Patient?_tag={TAGS}|{shelf.token}", end="2020-01-01T00:00:00Z")
        answer = fhir.post("/Subscription", shelf.tagged(past), prefer="return=representation")
        expect_status(answer, 201, 400, 422)
        if answer.status == 201:
            shelf.keep("hook", f"Subscription/{answer.json()['id']}")
            expect(_status(fhir, shelf, "off", 10)["status"] == "off", "a subscription whose time is over is not off")
