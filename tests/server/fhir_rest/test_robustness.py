"""Whatever the method, the path, the query and the body: an answer of FHIR's, and never a fault."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.fhir import json_form
from tests.data.r4_examples import r4_examples
from tests.server.fhir_rest.served import FORM, JSON, XML, Served

SEGMENTS = st.sampled_from(
    [
        "Patient", "Observation", "Binary", "Nothing", "metadata", "_history", "_search", "1", "0", "*", "",
        "$validate", "$meta", "$meta-add", "$everything", "$lastn", "$expand", "$nothing", "$",
        "a b", "é", "a" * 65, "..", "%",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    [
        "_id", "_format", "_pretty", "_summary", "_elements", "_count", "_sort", "_page", "_since", "_at", "_include",
        "_has:Observation:patient:code", "name", "name:exact", "subject.name", "subject:Patient.name", "date", "code",
        "value-quantity", "code-value-quantity", "_total", "_type", "mode", "resource", "url", "é", "",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "true", "json", "xml", "1", "-1", "2020", "ap2020-01-01", "a|b|c", "a$b", "a,b", "\\", "Patient/1"]
    ),
    st.text(max_size=8),
)
BODIES = st.one_of(
    st.binary(max_size=30),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(["resourceType", "id", "meta", "name", "entry", "type", "parameter", "request", "op"]),
                st.one_of(inner, st.sampled_from(["Patient", "Bundle", "Parameters", "batch", "transaction"])),
                max_size=4,
            ),
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
TYPES = st.sampled_from(
    [JSON, XML, FORM, "application/json-patch+json", "application/xml-patch+xml", "application/json", "text/plain"]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.lists(SEGMENTS, max_size=5),
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    BODIES,
    TYPES,
)
def test_every_request_is_answered(
    service: Served, method: str, path: list[str], query: list[tuple[str, str]], body: bytes, content_type: str
) -> None:
    asked = "&".join(f"{quote(name)}={quote(value.encode('utf-8', 'replace'))}" for name, value in query)
    got = service.ask(method, "/" + "/".join(path) + "?" + asked, body, content_type=content_type, accept=JSON)
    assert got.status < 500, got.body
    if got.status >= 400 and method != "HEAD" and got.media_type == JSON:
        assert got.json["resourceType"] == "OperationOutcome"


JUNK: list[Any] = [
    None, True, -1, 1.5, "", " ", "a", "2020-13-01", [], {}, [None], [{}], {"a": 1}, "http://x.test|y", "#", "#a",
    "Patient?name=a", "urn:uuid:x", ["a"], 10**30, "\0", {"resourceType": "Patient"}, {"reference": 5}, {"coding": "x"},
]  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and every item within a value, with what it stands in."""
    found: list[tuple[Any, Any]] = []
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found += [(value, key), *places(value[key])]
    return found


def damaged(resource: Any, chance: random.Random) -> Any:
    """A copy with one to three values replaced, removed, or made a list where they were none."""
    made = json_form.decode(json_form.encode(resource))
    for _ in range(chance.randint(1, 3)):
        owner, key = chance.choice(places(made))
        match chance.randrange(3):
            case 0:
                owner[key] = chance.choice(JUNK)
            case 1:
                owner[key] = [owner[key]]
            case _:
                del owner[key]
        if not made:
            return {"resourceType": "Patient"}
    return made


def test_damaged_examples_are_answered_whatever_way_they_come(service: Served, shared: Path) -> None:
    chance = random.Random(11)
    examples = [json_form.decode(text) for _, text in r4_examples(shared) if len(text) < 20_000]
    for _ in range(400):
        body = json_form.encode(damaged(chance.choice(examples), chance))
        kind = chance.choice([b"batch", b"transaction"])
        entry = b'{"resource":%b,"request":{"method":"POST","url":"Patient"}}' % body
        bundle = b'{"resourceType":"Bundle","type":"%b","entry":[%b]}' % (kind, entry)
        for path, sent in (("/Observation", body), ("/Patient/$validate", body), ("", bundle), ("", body)):
            got = service.ask("POST", path, sent, content_type=JSON)
            assert got.status < 500, (path, sent, got.body)
