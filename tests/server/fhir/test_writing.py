"""Id and meta set in a resource that otherwise stays as it was sent."""

from __future__ import annotations

import pytest

from server.fhir.json_form import decode, encode
from server.fhir.writing import is_light, stamped

META = b'{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.000Z"}'


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b'{"resourceType":"Patient","active":true}', b'{"resourceType":"Patient","id":"a","meta":M,"active":true}'),
        (b'{"resourceType":"Patient","id":"b","x":1}', b'{"resourceType":"Patient","id":"a","meta":M,"x":1}'),
        (b'{"x":1,"id":"b","resourceType":"Patient"}', b'{"x":1,"id":"a","meta":M,"resourceType":"Patient"}'),
        (b'{"x":1,"resourceType":"Patient","y":2}', b'{"x":1,"resourceType":"Patient","id":"a","meta":M,"y":2}'),
        (b'{"meta":{},"resourceType":"Patient"}', b'{"meta":M,"resourceType":"Patient","id":"a"}'),
        (b'{"resourceType":"Patient","x":1,"meta":{"versionId":"9"},"id":"b"}',
         b'{"resourceType":"Patient","x":1,"meta":M,"id":"a"}'),
    ],
)  # fmt: skip
def test_members_keep_their_places(sent: bytes, stored: bytes) -> None:
    assert encode(stamped(decode(sent), "a", 3, 1_000_000)) == stored.replace(b"M", META)


def test_the_rest_of_meta_is_kept() -> None:
    sent = decode(b'{"resourceType":"Patient","meta":{"tag":[{"code":"t"}],"lastUpdated":"x","source":"s"}}')
    meta = stamped(sent, "a", 3, 1_000_000)["meta"]
    assert meta["tag"] == [{"code": "t"}]
    assert (meta["versionId"], meta["lastUpdated"], meta["source"]) == ("3", "1970-01-01T00:00:01.000Z", "s")


def test_long_resources_are_not_light() -> None:
    assert is_light({"resourceType": "Patient", "name": [{"family": "Wang"}]})
    assert not is_light({"resourceType": "Binary", "data": "A" * 20_000})
    assert not is_light({"resourceType": "Patient", "name": [{"given": ["a"] * 2000}]})
