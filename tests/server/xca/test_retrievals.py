"""Documents and images fetched through the gateway, from where they are, in the order asked; nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from server.ihe.imaging_request import ImageRequest
from server.kernel.context import INTERACTIONS, Actor, Context, Grant
from server.xds.vocabulary import FAILURE, PARTIAL_SUCCESS
from tests.contract.manifest_world import EXPLICIT_LITTLE, RAD_69, request_body
from tests.data.small_files import instance_file
from tests.server.xca.gateway_world import (
    EAST,
    OURS,
    WEST,
    Gateway,
    close_gateway,
    error,
    errors_with_locations,
    given,
    open_gateway,
)

IMAGE = instance_file("1.2.3", "1.2.3.1", "1.2.3.1.1")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with asyncio.Runner() as runner:
        gateway = open_gateway(tmp_path_factory.mktemp("retrievals"), runner, EAST, WEST, seconds=3)
        runner.run(gateway.world.store(IMAGE))
        yield gateway
        close_gateway(gateway)


@pytest.fixture
def gateway(opened: Gateway) -> Iterator[Gateway]:
    opened.sites.asked.clear()
    opened.log.taken()
    before = opened.blobs()
    yield opened
    assert opened.blobs() == before


def _asked(gateway: Gateway, name: str) -> list[tuple[str | None, str | None]]:
    (message,) = gateway.sites.asked[name]
    return [
        (each.findtext("{*}HomeCommunityId"), each.findtext("{*}DocumentUniqueId"))
        for each in message.iter("{*}DocumentRequest")
    ]


def test_each_document_is_fetched_from_its_community_and_given_in_the_order_asked(gateway: Gateway) -> None:
    long = bytes(range(256)) * 4096
    gateway.sites.answers = {
        "east": given([("1.1", "b", b"two"), ("1.1", "a", long)]),
        "west": given([("2.1", "c", b"three")]),
    }
    answer = gateway.retrieve((EAST.id, "1.1", "a"), (WEST.id, "2.1", "c"), (EAST.id, "1.1", "b"))
    assert answer.status == "Success"
    assert list(answer.documents.items()) == [("a", long), ("c", b"three"), ("b", b"two")]
    homes = [each.findtext("{*}HomeCommunityId") for each in answer.body.iter("{*}DocumentResponse")]
    assert homes == [EAST.id, WEST.id, EAST.id]
    assert _asked(gateway, "east") == [(EAST.id, "a"), (EAST.id, "b")]
    events = [(each.subtype, each.action, each.outcome, len(each.entities)) for each in gateway.log.taken()]
    assert events == [("ITI-39", "C", 0, 3), ("ITI-39", "C", 0, 2)]


def test_only_what_was_asked_for_is_given_and_once(gateway: Gateway) -> None:
    gateway.sites.answers["east"] = given(
        [("1.1", "a", b"one"), ("1.1", "a", b"again"), ("1.1", "other", b"x"), ("9.9", "b", b"elsewhere")],
        media_type="text/plain&#13;&#10;Set-Cookie: a=b",
    )
    answer = gateway.retrieve((EAST.id, "1.1", "a"), (EAST.id, "1.1", "b"))
    assert (answer.status, answer.documents) == ("PartialSuccess", {"a": b"one"})
    assert errors_with_locations(answer) == {EAST.id: "XDSDocumentUniqueIdError"}
    assert answer.body.findtext(".//{*}mimeType") == "application/octet-stream"


def test_what_went_wrong_with_one_does_not_touch_the_others(gateway: Gateway) -> None:
    told = error("XDSRepositoryBusy")
    gateway.sites.answers = {
        "east": given([("1.1", "a", b"one")], status=PARTIAL_SUCCESS, errors=told),
        "west": lambda _: httpx.Response(500),
    }
    asked = [(EAST.id, "1.1", "a"), (EAST.id, "1.1", "b"), (WEST.id, "2.1", "c"), ("urn:oid:1.9", "9", "d")]
    answer = gateway.retrieve(*asked, ("", "9.9", "e"), ("", OURS.repository, "f"))
    assert (answer.status, answer.documents) == ("PartialSuccess", {"a": b"one"})
    assert errors_with_locations(answer) == {
        "d": "XDSUnknownCommunity", "e": "XDSMissingHomeCommunityId", "f": "XDSDocumentUniqueIdError",
        EAST.id: "XDSRepositoryBusy", WEST.id: "XDSUnavailableCommunity",
    }  # fmt: skip
    gateway.sites.answers["east"] = given([], status=FAILURE, errors=error("XDSDocumentUniqueIdError"))
    nothing = gateway.retrieve(asked[0])
    assert (nothing.status, nothing.errors) == ("Failure", ["XDSDocumentUniqueIdError"])


def test_a_document_that_breaks_off_or_stalls_is_not_waited_for(gateway: Gateway) -> None:
    whole = given([("1.1", "a", bytes(1 << 20))])

    def broken(request: httpx.Request) -> httpx.Response:
        response = whole(request)
        assert isinstance(response, httpx.Response)
        return httpx.Response(200, headers=response.headers, content=response.content[: 1 << 19])

    async def hung(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    gateway.sites.answers = {"east": broken, "west": hung}
    answer = gateway.retrieve((EAST.id, "1.1", "a"), (WEST.id, "2.1", "c"))
    assert answer.status == "Failure"
    assert errors_with_locations(answer) == {
        EAST.id: "XDSUnavailableCommunity", WEST.id: "XDSUnavailableCommunity",
    }  # fmt: skip


def test_who_may_see_only_some_patients_fetches_nothing_in_our_name(gateway: Gateway) -> None:
    own = Actor("p", "p", (Grant(INTERACTIONS, None, "p1"),), frozenset({"patient"}), own_patients=frozenset({"p1"}))
    gateway.sites.answers["east"] = given([("1.1", "a", b"one")])
    answer = gateway.retrieve((EAST.id, "1.1", "a"), who=Context(own, "test"))
    assert (answer.status, errors_with_locations(answer)) == ("Failure", {EAST.id: "XDSDocumentUniqueIdError"})
    assert gateway.sites.asked == {}


def test_images_come_from_here_and_from_there(gateway: Gateway) -> None:
    gateway.sites.answers["east"] = given([("1.7", "1.2.4.1.1", b"DICM")], media_type="application/dicom")
    here = ImageRequest("1.2.3", "1.2.3.1", "1.2.3.1.1", OURS.imaging_source, OURS.home)
    there = ImageRequest("1.2.4", "1.2.4.1", "1.2.4.1.1", "1.7", EAST.id)
    answer = gateway.ask("/xca/gateway/imaging", RAD_69, request_body([there, here], [EXPLICIT_LITTLE]))
    assert answer.status == "Success"
    assert list(answer.documents.items()) == [("1.2.4.1.1", b"DICM"), ("1.2.3.1.1", IMAGE)]
    (asked,) = gateway.sites.asked["east"]
    assert [each.get("studyInstanceUID") for each in asked.iter("{*}StudyRequest")] == ["1.2.4"]
    assert [each.text for each in asked.iter("{*}TransferSyntaxUID")] == [EXPLICIT_LITTLE]
    assert [(each.subtype, each.entities[1].reference) for each in gateway.log.taken()] == [
        ("RAD-75", "urn:oid:1.2.4"),
    ]  # fmt: skip
